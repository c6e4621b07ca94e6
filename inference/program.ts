/**
 * The inference pod's program: `serve` answers requests, `fetch` puts a verified package on a volume, `digest` verifies one, `golden`
 * measures and adds its golden files, `hash-key` hashes an API key.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type Config, configOf } from './config/config.ts';
import { loadSettings } from './config/load.ts';
import { availableProcessors, planThreads } from './engine/cpu-budget.ts';
import { DamagedPackageError, messageOf, StartupError, terminationMessage } from './errors.ts';

const usage =
  'usage: node inference/main.ts serve [--config FILE] [--env-file FILE] [--check-config | --print-config] | fetch --source JSON [options] | digest DIRECTORY | golden DIRECTORY --add FILE [--tolerance T] | hash-key < FILE';

async function main([command, ...rest]: readonly string[]): Promise<void> {
  switch (command) {
    case 'serve':
      return serve(rest);
    case 'fetch': {
      // The first process of a container is not ended by a signal that it does not handle; what came so far stays on the volume.
      process.once('SIGTERM', () => process.exit(143));
      const { runFetch } = await import('./models/fetch/command.ts');
      // What a fetch without its lock has begun must not go on.
      return process.exit(await runFetch(rest, process.env));
    }
    case 'digest':
      return printDigest(rest);
    case 'golden': {
      const { runGolden } = await import('./pipelines/golden/command.ts');
      return runGolden(rest);
    }
    case 'hash-key':
      return printKeyHash();
    default:
      throw new StartupError(usage, 2);
  }
}

async function serve(args: readonly string[]): Promise<void> {
  const { config: configFile, 'env-file': envFile, ...options } = serveOptions(args);
  const { settings, problems } = loadSettings({ env: process.env, configFile, envFile });
  const config = configOf(settings, problems);
  if (options['print-config']) {
    const { effectiveConfig } = await import('./config/effective.ts');
    process.stdout.write(effectiveConfig(settings));
  } else if (options['check-config']) await checkPackages(config);
  else await runServer(config);
}

function serveOptions(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        config: { type: 'string' },
        'env-file': { type: 'string' },
        'check-config': { type: 'boolean' },
        'print-config': { type: 'boolean' },
      },
    }).values;
  } catch (error) {
    throw new StartupError(`serve: ${messageOf(error)}; ${usage}`, 2, { cause: error });
  }
}

/**
 * One line for each package that cannot be served, and the exit code 2. Imports all that a server and its workers need, so that one run of
 * it fills the compile cache.
 */
async function checkPackages(config: Config): Promise<void> {
  const [{ findPackages }] = await Promise.all([
    import('./models/active-packages.ts'),
    import('./serve.ts'),
    import('./http/server.ts'),
    import('./http/listen.ts'),
    import('./redis/connection.ts'),
    import('./pipelines/families.ts'),
    import('./pipelines/self-test.ts'),
  ]);
  const { problems } = await findPackages(config).catch((problem: unknown) => ({ problems: [problem] }));
  for (const problem of problems) complain(messageOf(problem));
  if (problems.length > 0) process.exitCode = 2;
  else process.stdout.write('configuration is valid\n');
}

async function runServer(config: Config): Promise<void> {
  // libuv reads this once, before the first of its threads starts, and nothing so far has needed one.
  process.env['UV_THREADPOOL_SIZE'] ||=
    `${planThreads(availableProcessors(), { requestedWorkers: config.workers, onProcessors: config.device === 'cpu' }).libuvThreads}`;
  const [{ startServer }, { createLogger }] = await Promise.all([
    import('./serve.ts'),
    import('./observability/logger.ts'),
  ]);
  const logger = createLogger(config.logLevel);
  const server = await startServer(config, logger);
  const stop = async (signal: NodeJS.Signals) => {
    logger.info({ signal }, 'stopping: no new work, running requests are answered');
    const answered = await server.stop();
    logger.info(
      { answered },
      answered ? 'stopped' : 'stopped at the end of the grace period with requests unanswered',
    );
    process.exit(answered ? 0 : 1);
  };
  process.once('SIGTERM', stop).once('SIGINT', stop);
  try {
    if (await server.ready)
      logger.info({ url: server.url, seconds: Math.round(process.uptime() * 100) / 100 }, 'ready');
  } catch (error) {
    await server.stop();
    throw error;
  }
}

async function printDigest([directory, ...more]: readonly string[]): Promise<void> {
  if (directory === undefined || more.length > 0) throw new StartupError(usage, 2);
  const { loadPackage } = await import('./models/package.ts');
  process.stdout.write(`${(await loadPackage(directory)).digest}\n`);
}

/** The key comes from standard input: arguments are seen by every process of the machine and kept by shells. */
async function printKeyHash(): Promise<void> {
  const [{ text }, { hashApiKey }] = await Promise.all([
    import('node:stream/consumers'),
    import('./http/access/api-keys.ts'),
  ]);
  const input = await text(process.stdin);
  try {
    process.stdout.write(`${hashApiKey(input)}\n`);
  } catch (error) {
    throw new StartupError(`hash-key: ${messageOf(error)}`, 2, { cause: error });
  }
}

/** Tells Kubernetes which package has to be fetched again. Elsewhere there is no such file, and the line on stderr has to do. */
function leaveTerminationMessage({ reason, model, message }: DamagedPackageError): void {
  const path = process.env['TERMINATION_MESSAGE_PATH'] || '/dev/termination-log';
  if (!existsSync(path)) return;
  try {
    writeFileSync(path, terminationMessage({ reason, model, message }));
  } catch (error) {
    process.stderr.write(`deepfake-inference: ${path}: cannot be written (${messageOf(error)})\n`);
  }
}

function complain(message: string): void {
  process.stderr.write(`deepfake-inference: ${message}\n`);
}

main(process.argv.slice(2)).catch((error: unknown) => {
  if (error instanceof DamagedPackageError) leaveTerminationMessage(error);
  const unexpected = !(error instanceof Error) || !['StartupError', 'PackageError'].includes(error.name);
  complain(unexpected && error instanceof Error ? (error.stack ?? error.message) : messageOf(error));
  process.exit(error instanceof StartupError ? error.exitCode : 1);
});
