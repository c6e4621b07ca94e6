/** The `fetch` command: arguments in, one JSON object and an exit code out. */
import { writeFile } from 'node:fs/promises';
import { messageOf } from '../../errors.ts';
import { type ModelPackage, PackageError } from '../package.ts';
import { readArguments } from './arguments.ts';
import { FetchError, type FetchReason } from './errors.ts';
import { type InstallOptions, install } from './install.ts';
import { Progress, serveProgress } from './progress.ts';

/** What Kubernetes keeps of a termination message. */
const maxResultBytes = 4096;
const maxRows = 5;
const defaultPatience = { attempts: 5, retryMs: 1000, idleMs: 30_000, beatMs: 1000, staleMs: 10_000 };

/**
 * Writes the result file and says the same on standard output.
 * @returns the exit code: 0 done, 1 transient failure, 2 terminal failure
 * @throws StartupError for arguments that make no sense
 */
export async function runFetch(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  patience: InstallOptions['patience'] = defaultPatience,
): Promise<number> {
  const { result, progressPort, ...options } = readArguments(args, env);
  const startedAt = performance.now();
  const progress = new Progress();
  const endProgress = progressPort === undefined ? undefined : await serveProgress(progress, progressPort);
  try {
    const installed = await install({ ...options, patience, progress });
    await report(result, successView(installed, Math.round(performance.now() - startedAt)));
    return 0;
  } catch (error) {
    const { reason, transient } = classify(error);
    await report(result, { error: { reason, message: messageOf(error).slice(0, 1000) } });
    return transient ? 1 : 2;
  } finally {
    endProgress?.();
  }
}

function classify(error: unknown): { reason: FetchReason; transient: boolean } {
  if (error instanceof FetchError) return { reason: error.reason, transient: error.transient };
  if (error instanceof PackageError) return { reason: error.reason, transient: false };
  return { reason: 'FetchFailed', transient: true };
}

function successView({ manifest, digest, sizeBytes }: ModelPackage, durationMs: number) {
  const { name, version, modality, thresholds, card } = manifest;
  const view = (rows: number) => ({
    digest,
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
