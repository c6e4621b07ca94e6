import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Redis } from 'ioredis';
import { createLogger } from '../observability/logger.ts';
import { freePort, RedisServer, redisPassword } from '../testing/redis.ts';
import { until } from '../testing/until.ts';
import { RedisConnection } from './connection.ts';

interface Scene {
  readonly redis: RedisServer;
  readonly connection: RedisConnection;
  readonly log: () => string;
}

/** A connection that is up, unless it is said otherwise. */
async function inScene(
  action: (scene: Scene) => Promise<void>,
  { isStarted = true, password = redisPassword } = {},
): Promise<void> {
  const redis = new RedisServer(await freePort());
  if (isStarted) await redis.start();
  const lines: string[] = [];
  const logger = createLogger('info', { write: (line) => lines.push(line) });
  const connection = new RedisConnection({ url: redis.url.replace(redisPassword, password), logger });
  try {
    if (isStarted && password === redisPassword) await until(() => connection.isUp());
    await action({ redis, connection, log: () => lines.join('') });
    assert.doesNotMatch(lines.join(''), new RegExp(redisPassword));
  } finally {
    await connection.close(0);
    await redis.kill();
  }
}

const ask = ({ connection }: Scene) => connection.ask((client) => client.get('key'));
const linesWith = (log: string, text: string) => log.split(text).length - 1;

describe('the connection to Redis', { timeout: 90_000 }, () => {
  test('refuses at once while Redis is away, comes back with it, and logs each outage once', () =>
    inScene(
      async (scene) => {
        const { redis, connection, log } = scene;
        for (const outages of [1, 2]) {
          await until(() => linesWith(log(), 'Redis cannot be used') === outages);
          assert.equal(connection.isUp(), false);
          for (let count = 0; count < 5; count += 1) await assert.rejects(ask(scene), /not available/);
          await redis.start();
          await until(() => connection.isUp());
          assert.equal(await ask(scene), null);
          await redis.kill();
          await until(() => !connection.isUp());
        }
        assert.equal(linesWith(log(), 'Redis is connected'), 2);
      },
      { isStarted: false },
    ));

  test('waits for a hanging Redis once, then refuses at once for a while', () =>
    inScene(async (scene) => {
      const { redis, connection, log } = scene;
      redis.signal('SIGSTOP');
      await assert.rejects(ask(scene), /did not answer within 50 ms/);
      await assert.rejects(ask(scene), /not available/);
      assert.equal(connection.isUp(), false);
      redis.signal('SIGCONT');
      await until(() => connection.isUp());
      assert.equal(await ask(scene), null);
      assert.equal(linesWith(log(), 'Redis cannot be used'), 1, log());
    }));

  test('is down with a wrong password, and does not repeat it', () =>
    inScene(
      async (scene) => {
        const { connection, log } = scene;
        await until(() => log().includes('Redis cannot be used'));
        assert.match(log(), /WRONGPASS/);
        assert.equal(connection.isUp(), false);
        await assert.rejects(ask(scene));
        assert.doesNotMatch(log(), /mistaken/);
        assert.equal(linesWith(log(), 'Redis cannot be used'), 1, log());
      },
      { password: 'mistaken' },
    ));

  test('stays up when Redis refuses a command for want of memory, and logs it once', () =>
    inScene(async (scene) => {
      const { connection, log } = scene;
      await connection.ask((client) => client.config('SET', 'maxmemory', '1'));
      for (let count = 0; count < 3; count += 1)
        await assert.rejects(
          connection.ask((client) => client.set('key', 'value')),
          /OOM/,
        );
      assert.equal(await ask(scene), null);
      assert.equal(linesWith(log(), 'Redis refuses a command'), 1, log());
      assert.equal(linesWith(log(), 'Redis cannot be used'), 0, log());
    }));

  test('hears a channel again after an outage', () =>
    inScene(
      async ({ redis, connection }) => {
        const heard: string[] = [];
        connection.subscribe('channel', (message) => heard.push(message));
        const others = new Redis(redis.url, { retryStrategy: () => 50, maxRetriesPerRequest: null });
        others.on('error', () => undefined);
        try {
          for (const message of ['one', 'two']) {
            await redis.start();
            await until(async () => {
              await others.publish('channel', message);
              return heard.includes(message);
            });
            await redis.kill();
          }
        } finally {
          others.disconnect();
        }
      },
      { isStarted: false },
    ));
});
