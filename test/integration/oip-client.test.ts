/** The inference protocol as a client understands it that others wrote: NVIDIA's, for Python. */
import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { cacheDir } from '../../hack/lib/paths.ts';
import { run } from '../../hack/lib/process.ts';
import { flatImage, inTemporaryFolder } from '../../inference/testing/media.ts';
import { withTestServer } from '../../inference/testing/server.ts';

const clientVersion = '2.73.0';
const script = join(import.meta.dirname, 'oip/client.py');

test('tritonclient gets everything that it asks of a running server', async (context) => {
  const python = await pythonWithClient().catch((error: Error) => error);
  if (python instanceof Error)
    return context.skip(`tritonclient cannot be installed here: ${python.message}`);
  await inTemporaryFolder(async (folder) => {
    const image = join(folder, 'white.jpg');
    const unjudgeable = join(folder, 'narrow.png');
    await writeFile(image, await flatImage({ width: 300, height: 300, level: 255, format: 'jpeg' }));
    await writeFile(unjudgeable, await flatImage({ width: 400, height: 100, level: 0, format: 'png' }));
    await withTestServer(
      async ({ url }) => {
        const said = await run(python, [script, new URL(url).host, image, unjudgeable]);
        assert.equal(said.trim(), 'as expected');
      },
      { API_KEY: '' },
    );
  });
});

/** The interpreter of a virtual environment with the client, made once for this user. */
async function pythonWithClient(): Promise<string> {
  const environment = cacheDir(`tritonclient-${clientVersion}`);
  const python = join(environment, 'bin/python');
  if ((await run(python, ['-c', 'import tritonclient.http']).catch(() => undefined)) !== undefined)
    return python;
  await rm(environment, { recursive: true, force: true });
  await run('python3', ['-m', 'venv', environment]);
  const quiet = ['--quiet', '--disable-pip-version-check', '--only-binary', ':all:'];
  await run(python, ['-m', 'pip', 'install', ...quiet, `tritonclient[http]==${clientVersion}`]);
  return python;
}
