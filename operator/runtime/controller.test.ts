import assert from 'node:assert/strict';
import { it } from 'node:test';
import { pino } from 'pino';
import { Controller, type Outcome } from './controller.ts';
import { ApiError, TerminalError } from './errors.ts';
import { FakeClock } from './fake-clock.ts';
import type { KubeObject, ObjectKey } from './object.ts';
import type { Result } from './reconciler.ts';
import { type Change, Store } from './store.ts';

const log = pino({ level: 'silent' });
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** A controller whose passes do what the script says, one line per pass. */
function start(script: readonly (() => Promise<Result>)[]) {
  const clock = new FakeClock();
  const outcomes: Outcome[] = [];
  const keys: ObjectKey[] = [];
  const ending = new AbortController();
  const controller = new Controller({
    name: 'test',
    log,
    concurrency: 2,
    queue: { clock, random: () => 1, backoff: { baseMs: 100, capMs: 1_000 } },
    observe: () => ({ passEnded: (outcome) => outcomes.push(outcome) }),
    reconciler: {
      reconcile: (key) => {
        keys.push(key);
        return (script[keys.length - 1] ?? (async () => ({})))();
      },
    },
  });
  const running = controller.run(ending.signal);
  const stop = async () => {
    ending.abort();
    await running;
  };
  return { clock, controller, outcomes, keys, stop };
}

it('a failed pass comes back with growing delay, a good one resets it', async () => {
  const fail = async () => {
    throw new Error('scripted');
  };
  const { clock, controller, outcomes, keys, stop } = start([fail, fail, async () => ({}), fail]);
  controller.queue.add('n/a');
  await turn();
  for (const [delay, passes] of [
    [100, 2],
    [200, 3],
  ] as const) {
    clock.advance(delay - 1);
    await turn();
    assert.equal(keys.length, passes - 1);
    clock.advance(1);
    await turn();
    assert.equal(keys.length, passes);
  }
  controller.queue.add('n/a');
  await turn();
  clock.advance(100);
  await turn();
  assert.deepEqual(outcomes, ['error', 'error', 'success', 'error', 'success']);
  assert.deepEqual(keys[0], { namespace: 'n', name: 'a' });
  await stop();
});

it('passes that wait for nothing leave timers and sockets their turn', async () => {
  const { controller, keys, stop } = start([]);
  for (let index = 0; index < 100; index += 1) controller.queue.add(`n/${index}`);
  await turn();
  assert.ok(keys.length < 10, `${keys.length} passes without a turn of anything else`);
  while (keys.length < 100) await turn();
  await stop();
});

it('a terminal error is not retried', async () => {
  const { clock, controller, outcomes, stop } = start([
    async () => {
      throw new TerminalError('scripted');
    },
  ]);
  controller.queue.add('n/a');
  await turn();
  clock.advance(1_000_000);
  await turn();
  assert.deepEqual(outcomes, ['terminal_error']);
  await stop();
});

it('a pass that asks to be called again is, after that time', async () => {
  const { clock, controller, outcomes, stop } = start([async () => ({ requeueAfterMs: 5_000 })]);
  controller.queue.add('n/a');
  await turn();
  clock.advance(4_999);
  await turn();
  assert.deepEqual(outcomes, ['requeue_after']);
  clock.advance(1);
  await turn();
  assert.deepEqual(outcomes, ['requeue_after', 'success']);
  await stop();
});

it('stopping waits for the pass that runs', async () => {
  const release = Promise.withResolvers<Result>();
  const { controller, outcomes, stop } = start([() => release.promise]);
  controller.queue.add('n/a');
  await turn();
  const stopped = stop();
  await turn();
  assert.deepEqual(outcomes, []);
  release.resolve({});
  await stopped;
  assert.deepEqual(outcomes, ['success']);
});

it('a pass that the stop aborts is neither an error nor retried', async () => {
  const cut = Promise.withResolvers<Result>();
  const { controller, outcomes, stop } = start([() => cut.promise]);
  controller.queue.add('n/a');
  await turn();
  const stopped = stop();
  cut.reject(new Error('aborted'));
  await stopped;
  assert.deepEqual(outcomes, ['aborted']);
});

for (const { what, thrown, outcome } of [
  { what: 'a server that does not answer', thrown: new Error('refused'), outcome: 'error' },
  { what: 'wrong code', thrown: new TypeError('x is not a function'), outcome: 'panic' },
  { what: 'something thrown that is no error', thrown: 'oh', outcome: 'panic' },
  { what: 'a conflict', thrown: new ApiError('PATCH /x', 409, 'Conflict', 'old'), outcome: 'requeue' },
]) {
  it(`${what} ends a pass as ${outcome}, and the pass is repeated`, async () => {
    const { clock, controller, outcomes, stop } = start([
      async () => {
        throw thrown;
      },
    ]);
    controller.queue.add('n/a');
    await turn();
    clock.advance(100);
    await turn();
    assert.deepEqual(outcomes, [outcome, 'success']);
    await stop();
  });
}

