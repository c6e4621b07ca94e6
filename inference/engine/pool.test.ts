import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { ServiceError } from '../errors.ts';
import type { ObedientWork } from '../testing/obedient-worker.ts';
import type { Priority } from './job-queue.ts';
import { type PoolOptions, WorkerPool } from './pool.ts';

const never = new AbortController().signal;
const hasCode = (code: string) => (error: ServiceError) =>
  error instanceof ServiceError && error.code === code;

/** A started pool of one worker with one slot, unless told otherwise; it is closed after the test. */
async function startedPool(context: TestContext, overrides: Partial<PoolOptions<ObedientWork>> = {}) {
  const events: string[] = [];
  const lost: string[] = [];
  const pool = new WorkerPool<ObedientWork>({
    entry: new URL('../testing/obedient-worker.ts', import.meta.url),
    settings: {},
    size: 1,
    slotsPerWorker: 1,
    maxQueue: 2,
    heartbeatMs: 50,
    stallMs: 10_000,
    onReady: () => undefined,
    onEvent: (event) => events.push(event),
    onWorkerLost: (reason) => lost.push(reason),
    ...overrides,
  });
  context.after(() => pool.close());
  await pool.start();
  return { pool, events, lost };
}

/** Lets jobs that hold on end. */
function openGate(gate: SharedArrayBuffer): void {
  const state = new Int32Array(gate);
  Atomics.store(state, 0, 1);
  Atomics.notify(state, 0);
}

async function until(condition: () => boolean): Promise<void> {
  for (let waited = 0; !condition(); waited += 10) {
    assert.ok(waited < 10_000, 'the condition did not become true within 10 s');
    await delay(10);
  }
}

describe('a worker pool', () => {
  test('answers every job with its own result', async (context) => {
    const { pool } = await startedPool(context, { size: 2, slotsPerWorker: 2, maxQueue: 100 });
    const jobs = Array.from({ length: 50 }, (_, value) => pool.run({ do: 'echo', value }, { signal: never }));
    assert.deepEqual(
      (await Promise.all(jobs)).map(({ result }) => result),
      Array.from({ length: 50 }, (_, value) => value),
    );
    const idle = { queued: 0, oldestQueuedMs: 0 };
    const waiting = { interactive: idle, batch: idle };
    assert.deepEqual(pool.state(), { size: 2, readyWorkers: 2, running: 0, ...idle, waiting });
  });

  test('refuses what does not fit into its queue, and says how old the oldest waiting job is', async (context) => {
    const { pool } = await startedPool(context);
    const accepted = [1, 2, 3].map(() => pool.run({ do: 'wait', ms: 60 }, { signal: never }));
    await assert.rejects(pool.run({ do: 'echo', value: 1 }, { signal: never }), hasCode('queue_full'));
    await delay(20);
    const { queued, running, oldestQueuedMs } = pool.state();
    assert.deepEqual([queued, running], [2, 1]);
    assert.ok(oldestQueuedMs >= 15, `${oldestQueuedMs}`);
    const waits = (await Promise.all(accepted)).map(({ queueMs }) => queueMs);
    assert.ok((waits[2] ?? 0) > (waits[1] ?? 0), 'later jobs wait longer');
  });

  test('carries errors of the table with their code, and others as text', async (context) => {
    const { pool } = await startedPool(context);
    await assert.rejects(pool.run({ do: 'refuse' }, { signal: never }), hasCode('empty_media'));
    await assert.rejects(pool.run({ do: 'fail' }, { signal: never }), /broken inside/);
  });

  test('drops a waiting job at once when its client leaves', async (context) => {
    const { pool } = await startedPool(context);
    const running = pool.run({ do: 'wait', ms: 50 }, { signal: never });
    const client = new AbortController();
    const waiting = pool.run({ do: 'wait', ms: 10_000 }, { signal: client.signal });
    client.abort(new Error('gone'));
    await assert.rejects(waiting, /gone/);
    assert.equal(pool.state().queued, 0);
    await running;
  });

  test('cancels a running job inside its worker when its client leaves', async (context) => {
    const { pool, events } = await startedPool(context);
    const client = new AbortController();
    const running = pool.run({ do: 'wait', ms: 60_000 }, { signal: client.signal });
    await delay(20);
    client.abort(new Error('gone'));
    await assert.rejects(running, /gone/);
    await until(() => events.includes('cancelled') && pool.state().running === 0);
    assert.equal((await pool.run({ do: 'echo', value: 4 }, { signal: never })).result, 4);
  });

  test('does not begin a job whose client has left before', async (context) => {
    const { pool } = await startedPool(context);
    await assert.rejects(
      pool.run({ do: 'echo', value: 1 }, { signal: AbortSignal.abort(new Error('gone')) }),
      /gone/,
    );
  });

  test('replaces a worker that exits, fails its job only and goes on', async (context) => {
    const { pool, lost } = await startedPool(context);
    const doomed = pool.run({ do: 'exit' }, { signal: never });
    const waiting = pool.run({ do: 'echo', value: 5 }, { signal: never });
    await assert.rejects(doomed, hasCode('worker_lost'));
    assert.equal(pool.state().readyWorkers, 0);
    assert.equal((await waiting).result, 5);
    assert.deepEqual(lost, ['the worker thread exited with code 7']);
  });

  test('replaces a worker that has stopped answering', async (context) => {
    const { pool, lost } = await startedPool(context, { heartbeatMs: 20, stallMs: 200 });
    await assert.rejects(pool.run({ do: 'block', ms: 2_000 }, { signal: never }), hasCode('worker_lost'));
    assert.match(lost[0] ?? '', /has not answered for 200 ms/);
    await until(() => pool.state().readyWorkers === 1);
  });

  test('fails to start with the reason of the worker', async (context) => {
    await assert.rejects(startedPool(context, { settings: { refuses: true } }), /^Error: there is a reason$/);
  });

  test('fails what is left when it closes', async (context) => {
    const { pool } = await startedPool(context);
    const left = [
      pool.run({ do: 'wait', ms: 60_000 }, { signal: never }),
      pool.run({ do: 'wait', ms: 60_000 }, { signal: never }),
    ];
    const closed = pool.close();
    for (const job of left) await assert.rejects(job, hasCode('worker_lost'));
    await closed;
  });

  test('starts interactive jobs before batch jobs', async (context) => {
    const { pool } = await startedPool(context, { maxQueue: 10 });
    const order: string[] = [];
    const run = (name: string, priority: Priority) =>
      pool.run({ do: 'wait', ms: 1 }, { signal: never, priority }).then(() => order.push(name));
    await Promise.all([run('first', 'batch'), run('batch', 'batch'), run('interactive', 'interactive')]);
    assert.deepEqual(order, ['first', 'interactive', 'batch']);
  });
});

