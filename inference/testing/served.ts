/** A server that runs while the tests of a `describe` do. */
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { readConfig } from '../config/config.ts';
import { createLogger } from '../observability/logger.ts';
import { type RunningServer, startServer } from '../serve.ts';
import { inTemporaryFolder } from './media.ts';

/**
 * To be called inside `describe`.
 * @param writePackages into the folder that is served
 * @returns the server, which the tests may ask for and nothing earlier
 */
export function servedDuringTests(
  writePackages: (folder: string) => Promise<void>,
  env: Readonly<Record<string, string>> = {},
): () => RunningServer {
  let server: RunningServer | undefined;
  let stopped: Promise<void> | undefined;
  const ended = Promise.withResolvers<void>();
  before(async () => {
    const started = Promise.withResolvers<RunningServer>();
    stopped = inTemporaryFolder(async (folder) => {
      await writePackages(folder);
      const config = readConfig({ PORT: '0', MODELS_DIR: folder, ENGINE_WORKERS: '1', ...env });
      const running = await startServer(config, createLogger('silent'));
      try {
        assert.ok(await running.ready);
        started.resolve(running);
        await ended.promise;
      } finally {
        await running.stop();
      }
    });
    stopped.catch(started.reject);
    server = await started.promise;
  });
  after(async () => {
    ended.resolve();
    await stopped;
  });
  return () => server ?? assert.fail('the server runs during the tests only');
}
