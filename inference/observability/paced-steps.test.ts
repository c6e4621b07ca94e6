import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { ProgressStep } from '../pipelines/analysis.ts';
import { PacedSteps } from './paced-steps.ts';

const count = (progress: number): ProgressStep => ({
  event: 'FRAME_ANALYSIS_PROGRESS',
  message: `${progress}`,
  progress,
  total: 99,
});
const stage: ProgressStep = {
  event: 'SPECTROGRAM_GENERATION_START',
  message: 'stage',
  progress: 0,
  total: 9,
};

/** Steps under a clock that only the test moves. */
function paced(context: TestContext) {
  const told: string[] = [];
  let now = 1000;
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const steps = new PacedSteps(
    ({ message }) => told.push(message),
    () => now,
  );
  const pass = (ms: number) => {
    now += ms;
    context.mock.timers.tick(ms);
  };
  return { steps, told, pass };
}

test('counts are told ten times a second at most, the newest of them', (context) => {
  const { steps, told, pass } = paced(context);
  for (let progress = 1; progress <= 50; progress += 1) {
    steps.add(count(progress));
    pass(10);
  }
  assert.deepEqual(told, ['1', '10', '20', '30', '40', '50']);
});

test('the last count is told although it came early', (context) => {
  const { steps, told, pass } = paced(context);
  steps.add(count(1));
  steps.add(count(2));
  steps.add(count(3));
  assert.deepEqual(told, ['1']);
  pass(100);
  assert.deepEqual(told, ['1', '3']);
  pass(1000);
  assert.deepEqual(told, ['1', '3']);
});

test('a stage is told at once, after the count that waits', (context) => {
  const { steps, told } = paced(context);
  for (const step of [count(1), count(2), stage, count(3)]) steps.add(step);
  assert.deepEqual(told, ['1', '2', 'stage', '3']);
});

test('a flush tells what waits, once', (context) => {
  const { steps, told, pass } = paced(context);
  for (const step of [count(1), count(2)]) steps.add(step);
  steps.flush();
  steps.flush();
  pass(1000);
  assert.deepEqual(told, ['1', '2']);
});
