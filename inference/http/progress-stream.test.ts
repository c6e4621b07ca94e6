import assert from 'node:assert/strict';
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { type FastifyReply, fastify } from 'fastify';
import { serviceError } from '../errors.ts';
import type { ProgressEvent } from '../observability/progress.ts';
import { allEvents, type ReadEvent, readEvents } from '../testing/event-reader.ts';
import { flatImage, tone } from '../testing/media.ts';
import { metricOf, type Pod, upload, withPods } from '../testing/pods.ts';
import { freePort, RedisServer } from '../testing/redis.ts';
import { form, send, withTestServer } from '../testing/server.ts';
import { until } from '../testing/until.ts';
import { answerWithProgress } from './progress-stream.ts';

const white = await flatImage({ width: 300, height: 300, level: 255, format: 'png' });
const events = { accept: 'text/event-stream' };

const step = (number: number, message = ''): ProgressEvent => ({
  id: `run-${number}`,
  media_id: 'm',
  user_id: null,
  event: 'FRAME_ANALYSIS_PROGRESS',
  message,
  data: { model_name: null, progress: number, total: 3, details: {} },
});

type Work = (tell: (event: ProgressEvent) => void, reply: FastifyReply) => Promise<unknown>;

/** A server whose only answer is what the work comes to. */
async function withWork(work: Work, action: (url: string) => Promise<void>): Promise<void> {
  const app = fastify();
  app.get('/', (request, reply) =>
    answerWithProgress(request, reply, (onProgress = () => undefined) => work(onProgress, reply)),
  );
  const url = await app.listen({ port: 0, host: '127.0.0.1' });
  try {
    await action(url);
  } finally {
    app.server.closeAllConnections();
    await app.close();
  }
}

describe('an answer with progress', { timeout: 60_000 }, () => {
  test('tells the steps in their order and then what others get as the whole answer', () =>
    withWork(
      async (tell) => {
        for (const number of [1, 2, 3]) tell(step(number));
        tell({ ...step(4), event: 'ANALYSIS_COMPLETE' });
        return { verdict: 'yes' };
      },
      async (url) => {
        const response = await fetch(url, { headers: events });
        assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream/);
        assert.deepEqual(await allEvents(response), [
          ...[1, 2, 3].map((number) => ({ event: 'progress', id: `run-${number}`, data: step(number) })),
          { event: 'result', id: undefined, data: { verdict: 'yes' } },
        ]);
        assert.deepEqual(await (await fetch(url)).json(), { verdict: 'yes' });
      },
    ));

  test('ends with the error where steps were told before it', () =>
    withWork(
      async (tell) => {
        tell(step(1));
        throw serviceError('worker_lost', {});
      },
      async (url) => {
        const response = await fetch(url, { headers: events });
        const [, last] = await allEvents(response);
        assert.deepEqual([response.status, last?.event, last?.data.error], [200, 'error', 'worker_lost']);
        assert.equal(last?.data.status, 500);
      },
    ));

  test('is kept alive while nothing happens', (context) => {
    context.mock.timers.enable({ apis: ['setInterval'] });
    const finished = Promise.withResolvers<string>();
    const started = Promise.withResolvers<void>();
    return withWork(
      async () => {
        started.resolve();
        return finished.promise;
      },
      async (url) => {
        const asked = fetch(url, { headers: events });
        await started.promise;
        context.mock.timers.tick(30_000);
        const response = await asked;
        finished.resolve('done');
        assert.equal(
          await response.text(),
          ': still here\n\n: still here\n\nevent: result\ndata: "done"\n\n',
        );
      },
    );
  });

  test('is cut where the client does not read', async () => {
    const cut = Promise.withResolvers<void>();
    await withWork(
      async (tell, reply) => {
        reply.raw.once('close', cut.resolve);
        for (let number = 1; !reply.raw.destroyed; number += 1) {
          tell(step(number, 'x'.repeat(64 * 1024)));
          await turn();
        }
      },
      async (url) => {
        const request = get(url, { headers: events });
        const [response] = (await once(request, 'response')) as [IncomingMessage];
        response.pause();
        response.on('error', () => undefined);
        await cut.promise;
        request.destroy();
      },
    );
  });
});

