import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type AnalysisRun, analysisRun, type Metric, metric } from '../api/rollout/analysis.ts';
import {
  brokenRun,
  dueAt,
  effectiveCount,
  endedRun,
  isFinal,
  type Reading,
  underWay,
  withReadings,
  worstOf,
} from './evaluate.ts';

const START = Date.parse('2026-01-01T00:00:00Z');
const at = (seconds: number) => START + seconds * 1000;

const aMetric = (changes: object = {}): Metric =>
  metric.parse({ name: 'm', builtin: { metric: 'restarts', max: 0 }, ...changes });

const aRun: AnalysisRun = {
  id: 'step-1',
  revision: 'r2',
  phase: 'Running',
  startedAt: '2026-01-01T00:00:00Z',
};

const S: Reading = { phase: 'Successful', value: '1' };
const F: Reading = { phase: 'Failed', message: 'bad' };
const I: Reading = { phase: 'Inconclusive', message: 'too little' };
const E: Reading = { phase: 'Error', message: 'unreachable' };
const J: Reading = { phase: 'Running', job: 'd-p1' };

/** The run after these readings of each metric, one per ten seconds. */
function after(
  metrics: readonly Metric[],
  readings: readonly Readonly<Record<string, Reading>>[],
  background = false,
): AnalysisRun {
  return readings.reduce(
    (run, reading, index) =>
      withReadings(run, { metrics, background }, new Map(Object.entries(reading)), at(10 * index)),
    aRun,
  );
}

describe('a metric', () => {
  const rows: {
    name: string;
    spec: object;
    readings: readonly Reading[];
    background?: boolean;
    phase: string;
    message?: string;
  }[] = [
    { name: 'that is not measured yet', spec: {}, readings: [], phase: 'Pending' },
    { name: 'measured once', spec: {}, readings: [S], phase: 'Successful' },
    {
      name: 'that failed',
      spec: {},
      readings: [F],
      phase: 'Failed',
      message: 'failed (1) > failureLimit (0): bad',
    },
    {
      name: 'that failed as often as it may',
      spec: { interval: '1s', count: 3, failureLimit: 1 },
      readings: [F, S],
      phase: 'Running',
    },
    {
      name: 'that failed as often as it may, to its end',
      spec: { interval: '1s', count: 3, failureLimit: 1 },
      readings: [F, S, S],
      phase: 'Successful',
    },
    {
      name: 'that failed more often than it may',
      spec: { interval: '1s', count: 5, failureLimit: 1 },
      readings: [F, S, F],
      phase: 'Failed',
      message: 'failed (2) > failureLimit (1): bad',
    },
    {
      name: 'that is inconclusive',
      spec: {},
      readings: [I],
      phase: 'Inconclusive',
      message: 'inconclusive (1) > inconclusiveLimit (0): too little',
    },
    {
      name: 'that may be inconclusive once',
      spec: { interval: '1s', count: 2, inconclusiveLimit: 1 },
      readings: [I, S],
      phase: 'Successful',
    },
    {
      name: 'that may be inconclusive and never succeeded',
      spec: { interval: '1s', count: 2, inconclusiveLimit: 2 },
      readings: [I, I],
      phase: 'Inconclusive',
      message: 'no measurement succeeded: too little',
    },
    {
      name: 'that may fail and never succeeded',
      spec: { failureLimit: 1 },
      readings: [F],
      phase: 'Inconclusive',
      message: 'no measurement succeeded: bad',
    },
    {
      name: 'that could not be measured once',
      spec: {},
      readings: [E],
      phase: 'Running',
      message: 'unreachable',
    },
    { name: 'whose errors pass', spec: {}, readings: [E, E, E, E, S], phase: 'Successful' },
    {
      name: 'with five errors in a row',
      spec: {},
      readings: [E, E, E, E, E],
      phase: 'Error',
      message: 'errors in a row (5) > consecutiveErrorLimit (4): unreachable',
    },
    {
      name: 'with errors that are not in a row',
      spec: { interval: '1s', count: 9 },
      readings: [E, E, E, S, E, E, E],
      phase: 'Running',
    },
    {
      name: 'that allows no error',
      spec: { consecutiveErrorLimit: 0 },
      readings: [E],
      phase: 'Error',
    },
    { name: 'with an interval, in a step', spec: { interval: '1s' }, readings: [S], phase: 'Successful' },
    {
      name: 'with an interval, in the background',
      spec: { interval: '1s' },
      readings: [S, S, S],
      background: true,
      phase: 'Running',
    },
    {
      name: 'with an interval and a count, in the background',
      spec: { interval: '1s', count: 2 },
      readings: [S, S],
      background: true,
      phase: 'Successful',
    },
    { name: 'that a Job measures', spec: {}, readings: [J], phase: 'Running' },
    { name: 'that a Job has measured', spec: {}, readings: [J, S], phase: 'Successful' },
    { name: 'that has failed, whatever comes', spec: {}, readings: [F, S], phase: 'Failed' },
  ];
  for (const { name, spec, readings, background, phase, message } of rows) {
    test(`${name} is ${phase}`, () => {
      const asked = readings.length === 0 ? [{}] : readings.map((reading) => ({ m: reading }));
      const [result] = after([aMetric(spec)], asked, background).metrics ?? [];
      assert.equal(result?.phase, phase);
      if (message !== undefined) assert.equal(result?.message, message);
    });
  }

  test('keeps its last five measurements and counts all', () => {
    const spec = aMetric({ interval: '1s', count: 100, failureLimit: 100, inconclusiveLimit: 100 });
    const { metrics = [] } = after(
      [spec],
      [F, I, E, S, S, F, S].map((reading) => ({ m: reading })),
    );
    const [{ measurements = [], ...tallies } = { name: '', phase: 'Pending' }] = metrics;
    assert.deepEqual(tallies, {
      name: 'm',
      phase: 'Running',
      count: 6,
      successful: 3,
      failed: 2,
      inconclusive: 1,
      error: 1,
      consecutiveError: 0,
    });
    assert.deepEqual(
      measurements.map(({ phase, startedAt }) => [phase, startedAt]),
      [
        ['Error', '2026-01-01T00:00:20Z'],
        ['Successful', '2026-01-01T00:00:30Z'],
        ['Successful', '2026-01-01T00:00:40Z'],
        ['Failed', '2026-01-01T00:00:50Z'],
        ['Successful', '2026-01-01T00:01:00Z'],
      ],
    );
  });

  test('keeps when a Job began, and which', () => {
    const run = after([aMetric()], [{ m: J }, { m: { phase: 'Running', job: 'd-p1', message: 'Pending' } }]);
    assert.deepEqual(underWay(run, aMetric()), {
      phase: 'Running',
      startedAt: '2026-01-01T00:00:00Z',
      job: 'd-p1',
      message: 'Pending',
    });
    const ended = withReadings(run, { metrics: [aMetric()], background: false }, new Map([['m', F]]), at(99));
    assert.deepEqual(ended.metrics?.[0]?.measurements, [
      {
        phase: 'Failed',
        startedAt: '2026-01-01T00:00:00Z',
        finishedAt: '2026-01-01T00:01:39Z',
        job: 'd-p1',
        message: 'bad',
      },
    ]);
    assert.equal(underWay(ended, aMetric()), undefined);
  });
});

