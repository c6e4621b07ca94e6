import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Redis } from 'ioredis';
import { readConfig } from '../config/config.ts';
import { type RunningServer, startServer } from '../serve.ts';
import { flatImage, inTemporaryFolder } from '../testing/media.ts';
import { writeImagePackage } from '../testing/packages.ts';
import { freePort, RedisServer, redisPassword } from '../testing/redis.ts';
import { until } from '../testing/until.ts';
import { createLogger } from './logger.ts';
import type { ProgressEvent } from './progress.ts';

const channel = 'events-of-this-test';
const white = await flatImage({ width: 256, height: 256, level: 255, format: 'png' });

interface Scene {
  readonly redis: RedisServer;
  readonly server: RunningServer;
  /** Every message on the channel, in order. */
  readonly events: ProgressEvent[];
  /** Everything logged so far. */
  readonly log: () => string;
}

/** A pod and a subscriber, both pointed at a Redis that is not started yet. */
async function inScene(action: (scene: Scene) => Promise<void>): Promise<void> {
  await inTemporaryFolder(async (folder) => {
    await writeImagePackage(join(folder, 'picture'));
    const redis = new RedisServer(await freePort());
    const lines: string[] = [];
    const logger = createLogger('info', { write: (line) => lines.push(line) });
    const env = { PORT: '0', MODELS_DIR: folder, ENGINE_WORKERS: '1' };
    const redisEnv = { REDIS_URL: redis.url, MEDIA_PROGRESS_CHANNEL_NAME: channel };
    const server = await startServer(readConfig({ ...env, ...redisEnv }), logger);
    const subscriber = new Redis(redis.url, { maxRetriesPerRequest: null, retryStrategy: () => 50 });
    subscriber.on('error', () => undefined);
    const events: ProgressEvent[] = [];
    subscriber.on('message', (_channel, message) => events.push(JSON.parse(message)));
    subscriber.subscribe(channel).catch(() => undefined);
    try {
      await server.ready;
      await action({ redis, server, events, log: () => lines.join('') });
    } finally {
      subscriber.disconnect();
      await server.stop();
      await redis.kill();
    }
  });
}

async function analyze(
  server: RunningServer,
  media: Uint8Array,
  fields: Readonly<Record<string, string>>,
): Promise<number> {
  const form = new FormData();
  form.set('media', new Blob([new Uint8Array(media)]), 'f');
  for (const [name, value] of Object.entries(fields)) form.set(name, value);
  const headers = { 'x-request-id': `request-of-${fields['mediaId']}` };
  const response = await fetch(`${server.url}/analyze`, { method: 'POST', body: form, headers });
  await response.arrayBuffer();
  return response.status;
}

async function metric(server: RunningServer, name: string): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${name} `));
  return Number(line?.split(' ')[1] ?? 0);
}

/** Analyses until an event of one of these analyses arrives: the pod and the subscriber are both connected then. */
async function untilEventsFlow({ server, events }: Scene, mediaId: string): Promise<void> {
  await until(async () => {
    assert.equal(await analyze(server, white, { mediaId }), 200);
    return events.some(({ media_id }) => media_id === mediaId);
  });
}

function outagesIn(log: string): number {
  return log.split('Redis cannot be used').length - 1;
}

describe('progress events', { timeout: 90_000 }, () => {
  test('tell how analyses with a mediaId end, and nothing about others', () =>
    inScene(async (scene) => {
      const { redis, server, events, log } = scene;
      await redis.start();
      await untilEventsFlow(scene, 'warm-up');
      assert.equal(await analyze(server, white, {}), 200);
      const published = () => metric(server, 'deepfake_progress_events_total{result="published"}');
      const before = await published();
      const cut = white.subarray(0, 60);
      assert.equal(await analyze(server, white, { mediaId: 'm-1', userId: 'u-1' }), 200);
      assert.equal(await analyze(server, cut, { mediaId: 'm-2' }), 422);
      assert.equal(await analyze(server, white, { mediaId: 'm-3', userId: 'u-1', model: 'oracle' }), 422);
      await until(() => events.some(({ media_id }) => media_id === 'm-3'));
      const [complete, corrupt, unknown] = events.slice(-3);
      const ended = { progress: null, total: null };
      assert.match(complete?.id ?? '', /^[0-9a-f]{16}-1$/);
      assert.deepEqual(complete, {
        id: complete?.id,
        media_id: 'm-1',
        user_id: 'u-1',
        event: 'ANALYSIS_COMPLETE',
        message: 'DEEPFAKE by picture',
        data: {
          model_name: 'picture',
          ...ended,
          details: { verdict: 'DEEPFAKE', score: 0.982014, request_id: 'request-of-m-1' },
        },
      });
      assert.deepEqual([corrupt?.event, corrupt?.user_id], ['ANALYSIS_FAILED', null]);
      assert.deepEqual(corrupt?.data, {
        model_name: null,
        ...ended,
        details: { error: 'corrupt_media', request_id: 'request-of-m-2' },
      });
      assert.deepEqual(
        [unknown?.data.model_name, unknown?.data.details['error']],
        ['oracle', 'unknown_model'],
      );
      assert.ok(events.every(({ media_id }) => /^(warm-up|m-[123])$/.test(media_id)));
      await until(async () => (await published()) === before + 3);
      assert.equal(await metric(server, 'deepfake_redis_up'), 1);
      assert.doesNotMatch(log(), new RegExp(redisPassword));
    }));

  test('are dropped while Redis is away, from the start or later, and flow again afterwards', () =>
    inScene(async (scene) => {
      const { redis, server, log } = scene;
      const isServing = async () => {
        for (let count = 0; count < 3; count += 1)
          assert.equal(await analyze(server, white, { mediaId: 'lost' }), 200);
        assert.equal((await fetch(`${server.url}/health/ready`)).status, 200);
        assert.equal(await metric(server, 'deepfake_redis_up'), 0);
      };
      await isServing();
      assert.equal(await metric(server, 'deepfake_progress_events_total{result="dropped"}'), 3);
      for (const outages of [1, 2]) {
        await redis.start();
        await untilEventsFlow(scene, `after-${outages}`);
        assert.equal(await metric(server, 'deepfake_redis_up'), 1);
        assert.equal(outagesIn(log()), outages, log());
        await redis.kill();
        await until(async () => (await metric(server, 'deepfake_redis_up')) === 0);
        await isServing();
      }
      assert.equal(outagesIn(log()), 3, log());
      assert.doesNotMatch(log(), new RegExp(redisPassword));
    }));

  test('hold up neither answers nor the end of the process when Redis hangs', () =>
    inScene(async (scene) => {
      const { redis, server } = scene;
      await redis.start();
      await untilEventsFlow(scene, 'before');
      redis.signal('SIGSTOP');
      const startedAt = performance.now();
      for (let count = 0; count < 3; count += 1)
        assert.equal(await analyze(server, white, { mediaId: 'unheard' }), 200);
      assert.equal(await server.stop(), true);
      assert.ok(performance.now() - startedAt < 4_000, 'a hanging Redis held the server up');
    }));
});
