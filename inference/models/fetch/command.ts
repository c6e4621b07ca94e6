/** The `fetch` command: arguments in, one JSON object and an exit code out. */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { messageOf, StartupError } from '../../errors.ts';
import { type ModelPackage, PackageError } from '../package.ts';
import { FetchError, type FetchReason } from './errors.ts';
import { type InstallOptions, install } from './install.ts';

const source = z.union([
  z.strictObject({ builtin: z.strictObject({ name: z.string().min(1) }) }),
  z.strictObject({ http: z.strictObject({ url: z.url({ protocol: /^https?$/ }) }) }),
  z.strictObject({ pvc: z.strictObject({ path: z.string() }) }),
]);
const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/, 'must be sha256:<64 hex>');

/** What Kubernetes keeps of a termination message. */
const maxResultBytes = 4096;
const maxRows = 5;
const retry = { attempts: 5, retryMs: 1000, idleMs: 30_000 };

/**
 * Writes the result file and says the same on standard output.
 * @returns the exit code: 0 done, 1 transient failure, 2 terminal failure
 * @throws StartupError for arguments that make no sense
 */
export async function runFetch(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  patience: InstallOptions['retry'] = retry,
): Promise<number> {
  const { result, ...options } = readArguments(args, env);
  const startedAt = performance.now();
  try {
    const installed = await install({ ...options, retry: patience });
    await report(result, successView(installed, Math.round(performance.now() - startedAt)));
    return 0;
  } catch (error) {
    const { reason, transient } = classify(error);
    await report(result, { error: { reason, message: messageOf(error).slice(0, 1000) } });
    return transient ? 1 : 2;
  }
}

function readArguments(args: readonly string[], env: Readonly<Record<string, string | undefined>>) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        source: { type: 'string' },
        destination: { type: 'string', default: '/models' },
        digest: { type: 'string' },
        'max-bytes': { type: 'string', default: String(10 * 1024 ** 3) },
        result: { type: 'string', default: '/dev/termination-log' },
      },
    });
    return {
      source: source.parse(JSON.parse(values.source ?? 'null')),
      destination: values.destination,
      digest: digest.optional().parse(values.digest),
      maxBytes: z.coerce.number().int().positive().parse(values['max-bytes']),
      result: values.result,
      modelsDirectory: env['MODELS_DIR'] || './models',
      authorization: env['SOURCE_AUTHORIZATION'] || undefined,
    };
  } catch (error) {
    const text = error instanceof z.ZodError ? z.prettifyError(error).replace(/\s+/g, ' ') : messageOf(error);
    throw new StartupError(
      `fetch: ${text}; give --source '{"builtin":{"name":…}}', '{"http":{"url":…}}' or '{"pvc":{"path":…}}', and see --digest, --destination, --max-bytes, --result`,
      2,
      { cause: error },
    );
  }
}

function classify(error: unknown): { reason: FetchReason; transient: boolean } {
  if (error instanceof FetchError) return { reason: error.reason, transient: error.transient };
  if (error instanceof PackageError) return { reason: error.reason, transient: false };
  return { reason: 'SourceUnreachable', transient: true };
}

function successView({ manifest, digest: found, sizeBytes }: ModelPackage, durationMs: number) {
  const { name, version, modality, thresholds, card } = manifest;
  const view = (rows: number) => ({
    digest: found,
    sizeBytes,
    durationMs,
    card: {
      name,
      version,
      modality,
      status: card.status,
      thresholds,
      evaluation: card.evaluation.slice(0, rows),
    },
  });
  for (let rows = maxRows; rows > 0; rows -= 1) {
    if (Buffer.byteLength(JSON.stringify(view(rows))) < maxResultBytes) return view(rows);
  }
  return view(0);
}

async function report(path: string, value: object): Promise<void> {
  const line = JSON.stringify(value);
  process.stdout.write(`${line}\n`);
  await writeFile(path, line);
}
