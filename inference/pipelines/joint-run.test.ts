import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { Assignment, CompletedAnalysis } from './analyzer.ts';
import { type JointAnalyzer, JointRun } from './joint-run.ts';

const never = new AbortController().signal;

function assignment(name: string): Assignment {
  return { path: '/f', media: { kind: 'video' }, model: { name } } as unknown as Assignment;
}

/** Remembers what it is asked for; models whose names begin with `bad` fail. */
function fakeAnalyzer() {
  const asked: string[][] = [];
  const signals: AbortSignal[] = [];
  const completed = ({ model }: Assignment) => ({ model }) as unknown as CompletedAnalysis;
  const analyzer: JointAnalyzer = {
    analyze: async (one) => {
      asked.push([one.model.name]);
      return completed(one);
    },
    analyzeJointly: async (several, { signal, onProgress }) => {
      asked.push(several.map(({ model }) => model.name));
      signals.push(signal);
      for (const { model } of several) {
        const message = model.name;
        onProgress(model.name, { event: 'FRAME_ANALYSIS_PROGRESS', message, progress: 1, total: 2 });
      }
      return new Map(
        several.map((one) => [
          one.model.name,
          one.model.name.startsWith('bad') ? new Error(`${one.model.name} failed`) : completed(one),
        ]),
      );
    },
  };
  return { analyzer, asked, signals };
}

describe('a joint run', () => {
  test('is one job for all who take a seat, each with its own outcome and steps', async () => {
    const { analyzer, asked } = fakeAnalyzer();
    const run = new JointRun(analyzer, 3);
    const steps: string[] = [];
    const outcomes = await Promise.allSettled(
      ['a', 'bad', 'c'].map((name) =>
        run.seat().analyze(assignment(name), {
          signal: never,
          onProgress: ({ message }) => steps.push(`${name}:${message}`),
        }),
      ),
    );
    assert.deepEqual(asked, [['a', 'bad', 'c']]);
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    );
    assert.deepEqual(steps, ['a:a', 'bad:bad', 'c:c']);
  });

  test('waits for who has not decided, and not for who has left', async () => {
    const { analyzer, asked } = fakeAnalyzer();
    const run = new JointRun(analyzer, 2);
    const [one, other] = [run.seat(), run.seat()];
    const outcome = one.analyze(assignment('a'), { signal: never });
    await Promise.resolve();
    assert.deepEqual(asked, []);
    other.leave();
    other.leave();
    assert.equal((await outcome).model.name, 'a');
    assert.deepEqual(asked, [['a']]);
    // Who left and has to run after all runs alone.
    await other.analyze(assignment('b'), { signal: never });
    assert.deepEqual(asked, [['a'], ['b']]);
  });

  for (const { name, others } of [
    { name: 'comes to its end', others: {} },
    {
      name: 'fails',
      others: { analyzeJointly: () => Promise.reject(new Error('the worker is lost')) },
    },
  ] satisfies readonly { name: string; others: Partial<JointAnalyzer> }[]) {
    test(`leaves nobody listening to its passengers when it ${name}`, async () => {
      const run = new JointRun({ ...fakeAnalyzer().analyzer, ...others }, 2);
      const signals = [new AbortController().signal, new AbortController().signal];
      const outcomes = signals.map((signal, at) => run.seat().analyze(assignment(`m${at}`), { signal }));
      assert.ok(signals.every((signal) => getEventListeners(signal, 'abort').length > 0));
      await Promise.allSettled(outcomes);
      await setImmediate();
      assert.deepEqual(
        signals.map((signal) => getEventListeners(signal, 'abort').length),
        [0, 0],
      );
    });
  }

  test('ends when the last of them gives up', async () => {
    const { analyzer, signals } = fakeAnalyzer();
    const run = new JointRun(analyzer, 2);
    const leaving = [new AbortController(), new AbortController()] as const;
    const outcomes = leaving.map(({ signal }, at) => run.seat().analyze(assignment(`m${at}`), { signal }));
    const settled = Promise.allSettled(outcomes);
    leaving[0].abort(new Error('left'));
    assert.equal(signals[0]?.aborted, false);
    leaving[1].abort(new Error('left'));
    assert.equal(signals[0]?.aborted, true);
    for (const { status } of await settled) assert.equal(status, 'rejected');
  });
});
