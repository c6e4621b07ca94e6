/** The `probe` command: labelled media in, one JSON object and an exit code out. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { maxTerminationBytes, messageOf, StartupError, terminationMessage } from '../errors.ts';
import { ProbeError } from './errors.ts';
import type { ProbeReport } from './figures.ts';
import { readManifest } from './manifest.ts';
import { probe } from './probe.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const address = (option: string) =>
  z.url({ protocol: /^https?$/, error: `--${option} has to be http://… or https://…` });
const digest = z
  .string({ error: '--media-url needs --media-digest' })
  .regex(/^sha256:[0-9a-f]{64}$/, '--media-digest has to be sha256:<64 hex>');
const integer = (option: string, max: number) =>
  z.coerce
    .number()
    .int()
    .min(1)
    .max(max)
    .catch(() => {
      throw new Error(`--${option} has to be a whole number, 1..${max}`);
    });

const usage =
  'give --canary URL, perhaps --stable URL, and --media DIRECTORY or --media-url URL --media-digest sha256:HEX; see --model, --concurrency, --attempts, --request-timeout-seconds, --timeout-seconds, --result';

export type ProbeArguments = ReturnType<typeof readArguments>;

/** @throws StartupError */
export function readArguments(args: readonly string[], env: Environment) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        canary: { type: 'string' },
        stable: { type: 'string' },
        media: { type: 'string' },
        'media-url': { type: 'string' },
        'media-digest': { type: 'string' },
        model: { type: 'string' },
        concurrency: { type: 'string', default: '4' },
        attempts: { type: 'string', default: '6' },
        'request-timeout-seconds': { type: 'string', default: '120' },
        'timeout-seconds': { type: 'string', default: '86400' },
        result: { type: 'string' },
      },
    });
    return {
      canary: address('canary').parse(values.canary),
      stable: address('stable').optional().parse(values.stable),
      media: mediaOf(values.media, values['media-url'], values['media-digest']),
      model: values.model || undefined,
      concurrency: integer('concurrency', 64).parse(values.concurrency),
      attempts: integer('attempts', 100).parse(values.attempts),
      timeoutMs: 1000 * integer('request-timeout-seconds', 86_400).parse(values['request-timeout-seconds']),
      limitMs: 1000 * integer('timeout-seconds', 86_400).parse(values['timeout-seconds']),
      result: values.result ?? terminationLog(env),
      apiKey: env['API_KEY']?.split(',')[0]?.trim() || undefined,
    };
  } catch (error) {
    const text =
      error instanceof z.ZodError ? error.issues.map(({ message }) => message).join('; ') : messageOf(error);
    throw new StartupError(`probe: ${text}; ${usage}`, 2, { cause: error });
  }
}

type Media = { readonly folder: string } | { readonly url: string; readonly sha256: string };

function mediaOf(folder: string | undefined, url: string | undefined, sha256: string | undefined): Media {
  if ((folder === undefined) === (url === undefined))
    throw new Error('exactly one of --media and --media-url has to be given');
  if (folder !== undefined) return { folder };
  return { url: address('media-url').parse(url), sha256: digest.parse(sha256).replace('sha256:', '') };
}

/** On a laptop there is no such file, and standard output has to do. */
function terminationLog(env: Environment): string | undefined {
  const path = env['TERMINATION_MESSAGE_PATH'] || '/dev/termination-log';
  return existsSync(path) ? path : undefined;
}

export interface Pace {
  /** Before the second attempt at a file, ms. */
  readonly retryMs: number;
}

/**
 * Writes the result file and says the same on standard output.
 * @returns the exit code: 0 measured, 1 not measured for a reason that may pass, 2 not measured
 * @throws StartupError for arguments that make no sense, and a result file that cannot be written
 */
export async function runProbe(
  args: readonly string[],
  env: Environment,
  { retryMs }: Pace = { retryMs: 1000 },
): Promise<number> {
  const { media, result, limitMs, ...options } = readArguments(args, env);
  const signal = AbortSignal.timeout(limitMs);
  try {
    const report = await withFolder(media, async (folder) =>
      probe(await readManifest(folder), { ...options, retryMs, signal }),
    );
    await tell(result, reportText(report));
    return 0;
  } catch (error) {
    if (error instanceof StartupError) throw error;
    const { reason, message, transient } = described(error, signal, limitMs);
    await tell(result, terminationMessage({ reason, message }));
    return transient ? 1 : 2;
  }
}

function described(error: unknown, signal: AbortSignal, limitMs: number) {
  if (error instanceof ProbeError) return error;
  if (signal.aborted)
    return {
      reason: 'DeadlineExceeded',
      message: `the files were not judged within ${limitMs / 1000} s`,
      transient: true,
    };
  return { reason: 'ProbeFailed', message: messageOf(error), transient: true };
}

async function withFolder<T>(media: Media, action: (folder: string) => Promise<T>): Promise<T> {
  if ('folder' in media) return action(media.folder);
  const { downloadMedia } = await import('./download.ts');
  const folder = await mkdtemp(join(tmpdir(), 'probe-'));
  try {
    return await action(await downloadMedia(media.url, media.sha256, folder));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** With as many of the worst files as Kubernetes keeps. */
export function reportText(report: ProbeReport): string {
  const text = (count: number) => JSON.stringify({ ...report, worst: report.worst.slice(0, count) });
  for (let count = report.worst.length; count > 0; count -= 1)
    if (Buffer.byteLength(text(count)) < maxTerminationBytes) return text(count);
  return text(0);
}

async function tell(path: string | undefined, line: string): Promise<void> {
  process.stdout.write(`${line}\n`);
  if (path === undefined) return;
  try {
    await writeFile(path, line);
  } catch (error) {
    throw new StartupError(
      `probe: ${path}: cannot be written (${messageOf(error)}); choose another --result`,
      2,
      {
        cause: error,
      },
    );
  }
}
