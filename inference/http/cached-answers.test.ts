import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Redis } from 'ioredis';
import { flatImage, noiseImage } from '../testing/media.ts';
import { metricOf, type Pod, type Upload, upload, withPods } from '../testing/pods.ts';
import { freePort, RedisServer } from '../testing/redis.ts';
import { until } from '../testing/until.ts';

const white = await flatImage({ width: 300, height: 300, level: 255, format: 'png' });
const black = await flatImage({ width: 300, height: 300, level: 0, format: 'png' });
/** Takes the slow model about a second. */
const large = await flatImage({ width: 900, height: 900, level: 255, format: 'png' });
const cut = (await noiseImage(300, 300, 'jpeg')).subarray(0, 9000);
const slow = { model: 'slow' };

async function answerTo(pod: Pod, media: Uint8Array, options?: Upload) {
  const response = await upload(pod, media, options);
  // biome-ignore lint/suspicious/noExplicitAny: the tests look at JSON of several shapes
  const body: any = await response.json();
  return { status: response.status, cache: response.headers.get('x-cache'), body };
}

const counted = (pod: Pod, result: string) => metricOf(pod, `deepfake_cache_total{result="${result}"}`);
const runs = (pod: Pod) => metricOf(pod, 'deepfake_stage_duration_seconds_count{stage="infer"}');

/** How many files lie in the folders for uploads of this process. */
async function uploadsOnDisk(): Promise<number> {
  const folders = (await readdir(tmpdir())).filter((name) =>
    name.startsWith(`deepfake-uploads-${process.pid}-`),
  );
  return (await Promise.all(folders.map((folder) => readdir(join(tmpdir(), folder))))).flat().length;
}
const queued = (pod: Pod) => metricOf(pod, 'deepfake_queue_depth{priority="interactive"}');

describe('a file that was judged before', () => {
  test('has the same answer without a worker, and with a name of its own', () =>
    withPods([{}], async (pod) => {
      const first = await answerTo(pod, white, { headers: { 'x-request-id': 'first' } });
      const again = await answerTo(pod, white, { headers: { 'x-request-id': 'again' } });
      assert.deepEqual([first.cache, first.body.cache], ['MISS', { hit: false }]);
      assert.deepEqual([again.cache, again.body.cache], ['HIT', { hit: true }]);
      assert.deepEqual([first.body.request_id, again.body.request_id], ['first', 'again']);
      const { timings_ms: timings, processing_time: _time, ...data } = again.body.data;
      const { timings_ms: _timings, processing_time: _firstTime, ...firstData } = first.body.data;
      assert.deepEqual(data, firstData);
      assert.deepEqual([timings.queue, timings.decode, timings.preprocess, timings.infer], [0, 0, 0, 0]);
      assert.ok(timings.cache >= 0);
      assert.deepEqual([await counted(pod, 'miss'), await counted(pod, 'hit'), await runs(pod)], [1, 1, 1]);
      assert.equal(await metricOf(pod, 'deepfake_cache_entries'), 1);
      assert.ok((await metricOf(pod, 'deepfake_cache_bytes')) > 300);
      assert.match(pod.log(), /"request_id":"again".*"cache":"hit".*"msg":"analysed"/);
    }));

  test('is judged by each model for itself, and told by its own claims', () =>
    withPods([{}], async (pod) => {
      await answerTo(pod, white);
      assert.equal((await answerTo(pod, white, { fields: slow })).cache, 'MISS');
      assert.equal((await answerTo(pod, black)).cache, 'MISS');
      assert.equal((await answerTo(pod, white, { fields: slow })).body.model_used, 'slow');
    }));

  const directives = [
    { header: 'max-age=0', asked: 'MISS', next: 'HIT', runs: 1 },
    { header: 'no-cache', asked: 'BYPASS', next: 'HIT', runs: 1 },
    { header: 'max-age=0, No-Store', asked: 'BYPASS', next: 'MISS', runs: 2 },
  ];
  for (const { header, asked, next, runs: expected } of directives) {
    test(`is ${next === 'HIT' ? 'known' : 'unknown'} after a request with Cache-Control: ${header}`, () =>
      withPods([{}], async (pod) => {
        assert.equal((await answerTo(pod, white, { headers: { 'cache-control': header } })).cache, asked);
        assert.equal((await answerTo(pod, white)).cache, next);
        assert.equal(await runs(pod), expected);
      }));
  }

  test('is judged anew where nothing is kept', () =>
    withPods([{ CACHE_TTL_SECONDS: '0' }], async (pod) => {
      for (let count = 0; count < 2; count += 1) assert.equal((await answerTo(pod, white)).cache, 'BYPASS');
      assert.equal(await runs(pod), 2);
    }));

  test('is judged anew when its time is over', () =>
    withPods([{ CACHE_TTL_SECONDS: '1' }], async (pod) => {
      await answerTo(pod, white);
      await until(async () => (await answerTo(pod, white)).cache === 'MISS');
    }));

  test('is refused again when it is damaged', () =>
    withPods([{}], async (pod) => {
      const first = await answerTo(pod, cut);
      const again = await answerTo(pod, cut);
      assert.deepEqual([first.status, first.cache], [422, 'MISS']);
      assert.deepEqual([again.status, again.cache], [422, 'HIT']);
      assert.deepEqual([again.body.error, again.body.message], ['corrupt_media', first.body.message]);
    }));

  test('is answered while the queue is full, and a new one is not', () =>
    withPods([{ MAX_QUEUE: '1' }], async (pod) => {
      await answerTo(pod, white);
      const busy = [0, 1, 2].map((level) =>
        flatImage({ width: 900, height: 900, level: 250 + level, format: 'png' }).then((media) =>
          answerTo(pod, media, { fields: slow }),
        ),
      );
      await until(async () => (await queued(pod)) === 1);
      assert.equal((await answerTo(pod, white)).cache, 'HIT');
      assert.equal((await answerTo(pod, black)).status, 503);
      assert.equal((await answerTo(pod, white, { headers: { 'cache-control': 'no-cache' } })).status, 503);
      assert.deepEqual(
        (await Promise.all(busy)).map(({ status }) => status),
        [200, 200, 200],
      );
    }));
});