describe('POST /analyze for a client that accepts events', { timeout: 60_000 }, () => {
  test('tells what the detector does, and then its verdict', () =>
    withTestServer(async (server) => {
      const sound = form(['media', tone({ seconds: 3, shape: 'square' })], ['mediaId', 'sound']);
      const told = await allEvents(await send(server, '/analyze', sound, events));
      assert.deepEqual(
        told.map(({ event, data }) => [event, data.event ?? data.data.verdict]),
        [
          ['progress', 'SPECTROGRAM_GENERATION_START'],
          ['progress', 'SPECTROGRAM_GENERATION_COMPLETE'],
          ['result', 'DEEPFAKE'],
        ],
      );
      assert.deepEqual(
        told.slice(0, 2).map(({ id, data }) => [id?.split('-')[1], data.media_id]),
        [
          ['1', 'sound'],
          ['2', 'sound'],
        ],
      );
    }));

  test('answers with the result as an event, or with the usual refusal before anything was told', () =>
    withPods([{}], async (pod) => {
      const [result] = await allEvents(await upload(pod, white, { headers: events }));
      assert.deepEqual([result?.event, result?.data.data.verdict], ['result', 'DEEPFAKE']);
      const refused = await upload(pod, Buffer.from('no media'), { headers: events });
      assert.equal(refused.status, 415);
      assert.equal(((await refused.json()) as { error: string }).error, 'unsupported_media');
    }));
});

const follow = (
  { server }: Pod,
  mediaId: string,
  headers: Record<string, string> = {},
  signal?: AbortSignal,
) => fetch(`${server.url}/progress/${mediaId}`, signal === undefined ? { headers } : { headers, signal });
const streams = (pod: Pod) => metricOf(pod, 'deepfake_progress_streams');

describe('GET /progress', { timeout: 90_000 }, () => {
  test('follows a media that another pod analyses, tells again what was missed, and says when nothing follows', async () => {
    const redis = new RedisServer(await freePort());
    await redis.start();
    const env = { REDIS_URL: redis.url };
    try {
      await withPods([env, env], async (one, other) => {
        if (one === undefined || other === undefined) throw new Error('two pods were started');
        await until(async () => {
          await upload(one, white, { fields: { mediaId: 'warm-up' } });
          const heard = await follow(other, 'warm-up', { 'last-event-id': 'none' }, AbortSignal.timeout(300))
            .then(
              (response) => readEvents(response).next(),
              () => undefined,
            )
            .catch(() => undefined);
          return heard?.value !== undefined;
        });
        const followers = await Promise.all([one, other, other].map((pod) => follow(pod, 'm')));
        await upload(one, Buffer.from('no media'), { fields: { mediaId: 'unrelated' } });
        await upload(one, white, { fields: { mediaId: 'm', userId: 'u' } });
        const told: ReadEvent[][] = await Promise.all(followers.map((response) => allEvents(response)));
        const [first] = told;
        assert.deepEqual(
          first?.map(({ event, data }) => [event, data.event, data.user_id]),
          [['progress', 'ANALYSIS_COMPLETE', 'u']],
        );
        for (const others of told) assert.deepEqual(others, first);
        const lastId = first?.at(-1)?.id ?? '';
        for (const pod of [one, other])
          assert.equal((await follow(pod, 'm', { 'last-event-id': lastId })).status, 204);
        const replayed = await allEvents(await follow(other, 'm', { 'last-event-id': 'lost' }));
        assert.deepEqual(replayed, first);
      });
    } finally {
      await redis.kill();
    }
  });

  test('ends after its time, and when the server stops', () =>
    withPods([{ PROGRESS_STREAM_TIMEOUT_MS: '200' }, {}], async (brief, pod) => {
      if (brief === undefined || pod === undefined) throw new Error('two pods were started');
      assert.deepEqual(await allEvents(await follow(brief, 'm')), []);
      assert.equal(await streams(brief), 0);
      const response = await follow(pod, 'm');
      assert.equal(await pod.server.stop(), true);
      assert.deepEqual(await allEvents(response), []);
    }));

  test('is refused beyond the limit, without a key, and free again for the next', () =>
    withPods([{ MAX_PROGRESS_STREAMS: '1', API_KEY: 'key' }], async (pod) => {
      const headers = { 'x-api-key': 'key' };
      const client = new AbortController();
      await follow(pod, 'm', headers, client.signal);
      const refused = await follow(pod, 'm', headers);
      assert.deepEqual([refused.status, refused.headers.get('retry-after')], [503, '1']);
      assert.equal(((await refused.json()) as { error: string }).error, 'too_many_streams');
      assert.equal((await follow(pod, 'm')).status, 401);
      client.abort();
      await until(async () => (await streams(pod)) === 0);
      const next = new AbortController();
      assert.equal((await follow(pod, 'm', headers, next.signal)).status, 200);
      next.abort();
    }));

  test('leaves nothing behind when 500 clients come and go', () =>
    withPods([{}], async (pod) => {
      for (let round = 0; round < 10; round += 1) {
        const client = new AbortController();
        const all = await Promise.all(
          Array.from({ length: 50 }, (_, index) => follow(pod, `m-${index % 5}`, {}, client.signal)),
        );
        assert.ok(all.every(({ status }) => status === 200));
        assert.equal(await streams(pod), 50);
        client.abort();
        await until(async () => (await streams(pod)) === 0);
      }
      assert.doesNotMatch(pod.log(), /MaxListeners|"level":"error"/);
    }));
});
