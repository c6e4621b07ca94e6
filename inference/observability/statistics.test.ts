import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Statistics } from './statistics.ts';

test('requests and what they took add up by stage, and the rest of each is its output', () => {
  const statistics = new Statistics(() => 1234);
  statistics.succeeded('m', { requestMs: 100, queueMs: 10, inputMs: 20, inferMs: 60 });
  statistics.succeeded('m', { requestMs: 50, queueMs: 0, inputMs: 10, inferMs: 30 });
  statistics.failed('m', 7);
  const { lastInferenceAt, success, fail, queue, computeInput, computeInfer, computeOutput } =
    statistics.of('m');
  assert.deepEqual(
    { lastInferenceAt, success, fail, queue, computeInput, computeInfer, computeOutput },
    {
      lastInferenceAt: 1234,
      success: { count: 2, ms: 150 },
      fail: { count: 1, ms: 7 },
      queue: { count: 2, ms: 10 },
      computeInput: { count: 2, ms: 30 },
      computeInfer: { count: 2, ms: 90 },
      computeOutput: { count: 2, ms: 20 },
    },
  );
});

test('runs of a graph are counted by the items that they computed', () => {
  const statistics = new Statistics();
  for (const [items, ms] of [
    [4, 40],
    [1, 12],
    [4, 44],
  ] as const)
    statistics.executed('m', items, ms);
  const { inferences, executions, batches } = statistics.of('m');
  assert.deepEqual([inferences, executions], [9, 3]);
  assert.deepEqual(batches, [
    { batchSize: 1, infer: { count: 1, ms: 12 } },
    { batchSize: 4, infer: { count: 2, ms: 84 } },
  ]);
});

test('models do not share their statistics, and one that did nothing has zeros', () => {
  const statistics = new Statistics();
  statistics.failed('a', 1);
  assert.equal(statistics.of('a').fail.count, 1);
  assert.equal(statistics.of('b').fail.count, 0);
});