describe('equal files at the same time', () => {
  test('are judged once', () =>
    withPods([{}], async (pod) => {
      const answers = await Promise.all([1, 2, 3, 4].map(() => answerTo(pod, large, { fields: slow })));
      assert.deepEqual(answers.map(({ cache }) => cache).sort(), [
        'COALESCED',
        'COALESCED',
        'COALESCED',
        'MISS',
      ]);
      assert.equal(new Set(answers.map(({ body }) => body.request_id)).size, 4);
      assert.equal(await runs(pod), 1);
    }));

  const leaders: {
    name: string;
    headers: Record<string, string>;
    leaves: (client: AbortController) => void;
  }[] = [
    { name: 'the first client leaves', headers: {}, leaves: (client) => client.abort() },
    {
      name: 'the deadline of the first one passes',
      headers: { 'x-request-timeout-ms': '600' },
      leaves: () => undefined,
    },
  ];
  for (const { name, headers, leaves } of leaders) {
    test(`are judged although ${name} while it waits`, () =>
      withPods([{ MAX_MEMORY_UPLOAD_BYTES: '0' }], async (pod) => {
        const others = await Promise.all(
          [1, 2].map((level) => flatImage({ width: 900, height: 900, level, format: 'png' })),
        );
        const busy = others.map((media) => answerTo(pod, media, { fields: slow }));
        await until(async () => (await uploadsOnDisk()) === 2);
        const client = new AbortController();
        const options = { fields: slow, headers, signal: client.signal };
        const first = upload(pod, large, options).then(
          ({ status }) => status,
          () => 'left',
        );
        await until(async () => (await queued(pod)) > 0);
        const second = answerTo(pod, large, { fields: slow });
        await until(async () => (await uploadsOnDisk()) === 4);
        leaves(client);
        assert.notEqual(await first, 200);
        const { status, body } = await second;
        assert.deepEqual([status, body.data?.verdict], [200, 'DEEPFAKE'], JSON.stringify(body));
        await Promise.all(busy);
        assert.equal(await uploadsOnDisk(), 0);
      }));
  }
});

describe('pods that share a Redis', { timeout: 90_000 }, () => {
  async function inScene(action: (redis: RedisServer, one: Pod, other: Pod) => Promise<void>): Promise<void> {
    const redis = new RedisServer(await freePort());
    await redis.start();
    const env = { REDIS_URL: redis.url, CACHE_BACKEND: 'redis' };
    try {
      await withPods([env, env], async (one, other) => {
        if (one === undefined || other === undefined) throw new Error('two pods were started');
        for (const pod of [one, other])
          await until(async () => (await metricOf(pod, 'deepfake_redis_up')) === 1);
        await action(redis, one, other);
      });
    } finally {
      await redis.kill();
    }
  }

  test('judge a file once', () =>
    inScene(async (redis, one, other) => {
      assert.equal((await answerTo(one, white)).cache, 'MISS');
      const [first, again] = [await answerTo(other, white), await answerTo(other, white)];
      assert.deepEqual([first.cache, again.cache, first.body.data.verdict], ['HIT', 'HIT', 'DEEPFAKE']);
      await redis.kill();
      assert.equal((await answerTo(other, white)).cache, 'HIT');
    }));

  test('judge anew what is damaged or forged in Redis', () =>
    inScene(async (redis, one, other) => {
      await answerTo(one, white);
      const client = new Redis(redis.url);
      const [key = ''] = await client.keys('deepfake:judgement:*');
      assert.ok((await client.pttl(key)) > 3_500_000);
      await client.set(key, '{"type":"analysis","analysis":{"score":null,"verdict":"AUTHENTIC"}}');
      client.disconnect();
      const { cache, body } = await answerTo(other, white);
      assert.deepEqual([cache, body.data.verdict, await counted(other, 'error')], ['MISS', 'DEEPFAKE', 1]);
    }));

  test('go on alone while it is away, and with it when it is back', () =>
    inScene(async (redis, one, other) => {
      await redis.kill();
      for (const pod of [one, other]) {
        assert.equal((await answerTo(pod, white)).cache, 'MISS');
        assert.equal((await answerTo(pod, white)).cache, 'HIT');
        assert.ok((await counted(pod, 'error')) > 0);
      }
      await redis.start();
      for (const pod of [one, other])
        await until(async () => (await metricOf(pod, 'deepfake_redis_up')) === 1);
      await answerTo(one, black);
      assert.equal((await answerTo(other, black)).cache, 'HIT');
    }));

  test('are not held up when it hangs or is full', () =>
    inScene(async (redis, one, other) => {
      const client = new Redis(redis.url);
      await client.config('SET', 'maxmemory', '1');
      client.disconnect();
      assert.equal((await answerTo(one, white)).cache, 'MISS');
      assert.equal((await answerTo(one, white)).cache, 'HIT');
      assert.equal(await counted(one, 'error'), 1);
      redis.signal('SIGSTOP');
      assert.equal((await answerTo(other, white)).cache, 'MISS');
      assert.equal((await answerTo(other, white)).cache, 'HIT');
      redis.signal('SIGCONT');
    }));
});
