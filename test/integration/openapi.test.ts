/** A real server against everything that its OpenAPI document allows, and much that it does not. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { REPOSITORY } from '../../hack/lib/paths.ts';
import { readConfig } from '../../inference/config/config.ts';
import { createLogger } from '../../inference/observability/logger.ts';
import { startServer } from '../../inference/serve.ts';
import { inTemporaryFolder } from '../../inference/testing/media.ts';
import { writeAudioPackage, writeImagePackage } from '../../inference/testing/packages.ts';

const key = 'openapi-test-key';
const notInstallable = 69;

test('every generated request is answered as the document says', async (context) => {
  await inTemporaryFolder(async (folder) => {
    await writeImagePackage(join(folder, 'picture'));
    await writeAudioPackage(join(folder, 'voice'));
    const env = {
      PORT: '0',
      API_KEY: key,
      MODELS_DIR: folder,
      ENGINE_WORKERS: '1',
      FETCH_TIMEOUT_MS: '1000',
      // Every stream without an end would be waited for.
      PROGRESS_STREAM_TIMEOUT_MS: '200',
    };
    const server = await startServer(readConfig(env), createLogger('silent'));
    try {
      await server.ready;
      const { code, output } = await runSchemathesis(server.url, ['--max-examples', '50', '--seed', '1']);
      if (code === notInstallable) context.skip(`schemathesis cannot be installed: ${output}`);
      else assert.equal(code, 0, output);
    } finally {
      await server.stop();
    }
  });
});

function runSchemathesis(
  url: string,
  options: readonly string[],
): Promise<{ readonly code: number; readonly output: string }> {
  const program = join(REPOSITORY, 'hack/schemathesis');
  const env = { ...process.env, API_KEY: key };
  const { promise, resolve } = Promise.withResolvers<{ code: number; output: string }>();
  execFile(program, [url, ...options], { env, maxBuffer: 64 * 1024 ** 2 }, (error, stdout, stderr) =>
    resolve({ code: error === null ? 0 : Number(error.code ?? 1), output: stdout + stderr }),
  );
  return promise;
}
