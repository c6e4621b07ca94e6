import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { inTemporaryFolder } from './testing/media.ts';
import { writeAudioPackage } from './testing/packages.ts';

const program = join(import.meta.dirname, 'main.ts');

function start(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  options: { readonly cwd?: string } = {},
) {
  const child = spawn(process.execPath, [program, ...args], {
    ...options,
    env: { PATH: process.env['PATH'], ...env },
  });
  const ended = Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  return {
    child,
    ended: ended.then(([stdout, stderr, [code]]) => ({ stdout, stderr, code: code as number | null })),
  };
}

describe('the program', () => {
  const refusals = [
    { name: 'without a command', args: [], env: {}, code: 2, line: /^deepfake-inference: usage: / },
    {
      name: 'with a bad configuration',
      args: ['serve'],
      env: { HOST: '0.0.0.0' },
      code: 2,
      line: /^deepfake-inference: configuration: API_KEY/,
    },
    {
      name: 'with a malformed address of Redis',
      args: ['serve'],
      env: { REDIS_URL: 'redis:6379' },
      code: 2,
      line: /^deepfake-inference: configuration: REDIS_URL: is not redis:/,
    },
    {
      name: 'without models',
      args: ['serve'],
      env: { MODELS_DIR: '/nonexistent' },
      code: 2,
      line: /^deepfake-inference: configuration: MODELS_DIR: \/nonexistent cannot be read/,
    },
    {
      name: 'with an option that serve does not have',
      args: ['serve', '--chek-config'],
      env: {},
      code: 2,
      line: /^deepfake-inference: serve: Unknown option '--chek-config'.*usage: /,
    },
    {
      name: 'checking a folder without models',
      args: ['serve', '--check-config'],
      env: { MODELS_DIR: import.meta.dirname },
      code: 2,
      line: /^deepfake-inference: .* holds no model package/,
    },
    {
      name: 'asked for the digest of nothing',
      args: ['digest', '/nonexistent'],
      env: {},
      code: 1,
      line: /model\.yaml: there is no such file/,
    },
    {
      name: 'measuring a golden file without a file',
      args: ['golden', '/nonexistent'],
      env: {},
      code: 2,
      line: /^deepfake-inference: golden: name a file to add; usage: golden PACKAGE --add FILE/,
    },
    {
      name: 'measuring a golden file with a tolerance that proves nothing',
      args: ['golden', '/nonexistent', '--add', 'x', '--tolerance', '0.9'],
      env: {},
      code: 2,
      line: /^deepfake-inference: golden: --tolerance has to be above 0 and 0\.5 at most/,
    },
    {
      name: 'adding a golden file to nothing',
      args: ['golden', '/nonexistent', '--add', 'x'],
      env: {},
      code: 1,
      line: /^deepfake-inference: .*model\.yaml: there is no such file/,
    },
    { name: 'fetching nothing', args: ['fetch'], env: {}, code: 2, line: /^deepfake-inference: fetch: / },
  ];
  for (const { name, args, env, code, line } of refusals) {
    test(`${name} exits with ${code} after one line`, async () => {
      const { ended } = start(args, env);
      const found = await ended;
      assert.equal(found.code, code);
      assert.match(found.stderr, line);
      assert.equal(found.stderr.trim().split('\n').length, 1, found.stderr);
    });
  }

  test('prints the digest of a package', async () => {
    await inTemporaryFolder(async (folder) => {
      const digest = await writeAudioPackage(folder);
      const found = await start(['digest', folder]).ended;
      assert.deepEqual([found.code, found.stdout], [0, `${digest}\n`]);
    });
  });

  test('measures a golden file and prints the digest of the completed package, and nothing else', async () => {
    await inTemporaryFolder(async (folder) => {
      await writeAudioPackage(folder, { manifest: { golden: [] } });
      const { code, stdout, stderr } = await start([
        ...['golden', folder, '--add', join(folder, 'golden/square.wav')],
        ...['--tolerance', '0.01'],
      ]).ended;
      assert.match(stderr, /^golden\/square\.wav: 0\.98\d+ ± 0\.01 \(DEEPFAKE\)\n$/);
      assert.deepEqual([code, stdout], [0, (await start(['digest', folder]).ended).stdout]);
    });
  });

  test('checks the configuration and the packages, and prints where each value comes from', async () => {
    await inTemporaryFolder(async (folder) => {
      await writeAudioPackage(join(folder, 'models/voice'));
      const config = join(folder, 'c.yaml');
      await writeFile(config, 'models: {dir: models}\nport: 0\n');
      const inFolder = { cwd: folder };
      const checked = await start(['serve', '--check-config', '--config', config], {}, inFolder).ended;
      assert.deepEqual([checked.code, checked.stdout, checked.stderr], [0, 'configuration is valid\n', '']);
      const printed = await start(['serve', '--print-config'], { CONFIG_FILE: config }, inFolder).ended;
      assert.match(printed.stdout, /^modelsDir: "models" # .*c\.yaml, line 1$/m);
    });
  });

  test('checks every package, and has a line for each that cannot be served', async () => {
    await inTemporaryFolder(async (folder) => {
      for (const name of ['changed', 'good', 'incomplete']) await writeAudioPackage(join(folder, name));
      await writeFile(join(folder, 'changed/classifier.onnx'), 'damaged');
      await rm(join(folder, 'incomplete/golden/square.wav'));
      const env = { MODELS_DIR: folder, ACTIVE_MODELS: 'changed,good,incomplete,absent' };
      const { code, stdout, stderr } = await start(['serve', '--check-config'], env).ended;
      const lines = stderr.trim().split('\n');
      const expected = [
        /^deepfake-inference: ACTIVE_MODELS: there is no active model called absent/,
        /^deepfake-inference: .*changed.*classifier\.onnx: the SHA-256 is/,
        /^deepfake-inference: .*incomplete.*square\.wav: .* it is missing/,
      ];
      assert.deepEqual([code, stdout, lines.length], [2, '', expected.length], stderr);
      for (const [index, line] of expected.entries()) assert.match(lines[index] ?? '', line);
    });
  });

  for (const [where, folder] of [
    ['is filled by the first start', 'cache'],
    ['that cannot be made changes nothing', 'a-file/cache'],
  ] as const) {
    test(`a folder of compiled code ${where}`, async () => {
      await inTemporaryFolder(async (parent) => {
        await writeAudioPackage(join(parent, 'models/voice'));
        await writeFile(join(parent, 'a-file'), '');
        const cache = join(parent, folder);
        const env = { MODELS_DIR: join(parent, 'models'), NODE_COMPILE_CACHE: cache };
        const { code, stdout, stderr } = await start(['serve', '--check-config'], env).ended;
        assert.deepEqual([code, stdout, stderr], [0, 'configuration is valid\n', '']);
        assert.equal(existsSync(cache), folder === 'cache');
      });
    });
  }

  test('stays alive and tells why it is not ready where a model that fails to load must not end it', async () => {
    await inTemporaryFolder(async (folder) => {
      await writeAudioPackage(join(folder, 'voice'));
      await writeFile(join(folder, 'voice/classifier.onnx'), 'damaged');
      const env = { MODELS_DIR: folder, PORT: '0', ON_LOAD_FAILURE: 'degraded' };
      const { child, ended } = start(['serve'], env);
      const lines = createInterface(child.stdout);
      let url = '';
      for await (const line of lines) {
        url = JSON.parse(line).url ?? url;
        if (line.includes('alive, but not ready')) break;
      }
      assert.equal((await fetch(`${url}/health/live`)).status, 200);
      const readiness = await fetch(`${url}/health/ready`);
      assert.deepEqual([readiness.status, /the SHA-256 is/.test(await readiness.text())], [503, true]);
      const form = new FormData();
      form.set('media', new Blob(['x']), 'f');
      const answer = await fetch(`${url}/analyze`, { method: 'POST', body: form });
      assert.deepEqual([answer.status, /the SHA-256 is/.test(await answer.text())], [503, true]);
      child.kill('SIGTERM');
      assert.equal((await ended).code, 0);
    });
  });

  test('keeps nothing in the temporary folder and lets the runtime tell nobody about models', async () => {
    await inTemporaryFolder(async (folder) => {
      await writeAudioPackage(join(folder, 'models/voice'));
      const temporary = join(folder, 'temporary');
      await mkdir(temporary);
      const env = {
        MODELS_DIR: join(folder, 'models'),
        PORT: '0',
        NODE_COMPILE_CACHE: join(folder, 'cache'),
      };
      const { child, ended } = start(['serve'], { ...env, TMPDIR: temporary });
      for await (const line of createInterface(child.stdout)) if (line.includes('"ready"')) break;
      const whileServing = await readdir(temporary);
      child.kill('SIGTERM');
      assert.equal((await ended).code, 0);
      // Telemetry of ONNX Runtime shows as the files of its session.
      assert.deepEqual(
        whileServing.filter((name) => !name.startsWith('deepfake-uploads-')),
        [],
      );
      assert.deepEqual(await readdir(temporary), []);
    });
  });

  test('hashes an API key from standard input, and refuses one that can be guessed', async () => {
    const hashing = (key: string) => {
      const { child, ended } = start(['hash-key']);
      child.stdin.end(key);
      return ended;
    };
    const hashed = await hashing('0123456789abcdefghij\n');
    assert.match(hashed.stdout, /^sha256:[0-9a-f]{64}\n$/);
    assert.equal(hashed.code, 0);
    const refused = await hashing('guess-me\n');
    assert.deepEqual([refused.code, refused.stdout], [2, '']);
    assert.match(refused.stderr, /^deepfake-inference: hash-key: the key is not one line of at least 20/);
    assert.doesNotMatch(refused.stderr, /guess-me/);
  });

  const damages: { name: string; damage: (model: string) => Promise<void>; reason: string; line: RegExp }[] =
    [
      {
        name: 'a changed file',
        damage: (model) => writeFile(join(model, 'classifier.onnx'), 'damaged'),
        reason: 'DigestMismatch',
        line: /classifier\.onnx: the SHA-256 is/,
      },
      {
        name: 'a missing file',
        damage: (model) => rm(join(model, 'golden/square.wav')),
        reason: 'InvalidPackage',
        line: /square\.wav: model\.yaml lists this file but it is missing/,
      },
      {
        name: 'another package',
        damage: async (model) => void (await writeAudioPackage(model, { version: '9.9.9' })),
        reason: 'DigestMismatch',
        line: /model\.yaml: the digest is .* was asked for/,
      },
      {
        name: 'no package any more',
        damage: (model) => rm(join(model, 'model.yaml')),
        reason: 'InvalidPackage',
        line: /model\.yaml: there is no such file/,
      },
    ];
  for (const { name, damage, reason, line } of damages) {
    test(`serving ${name} exits with 65 after one line, and says so where Kubernetes looks`, async () => {
      await inTemporaryFolder(async (folder) => {
        const digest = await writeAudioPackage(join(folder, 'models/voice'));
        await damage(join(folder, 'models/voice'));
        const log = join(folder, 'termination-log');
        await writeFile(log, '');
        const { code, stderr } = await start(['serve'], {
          MODELS_DIR: join(folder, 'models'),
          MODEL_DIGESTS: `voice=${digest}`,
          ACTIVE_MODELS: 'voice',
          TERMINATION_MESSAGE_PATH: log,
          PORT: '0',
        }).ended;
        assert.equal(code, 65, stderr);
        assert.match(stderr, line);
        assert.equal(stderr.trim().split('\n').length, 1, stderr);
        const { error } = JSON.parse(await readFile(log, 'utf8'));
        assert.deepEqual([error.reason, error.model], [reason, 'voice']);
        assert.match(error.message, line);
      });
    });
  }

  test('exits with one line when a model does not reproduce its golden scores', async () => {
    await inTemporaryFolder(async (folder) => {
      await writeAudioPackage(join(folder, 'voice'), {
        manifest: { output: { positive: 'real', activation: 'sigmoid' } },
      });
      const { code, stderr } = await start(['serve'], { MODELS_DIR: folder, PORT: '0' }).ended;
      assert.equal(code, 1);
      assert.match(stderr, /^deepfake-inference: model "voice": .*square\.wav gives the score 0\.01/);
      assert.equal(stderr.trim().split('\n').length, 1, stderr);
    });
  });

  test('starts as many threads for files as were planned', {
    skip: process.platform !== 'linux',
  }, async () => {
    await inTemporaryFolder(async (folder) => {
      await writeAudioPackage(join(folder, 'voice'));
      const { child, ended } = start(['serve'], { MODELS_DIR: folder, PORT: '0', ENGINE_WORKERS: '3' });
      for await (const line of createInterface(child.stdout)) if (JSON.parse(line).msg === 'ready') break;
      const tasks = `/proc/${child.pid}/task`;
      const names = await Promise.all(
        (await readdir(tasks)).map((id) => readFile(join(tasks, id, 'comm'), 'utf8').catch(() => '')),
      );
      child.kill('SIGTERM');
      await ended;
      assert.equal(names.filter((name) => name.startsWith('libuv-worker')).length, 7);
    });
  });

  test('logs JSON, becomes ready, and exits with 0 on SIGTERM', async () => {
    await inTemporaryFolder(async (folder) => {
      await writeAudioPackage(join(folder, 'voice'));
      const { child, ended } = start(['serve'], { MODELS_DIR: folder, PORT: '0', API_KEY: 'a-secret-key' });
      let log = '';
      child.stdout.on('data', (chunk: Buffer) => {
        const wasReady = log.includes('"msg":"ready"');
        log += chunk;
        if (!wasReady && log.includes('"msg":"ready"')) child.kill('SIGTERM');
      });
      const { code, stdout, stderr } = await ended;
      assert.deepEqual([code, stderr], [0, '']);
      const messages = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).msg);
      assert.deepEqual(messages.slice(-3), [
        'ready',
        'stopping: no new work, running requests are answered',
        'stopped',
      ]);
      assert.doesNotMatch(stdout, /a-secret-key/);
    });
  });
});