describe('a run', () => {
  const [a, b] = [aMetric({ name: 'a' }), aMetric({ name: 'b', interval: '1s', count: 2 })];
  const rows: { name: string; readings: Record<string, Reading>[]; phase: string; message?: string }[] = [
    { name: 'with a metric that is not measured', readings: [{ a: S }], phase: 'Running' },
    { name: 'with a metric that goes on', readings: [{ a: S, b: S }], phase: 'Running' },
    { name: 'whose metrics all succeeded', readings: [{ a: S, b: S }, { b: S }], phase: 'Successful' },
    {
      name: 'with a metric that failed while another goes on',
      readings: [{ a: F, b: S }],
      phase: 'Failed',
      message: 'a: failed (1) > failureLimit (0): bad',
    },
    { name: 'that failed and is inconclusive', readings: [{ a: I, b: F }], phase: 'Failed' },
    { name: 'that is inconclusive', readings: [{ a: S, b: I }], phase: 'Inconclusive' },
  ];
  for (const { name, readings, phase, message } of rows) {
    test(`${name} is ${phase}`, () => {
      const run = after([a, b], readings);
      assert.equal(run.phase, phase);
      if (message !== undefined) assert.equal(run.message, message);
      assert.equal(run.finishedAt !== undefined, isFinal(run.phase));
    });
  }

  test('that ends leaves what was not measured, and what a Job measures', () => {
    const [c, d] = [aMetric({ name: 'c' }), aMetric({ name: 'd' })];
    const { metrics = [] } = after([a, b, c, d], [{ b: S, c: J }, { a: F }]);
    assert.deepEqual(
      metrics.map(({ name, phase, measurements }) => [name, phase, measurements?.length]),
      [
        ['a', 'Failed', 1],
        ['b', 'Successful', 1],
        ['c', 'Pending', undefined],
        ['d', 'Pending', undefined],
      ],
    );
  });

  test('that has ended changes no more', () => {
    const failed = after([a], [{ a: F }]);
    const plan = { metrics: [a], background: false };
    assert.equal(withReadings(failed, plan, new Map([['a', S]]), at(99)), failed);
    assert.equal(endedRun(failed, at(99)), failed);
    assert.equal(brokenRun(failed, 'x', at(99)), failed);
  });

  test('to which nothing happened is equal', () => {
    const run = after([a, b], [{ a: E }]);
    assert.deepEqual(withReadings(run, { metrics: [a, b], background: false }, new Map(), at(99)), run);
  });

  const endings = [
    {
      name: 'measured nothing',
      readings: [{}],
      phase: 'Inconclusive',
      message: 'ended before anything was measured',
    },
    {
      name: 'measured by a Job alone',
      readings: [{ b: J }],
      phase: 'Inconclusive',
      message: 'ended before anything was measured',
    },
    {
      name: 'met errors alone',
      readings: [{ b: E }],
      phase: 'Inconclusive',
      message: 'ended before anything was measured',
    },
    { name: 'succeeded so far', readings: [{ b: S }], phase: 'Successful', message: undefined },
  ] as const;
  for (const { name, readings, phase, message } of endings) {
    test(`that nobody wants any more is ${phase} where it has ${name}`, () => {
      const ended = endedRun(after([a, b], readings), at(50));
      assert.deepEqual(
        [ended.phase, ended.message, ended.finishedAt],
        [phase, message, '2026-01-01T00:00:50Z'],
      );
    });
  }

  test('that cannot be measured says why', () => {
    const { phase, message, finishedAt } = brokenRun(aRun, 'no such step', at(1));
    assert.deepEqual([phase, message, finishedAt], ['Error', 'no such step', '2026-01-01T00:00:01Z']);
  });

  test('is as bad as the worst of its metrics', () => {
    const order = ['Failed', 'Error', 'Inconclusive', 'Running', 'Pending', 'Successful'] as const;
    for (const [index, phase] of order.entries()) assert.equal(worstOf(order.slice(index).reverse()), phase);
    assert.equal(worstOf([]), undefined);
  });
});

