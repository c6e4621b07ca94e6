import assert from 'node:assert/strict';
import { it } from 'node:test';
import { pino } from 'pino';
import { Controller, type Outcome } from './controller.ts';
import { TerminalError } from './errors.ts';
import { FakeClock } from './fake-clock.ts';
import type { ObjectKey } from './object.ts';
import type { Result } from './reconciler.ts';

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
    onReconcile: (outcome) => outcomes.push(outcome),
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