describe('workers that are replaced', () => {
  test('finish what they hold, while what waits goes to the new ones', async (context) => {
    const { pool } = await startedPool(context, { settings: { id: 1 }, maxQueue: 10 });
    const gate = new SharedArrayBuffer(4);
    const held = pool.run({ do: 'hold', gate }, { signal: never });
    const waiting = pool.run({ do: 'who' }, { signal: never });
    await pool.replace({ id: 2 });
    const { result, settings } = await waiting;
    assert.deepEqual([result, settings], [2, { id: 2 }]);
    openGate(gate);
    assert.deepEqual((await held).settings, { id: 1 });
    assert.equal(pool.state().readyWorkers, 1);
  });

  test('lose no job, and fail none, whatever is asked of them meanwhile', async (context) => {
    const { pool, lost } = await startedPool(context, { size: 2, slotsPerWorker: 2, maxQueue: 1_000 });
    let replacing = true;
    const clients = Array.from({ length: 8 }, async () => {
      const answers: number[] = [];
      while (replacing) answers.push((await pool.run({ do: 'who' }, { signal: never })).result);
      return answers;
    });
    for (const id of [1, 2, 3]) await pool.replace({ id });
    replacing = false;
    for (const answers of await Promise.all(clients)) {
      assert.deepEqual(answers, answers.toSorted(), 'no answer of old workers comes after one of new ones');
    }
    assert.deepEqual(lost, []);
  });

  test('stay where a new one does not start, and the reason is told', async (context) => {
    const { pool, lost } = await startedPool(context, { settings: { id: 1 } });
    await assert.rejects(pool.replace({ refuses: true }), /^Error: there is a reason$/);
    assert.equal((await pool.run({ do: 'who' }, { signal: never })).result, 1);
    assert.deepEqual([pool.state().readyWorkers, lost], [1, []]);
  });

  test('fail only their own jobs when they die', async (context) => {
    const { pool, lost } = await startedPool(context, { settings: { id: 1 }, maxQueue: 10 });
    const gate = new SharedArrayBuffer(4);
    const doomed = pool.run({ do: 'hold', gate, exits: true }, { signal: never });
    await pool.replace({ id: 2 });
    openGate(gate);
    await assert.rejects(doomed, hasCode('worker_lost'));
    assert.equal((await pool.run({ do: 'who' }, { signal: never })).result, 2);
    assert.deepEqual([pool.state().readyWorkers, lost], [1, []]);
  });

  test('are not replaced any more once the pool closes', async (context) => {
    const { pool } = await startedPool(context);
    const replaced = assert.rejects(pool.replace({ id: 2 }), /worker/);
    await pool.close();
    await replaced;
  });
});