describe('the next measurement', () => {
  const rows: {
    name: string;
    spec: object;
    readings: Reading[];
    background?: boolean;
    /** Seconds since the run began. */
    due: number | undefined;
  }[] = [
    { name: 'is due at once', spec: {}, readings: [], due: 0 },
    { name: 'waits for the initial delay', spec: { initialDelay: '1m30s' }, readings: [], due: 90 },
    { name: 'waits for the interval', spec: { interval: '5m', count: 2 }, readings: [S], due: 300 },
    {
      name: 'waits from the end of the last one',
      spec: { interval: '5m', count: 3 },
      readings: [S, S],
      due: 310,
    },
    {
      name: 'is due at once without an interval',
      spec: { probeSet: { configMap: { name: 'c' }, minAuc: 0.5 }, builtin: undefined, count: 2 },
      readings: [S],
      due: 0,
    },
    { name: 'waits ten seconds after an error', spec: {}, readings: [E], due: 10 },
    {
      name: 'waits for the interval after an error',
      spec: { interval: '5s', count: 2 },
      readings: [E],
      due: 5,
    },
    {
      name: 'does not come when all were taken',
      spec: { interval: '5s', count: 2 },
      readings: [S, S],
      due: undefined,
    },
    { name: 'does not come in a step of one', spec: { interval: '5s' }, readings: [S], due: undefined },
    {
      name: 'comes again in the background',
      spec: { interval: '5s' },
      readings: [S],
      background: true,
      due: 5,
    },
    { name: 'waits for a Job', spec: {}, readings: [J], due: undefined },
    {
      name: 'does not come after a failure',
      spec: { interval: '5s', count: 3 },
      readings: [F],
      due: undefined,
    },
  ];
  for (const { name, spec, readings, background = false, due } of rows) {
    test(name, () => {
      const m = aMetric(spec);
      const run =
        readings.length === 0
          ? aRun
          : after(
              [m],
              readings.map((reading) => ({ m: reading })),
              background,
            );
      assert.equal(dueAt(run, m, background), due === undefined ? undefined : at(due));
    });
  }
});

test('counts are those of Argo, but for steps, which measure once', () => {
  assert.deepEqual(
    [
      effectiveCount(aMetric(), false),
      effectiveCount(aMetric({ interval: '1s' }), false),
      effectiveCount(aMetric({ interval: '1s' }), true),
      effectiveCount(aMetric({ interval: '1s', count: 7 }), true),
    ],
    [1, 1, undefined, 7],
  );
});

describe('any history of readings', () => {
  const reading = fc.constantFrom(S, F, I, E, J);
  const limits = fc.record({
    count: fc.integer({ min: 1, max: 4 }),
    failureLimit: fc.integer({ min: 0, max: 2 }),
    inconclusiveLimit: fc.integer({ min: 0, max: 2 }),
    consecutiveErrorLimit: fc.integer({ min: 0, max: 2 }),
  });

  test('fits the schema of status, never succeeds without a success, and stays as it ended', () => {
    fc.assert(
      fc.property(
        limits,
        fc.array(reading, { maxLength: 12 }),
        fc.boolean(),
        (spec, readings, background) => {
          const m = aMetric({ interval: '1s', ...spec });
          let run: AnalysisRun = aRun;
          for (const [index, one] of readings.entries()) {
            const next = withReadings(run, { metrics: [m], background }, new Map([['m', one]]), at(index));
            if (isFinal(run.phase)) assert.equal(next, run);
            run = next;
            analysisRun.parse(run);
            const [result] = run.metrics ?? [];
            if (run.phase === 'Successful') assert.ok((result?.successful ?? 0) > 0);
            if ((result?.failed ?? 0) > spec.failureLimit) assert.equal(run.phase, 'Failed');
          }
        },
      ),
    );
  });
});
