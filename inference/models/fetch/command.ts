/** The `fetch` command: arguments in, one JSON object and an exit code out. */
import { writeFile } from 'node:fs/promises';
import { maxTerminationBytes, messageOf, StartupError, terminationMessage } from '../../errors.ts';
import { type ModelPackage, PackageError } from '../package.ts';
import { readArguments } from './arguments.ts';
import { FetchError, type FetchReason } from './errors.ts';
import { type InstallOptions, install } from './install.ts';
import { Progress, serveProgress } from './progress.ts';

const maxRows = 5;
const defaultPatience = { attempts: 5, retryMs: 1000, idleMs: 30_000, beatMs: 1000, staleMs: 10_000 };

/**
 * Writes the result file and says the same on standard output.
 * @returns the exit code: 0 done, 1 transient failure, 2 terminal failure
 * @throws StartupError for arguments that make no sense, and a result file that cannot be written
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
  const installed = await install({ ...options, patience, progress })
    .catch((error: unknown) => ({ error }))
    .finally(() => endProgress?.());
  if (!('error' in installed)) {
    await report(result, successText(installed, Math.round(performance.now() - startedAt)));
    return 0;
  }
  const { reason, transient } = classify(installed.error);
  await report(result, terminationMessage({ reason, message: messageOf(installed.error) }));
  return transient ? 1 : 2;
}

function classify(error: unknown): { reason: FetchReason; transient: boolean } {
  if (error instanceof FetchError) return { reason: error.reason, transient: error.transient };
  if (error instanceof PackageError) return { reason: error.reason, transient: false };
  return { reason: 'FetchFailed', transient: true };
}

/** With as many rows of the evaluation as Kubernetes keeps. */
function successText({ manifest, digest, sizeBytes }: ModelPackage, durationMs: number): string {
  const { name, version, modality, thresholds, card } = manifest;
  const text = (rows: number) =>
    JSON.stringify({
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
    if (Buffer.byteLength(text(rows)) <= maxTerminationBytes) return text(rows);
  }
  return text(0);
}

async function report(path: string, line: string): Promise<void> {
  process.stdout.write(`${line}\n`);
  try {
    await writeFile(path, line);
  } catch (error) {
    throw new StartupError(
      `fetch: ${path}: cannot be written (${messageOf(error)}); choose another --result`,
      2,
      { cause: error },
    );
  }
}