it('a pass comes back no sooner than the server asked', async () => {
  const { clock, controller, outcomes, stop } = start([
    async () => {
      throw new ApiError('PATCH /x', 429, 'TooManyRequests', 'busy', [], 9_000);
    },
  ]);
  controller.queue.add('n/a');
  await turn();
  clock.advance(8_999);
  await turn();
  assert.deepEqual(outcomes, ['error']);
  clock.advance(1);
  await turn();
  assert.deepEqual(outcomes, ['error', 'success']);
  await stop();
});

it('a pass that takes too long is aborted, fails and is repeated', async () => {
  const outcomes: Outcome[] = [];
  const ending = new AbortController();
  const again = Promise.withResolvers<void>();
  let passes = 0;
  const controller = new Controller({
    name: 'test',
    log,
    timeoutMs: 10,
    queue: { backoff: { baseMs: 1, capMs: 1 } },
    observe: () => ({ passEnded: (outcome) => outcomes.push(outcome) }),
    reconciler: {
      reconcile: (_key, { signal }) => {
        passes += 1;
        if (passes === 2) again.resolve();
        return new Promise((_resolve, reject) =>
          signal.addEventListener('abort', () => reject(signal.reason)),
        );
      },
    },
  });
  const running = controller.run(ending.signal);
  controller.queue.add('n/a');
  await again.promise;
  assert.deepEqual(outcomes, ['error']);
  ending.abort();
  await running;
});

it('every line that a pass logs names the controller, the object and the pass', async () => {
  const lines: Record<string, unknown>[] = [];
  const logged = pino({ level: 'debug' }, { write: (line: string) => lines.push(JSON.parse(line)) });
  const ending = new AbortController();
  const controller = new Controller({
    name: 'test',
    log: logged,
    reconciler: {
      reconcile: async ({ name }, { log: own }) => {
        own.info('working');
        throw name === 'a' ? new TerminalError('scripted') : new Error('scripted');
      },
    },
  });
  const running = controller.run(ending.signal);
  controller.queue.add('n/a');
  controller.queue.add('n/b');
  await turn();
  ending.abort();
  await running;
  assert.equal(lines.length, 4);
  for (const { controller: by, namespace, name, reconcileID } of lines) {
    assert.deepEqual([by, namespace, ['a', 'b'].includes(String(name))], ['test', 'n', true]);
    assert.match(String(reconcileID), /^[0-9a-f-]{36}$/);
  }
  assert.equal(new Set(lines.map(({ reconcileID }) => reconcileID)).size, 2);
});

const object = (name: string): KubeObject => ({ metadata: { namespace: 'n', name, resourceVersion: '1' } });

/** A store with changes that the test tells of. */
function source() {
  const store = new Store<KubeObject>();
  const handlers: ((change: Change<KubeObject>) => void)[] = [];
  const informer = {
    store,
    onChange: (handler: (change: Change<KubeObject>) => void) => void handlers.push(handler),
  };
  const tell = (change: Change<KubeObject>) => {
    for (const handler of handlers) handler(change);
  };
  return { store, informer, tell };
}

/** A controller that notes what it works, one key at a time. */
function noting() {
  const worked: string[] = [];
  const controller = new Controller({
    name: 'test',
    log,
    concurrency: 1,
    reconciler: {
      reconcile: async ({ name }) => {
        worked.push(name);
        return {};
      },
    },
  });
  return { controller, worked };
}

it('an object that a mapping throws at costs the others nothing, at the start and at a change', async () => {
  const { store, informer, tell } = source();
  const { controller, worked } = noting();
  controller.watch(informer, ({ metadata }) => {
    if (metadata.name === 'odd') throw new Error('scripted');
    return [{ namespace: 'n', name: metadata.name }];
  });
  for (const name of ['odd', 'even']) store.set(object(name));
  const ending = new AbortController();
  const running = controller.run(ending.signal);
  await turn();
  assert.deepEqual(worked, ['even']);
  tell({ type: 'updated', previous: object('odd'), object: object('changed') });
  await turn();
  assert.deepEqual(worked, ['even', 'changed']);
  ending.abort();
  await running;
});

it('a standby queues nothing; once it runs it works all there is, what changes first', async () => {
  const { store, informer, tell } = source();
  const { controller, worked } = noting();
  const ending = new AbortController();
  controller.watch(informer);
  for (const name of ['a', 'b', 'c']) {
    store.set(object(name));
    tell({ type: 'added', object: object(name) });
    controller.add({ namespace: 'n', name });
  }
  assert.equal(controller.queue.depth(), 0);
  const running = controller.run(ending.signal);
  controller.add({ namespace: 'n', name: 'd' });
  tell({ type: 'resynced', object: object('b') });
  tell({ type: 'updated', previous: object('c'), object: object('c') });
  while (controller.queue.depth() > 0 || worked.length < 4) await turn();
  ending.abort();
  await running;
  assert.deepEqual(worked, ['a', 'd', 'c', 'b']);
});
