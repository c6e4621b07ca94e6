import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, readdir, readlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { readConfig } from './config/config.ts';
import { createLogger } from './observability/logger.ts';
import { startServer } from './serve.ts';
import { inTemporaryFolder } from './testing/media.ts';
import { writeImagePackage } from './testing/packages.ts';
import { freePort, RedisServer } from './testing/redis.ts';
import { until } from './testing/until.ts';

type Environment = Readonly<Record<string, string>>;

const token = { JWT_ISSUER: 'https://id.example', JWT_AUDIENCE: 'deepfake' };
const { cache } = createRequire(import.meta.url);
const redisClientIsLoaded = () => Object.keys(cache).some((path) => path.includes('/node_modules/ioredis/'));

/** Runs with the environment of a server that has one model and a folder of its own for temporary files. */
async function withEnvironment(action: (env: Environment, folder: string) => Promise<void>): Promise<void> {
  const { TMPDIR: before } = process.env;
  await inTemporaryFolder(async (folder) => {
    await writeImagePackage(join(folder, 'models/picture'));
    await mkdir(join(folder, 'temporary'));
    process.env['TMPDIR'] = join(folder, 'temporary');
    try {
      await action({ PORT: '0', MODELS_DIR: join(folder, 'models'), ENGINE_WORKERS: '1' }, folder);
    } finally {
      if (before === undefined) delete process.env['TMPDIR'];
      else process.env['TMPDIR'] = before;
    }
  });
}

function start(env: Environment) {
  return startServer(readConfig(env), createLogger('silent'));
}

/** Sockets and files of the folder that this process has open. */
async function openResources(folder: string): Promise<string[]> {
  const links = await Promise.all(
    (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')),
  );
  return links.filter((link) => link.startsWith('socket:') || link.startsWith(folder)).sort();
}

test('a server without Redis does not load its client, and one with Redis does', () =>
  withEnvironment(async (env) => {
    for (const [more, isLoaded] of [
      [{}, false],
      [{ REDIS_URL: `redis://127.0.0.1:${await freePort()}` }, true],
    ] as const) {
      const server = await start({ ...env, ...more });
      await server.ready;
      await server.stop();
      assert.equal(redisClientIsLoaded(), isLoaded);
    }
  }));

describe('a start that fails leaves nothing open', { skip: process.platform !== 'linux' }, () => {
  const rows: readonly {
    readonly name: string;
    readonly env: (folder: string) => Environment | Promise<Environment>;
    readonly message: RegExp;
  }[] = [
    {
      name: 'at a file of keys',
      env: (folder) => ({ API_KEYS_FILE: join(folder, 'broken') }),
      message: /broken: keys/,
    },
    {
      name: 'at a key set after a file of keys',
      env: async (folder) => {
        const path = join(folder, 'keys');
        const hash = `sha256:${'0'.repeat(64)}`;
        await writeFile(path, JSON.stringify({ keys: [{ name: 'web', hash, scopes: ['read'] }] }));
        return { ...token, API_KEYS_FILE: path, JWT_JWKS_FILE: join(folder, 'broken') };
      },
      message: /broken: is not/,
    },
    {
      name: 'at the audit file',
      env: (folder) => ({ AUDIT_LOG_FILE: join(folder, 'nowhere/audit') }),
      message: /AUDIT_LOG_FILE/,
    },
    {
      name: 'at the folder of uploads after the audit file',
      env: (folder) => {
        process.env['TMPDIR'] = join(folder, 'nowhere');
        return { AUDIT_LOG_FILE: join(folder, 'audit') };
      },
      message: /ENOENT/,
    },
    {
      name: 'at its address after everything else',
      env: async (folder) => {
        const taken = createServer().listen(0, '127.0.0.1');
        await once(taken, 'listening');
        const { port } = taken.address() as AddressInfo;
        taken.unref();
        return { AUDIT_LOG_FILE: join(folder, 'audit'), PORT: String(port) };
      },
      message: /cannot listen/,
    },
  ];
  for (const { name, env: envOf, message } of rows) {
    test(name, () =>
      withEnvironment(async (fixed, folder) => {
        await writeFile(join(folder, 'broken'), '{}');
        const redis = new RedisServer(await freePort());
        await redis.start();
        try {
          const env = { ...fixed, REDIS_URL: redis.url, ...(await envOf(folder)) };
          const before = await openResources(folder);
          await assert.rejects(start(env), message);
          await until(async () => {
            const now = await openResources(folder);
            return now.length === before.length && now.every((one) => before.includes(one));
          });
          assert.deepEqual(await readdir(join(folder, 'temporary')), []);
        } finally {
          await redis.kill();
        }
      }),
    );
  }
});
