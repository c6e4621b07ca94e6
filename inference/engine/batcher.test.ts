import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { Batcher, type BatchLimits, type Run } from './batcher.ts';

const never = new AbortController().signal;
const wide: BatchLimits = { maxItems: 4, maxElements: 1_000, maxDelayMs: 0 };
/** An item whose first number is this one cannot be computed. */
const poison = -1;

/** A graph whose value of an item is its first number; a run ends in a later turn of the event loop, as those of ONNX Runtime do. */
function recorder() {
  const runs: number[][] = [];
  const run: Run<number> = async (batch, items, itemShape) => {
    await turn();
    const length = itemShape.reduce((product, side) => product * side, 1);
    assert.equal(batch.length, items * length, 'a run has the items that it says');
    const values = Array.from({ length: items }, (_, index) => batch[index * length] ?? NaN);
    runs.push(values);
    if (values.includes(poison)) throw new Error('a bad item');
    return values;
  };
  return { runs, run };
}

/** Items of the given values: each is a row of `length` times its value. */
function itemsOf(values: readonly number[], length = 1): Float32Array {
  return Float32Array.from(values.flatMap((value) => Array.from({ length }, () => value)));
}

describe('a batcher', () => {
  test('answers a job without items without a run', async () => {
    const { runs, run } = recorder();
    assert.deepEqual(await new Batcher(run, wide).submit(itemsOf([]), [1], never), []);
    assert.deepEqual(runs, []);
  });

  const sharing: {
    name: string;
    limits?: Partial<BatchLimits>;
    jobs: { values: number[]; length?: number }[];
    runs: number[][];
  }[] = [
    {
      name: 'cuts a job at the limit of items',
      jobs: [{ values: [1, 2, 3, 4, 5] }],
      runs: [[1, 2, 3, 4], [5]],
    },
    {
      name: 'lets jobs that came during a run share the next one, item by item in turn',
      jobs: [{ values: [1, 2, 3, 4] }, { values: [11, 12, 13] }, { values: [21] }],
      runs: [
        [1, 2, 3, 4],
        [11, 21, 12, 13],
      ],
    },
    {
      name: 'gives a small job its turn where runs take one item',
      limits: { maxItems: 1 },
      jobs: [{ values: [1, 2, 3, 4] }, { values: [11] }],
      runs: [[1], [2], [11], [3], [4]],
    },
    {
      name: 'counts the numbers of large items',
      limits: { maxElements: 20 },
      jobs: [{ values: [1, 2, 3], length: 10 }],
      runs: [[1, 2], [3]],
    },
    {
      name: 'computes an item that is larger than the limit alone',
      limits: { maxElements: 5 },
      jobs: [{ values: [1, 2], length: 10 }],
      runs: [[1], [2]],
    },
    {
      name: 'never mixes shapes in a run, and lets them take turns',
      limits: { maxItems: 2 },
      jobs: [{ values: [1, 2, 3, 4] }, { values: [11, 12], length: 2 }, { values: [21] }],
      runs: [[1, 2], [3, 21], [11, 12], [4]],
    },
  ];
  for (const { name, limits, jobs, runs: expected } of sharing) {
    test(name, async () => {
      const { runs, run } = recorder();
      const batcher = new Batcher(run, { ...wide, ...limits });
      const answers = await Promise.all(
        jobs.map(({ values, length = 1 }) => batcher.submit(itemsOf(values, length), [length], never)),
      );
      assert.deepEqual(
        answers,
        jobs.map(({ values }) => values),
      );
      assert.deepEqual(runs, expected);
    });
  }

  test('waits for others where a delay is set, and no longer than that', async (context) => {
    context.mock.timers.enable({ apis: ['setTimeout'] });
    const { runs, run } = recorder();
    const batcher = new Batcher(run, { ...wide, maxDelayMs: 5 });
    const first = batcher.submit(itemsOf([1]), [1], never);
    context.mock.timers.tick(4);
    const second = batcher.submit(itemsOf([2]), [1], never);
    context.mock.timers.tick(1);
    await Promise.all([first, second]);
    assert.deepEqual(runs, [[1, 2]]);
  });

  test('does not wait when a run is full', async (context) => {
    context.mock.timers.enable({ apis: ['setTimeout'] });
    const { runs, run } = recorder();
    const batcher = new Batcher(run, { ...wide, maxDelayMs: 5 });
    await Promise.all(
      [
        [1, 2],
        [3, 4],
      ].map((values) => batcher.submit(itemsOf(values), [1], never)),
    );
    assert.deepEqual(runs, [[1, 3, 2, 4]]);
  });

  test('refuses a job whose client has left before', async () => {
    const { runs, run } = recorder();
    const gone = AbortSignal.abort(new Error('gone'));
    await assert.rejects(new Batcher(run, wide).submit(itemsOf([1]), [1], gone), /gone/);
    assert.deepEqual(runs, []);
  });

  test('never runs the items that an aborted job had left', async () => {
    const { runs, run } = recorder();
    const batcher = new Batcher(run, { ...wide, maxItems: 1 });
    const client = new AbortController();
    const leaving = batcher.submit(itemsOf([1, 2, 3]), [1], client.signal);
    const staying = batcher.submit(itemsOf([11, 12]), [1], never);
    client.abort(new Error('gone'));
    await assert.rejects(leaving, /gone/);
    assert.deepEqual(await staying, [11, 12]);
    assert.deepEqual(runs, [[1], [11], [12]]);
  });

  test('fails only the job whose item is bad, after trying items one by one', async () => {
    const { runs, run } = recorder();
    const batcher = new Batcher(run, wide);
    const jobs = [[0], [1, 2], [poison, 12], [21]].map((values) =>
      batcher.submit(itemsOf(values), [1], never),
    );
    const outcomes = await Promise.allSettled(jobs);
    assert.deepEqual(
      outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value : outcome.reason.message)),
      [[0], [1, 2], 'a bad item', [21]],
    );
    assert.deepEqual(runs, [[0], [1, poison, 21, 2], [1], [poison], [21], [2]]);
  });

  test('goes on after a run that failed', async () => {
    const batcher = new Batcher(recorder().run, wide);
    await assert.rejects(batcher.submit(itemsOf([poison, 1]), [1], never), /a bad item/);
    assert.deepEqual(await batcher.submit(itemsOf([3]), [1], never), [3]);
  });

  test('gives every job its own values in their order, whatever comes, leaves and fails', async () => {
    const job = fc.record({
      count: fc.integer({ min: 1, max: 12 }),
      length: fc.constantFrom(1, 2, 3),
      fate: fc.constantFrom<Fate>('stays', 'stays', 'leaves', 'is bad'),
      turnsBefore: fc.integer({ min: 0, max: 3 }),
    });
    const limits = fc.record({
      maxItems: fc.integer({ min: 1, max: 6 }),
      maxElements: fc.integer({ min: 1, max: 12 }),
      maxDelayMs: fc.constantFrom(0, 1),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(job, { maxLength: 8 }), limits, async (jobs, bounds) => {
        const { runs, run } = recorder();
        const batcher = new Batcher(run, bounds);
        await Promise.all(jobs.map((each, number) => live(batcher, each, 100 * (number + 1))));
        for (const values of runs) assert.ok(values.length <= bounds.maxItems);
      }),
      { numRuns: 200 },
    );
  });
});

type Fate = 'stays' | 'leaves' | 'is bad';

/** Submits items that count up from `first`, and expects what the fate says. */
async function live(
  batcher: Batcher<number>,
  job: { count: number; length: number; fate: Fate; turnsBefore: number },
  first: number,
): Promise<void> {
  const values = Array.from({ length: job.count }, (_, index) => first + index);
  if (job.fate === 'is bad') values[job.count - 1] = poison;
  for (let left = job.turnsBefore; left > 0; left -= 1) await turn();
  const client = new AbortController();
  const answer = batcher.submit(itemsOf(values, job.length), [job.length], client.signal);
  if (job.fate === 'leaves') client.abort(new Error('gone'));
  if (job.fate === 'stays') assert.deepEqual(await answer, values);
  else await assert.rejects(answer, job.fate === 'leaves' ? /gone/ : /a bad item/);
}
