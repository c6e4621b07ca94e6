import assert from 'node:assert/strict';
import { it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { pino } from 'pino';
import type { KubeClient } from './client.ts';
import { ApiError } from './errors.ts';
import { FakeClock } from './fake-clock.ts';
import type { Kind } from './object.ts';
import { OptionalInformer } from './optional-informer.ts';

const KIND: Kind = { apiVersion: 'x/v1', kind: 'Thing', plural: 'things', namespaced: true };
const CHECK_MS = 1_000;

/** A cluster that has the kind and one object of it while `served`. */
function setUp(served: boolean | 'unknown' | 'silent' = false) {
  const cluster = { served, lists: 0, forbidden: false };
  const client = {
    serves: async () => {
      if (cluster.served === 'silent') return new Promise<boolean>(() => undefined);
      if (cluster.served === 'unknown') throw new Error('no answer');
      return cluster.served;
    },
    list: async () => {
      cluster.lists += 1;
      if (cluster.forbidden) throw new ApiError('list', 403, 'Forbidden', 'podmonitors is forbidden');
      return { metadata: { resourceVersion: '1' }, items: [{ metadata: { namespace: 'n', name: 'a' } }] };
    },
    /** Silent until it is told to end. */
    async *watch(_kind: Kind, { signal }: { signal: AbortSignal }) {
      const { promise, reject } = Promise.withResolvers<never>();
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      yield await promise;
    },
  };
  const clock = new FakeClock();
  const informer = new OptionalInformer({
    client: client as unknown as KubeClient,
    kind: KIND,
    log: pino({ level: 'silent' }),
    checkMs: CHECK_MS,
    clock,
  });
  const seen: string[] = [];
  informer.onStateChange(() => seen.push(informer.state()));
  informer.onChange(({ type }) => seen.push(type));
  const ending = new AbortController();
  const running = informer.run(ending.signal);
  const settle = async () => {
    for (let count = 0; count < 50; count += 1) await turn();
  };
  const check = async () => {
    await settle();
    clock.advance(CHECK_MS);
    await settle();
  };
  const end = async () => {
    ending.abort();
    await running;
  };
  return { cluster, informer, seen, check, end };
}

it('watches while the kind is served, and tells when it comes and goes', async () => {
  const { cluster, informer, seen, check, end } = setUp();
  assert.equal(informer.settled(), false);
  await check();
  assert.deepEqual([informer.settled(), seen, cluster.lists], [true, ['absent'], 0]);
  cluster.served = true;
  await check();
  assert.deepEqual(seen, ['absent', 'unlisted', 'added', 'served']);
  assert.equal(informer.store.list().length, 1);
  await check();
  assert.equal(cluster.lists, 1);
  cluster.served = false;
  await check();
  assert.deepEqual([informer.state(), seen.at(-1), informer.store.list()], ['absent', 'absent', []]);
  cluster.served = true;
  await check();
  assert.equal(informer.state(), 'served');
  await end();
});

it('goes on as it was while the API server does not answer', async () => {
  const { cluster, informer, check, end } = setUp();
  cluster.served = true;
  await check();
  cluster.served = 'unknown';
  await check();
  assert.equal(informer.state(), 'served');
  await end();
});

it('tells a kind that may not be listed from one that is not served', async () => {
  const { cluster, informer, seen, check, end } = setUp(true);
  cluster.forbidden = true;
  await check();
  assert.deepEqual([informer.state(), informer.settled(), seen], ['unlisted', false, ['unlisted']]);
  await end();
});

it('is not settled before the API server answered', async () => {
  const { cluster, informer, check, end } = setUp('unknown');
  await check();
  assert.equal(informer.settled(), false);
  cluster.served = true;
  await check();
  assert.equal(informer.settled(), true);
  await end();
});

it('ends at once while it waits for an answer', { timeout: 10_000 }, async () => {
  const { end } = setUp('silent');
  await end();
});
