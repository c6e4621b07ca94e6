import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { send, withTestServer } from '../../../inference/testing/server.ts';
import type { Pod } from '../../controllers/kinds.ts';
import type { Sample } from '../exposition.ts';
import { METRIC, type PodSamples } from '../scrape.ts';
import { ANALYSING_ROUTES, type Builtin, builtinFigure, type Figure, judgeBuiltin } from './builtin.ts';

const requests = (code: string, value: number, route = '/analyze'): Sample => ({
  name: METRIC.requests,
  labels: { route, code },
  value,
});
const pod = (uid: string, samples: readonly Sample[], startedAt = 1): PodSamples => ({
  uid,
  startedAt,
  samples,
});
const restarted = (restartCount: number) =>
  ({ status: { containerStatuses: [{ restartCount }] } }) as unknown as Pod;

describe('the error rate', () => {
  const rows: { name: string; before: PodSamples[]; now: PodSamples[]; expected: Figure }[] = [
    {
      name: 'is of what happened since the last look',
      before: [pod('a', [requests('200', 100), requests('500', 50)])],
      now: [pod('a', [requests('200', 118), requests('500', 52)])],
      expected: { value: 0.1, count: 20 },
    },
    {
      name: 'sums over pods',
      before: [pod('a', [requests('200', 0)]), pod('b', [requests('503', 0)])],
      now: [pod('a', [requests('200', 30)]), pod('b', [requests('503', 10)])],
      expected: { value: 0.25, count: 40 },
    },
    {
      name: 'counts a code that was not there before from 0',
      before: [pod('a', [requests('200', 10)])],
      now: [pod('a', [requests('200', 15), requests('504', 5)])],
      expected: { value: 0.5, count: 10 },
    },
    {
      name: 'counts a process that began anew from 0',
      before: [pod('a', [requests('200', 10), requests('500', 5)], 1)],
      now: [pod('a', [requests('200', 30), requests('500', 10)], 2)],
      expected: { value: 0.25, count: 40 },
    },
    {
      name: 'counts a counter that fell from 0',
      before: [pod('a', [requests('200', 10), requests('500', 5)], Number.NaN)],
      now: [pod('a', [requests('200', 3), requests('500', 1)], Number.NaN)],
      expected: { value: 0.25, count: 4 },
    },
    {
      name: 'leaves out pods that were not there before',
      before: [pod('a', [requests('200', 10)])],
      now: [pod('a', [requests('200', 20)]), pod('b', [requests('500', 99)])],
      expected: { value: 0, count: 10 },
    },
    {
      name: 'is blind to probes, scrapes, refusals of clients that left',
      before: [pod('a', [])],
      now: [
        pod('a', [
          requests('200', 1),
          requests('422', 1),
          requests('503', 9, '/health/ready'),
          requests('200', 999, '/metrics'),
          requests('499', 7),
          requests('404', 7, 'unknown'),
        ]),
      ],
      expected: { value: 0, count: 2 },
    },
    {
      name: 'is unknown of nothing',
      before: [pod('a', [])],
      now: [pod('a', [])],
      expected: { value: Number.NaN, count: 0 },
    },
  ];
  for (const { name, before, now, expected } of rows) {
    test(name, () => assert.deepEqual(builtinFigure({ metric: 'errorRate' }, before, now, []), expected));
  }

  test('is of the routes of a pod that have media judged, all of them', () =>
    withTestServer(async (server) => {
      const { paths } = (await (await send(server, '/openapi.json')).json()) as {
        paths: Record<string, Record<string, { requestBody?: object }>>;
      };
      const judging = Object.entries(paths)
        .filter(([path, { post }]) => post?.requestBody && !path.includes('/repository/'))
        .map(([path]) => path.replace(/\{(\w+)\}/g, ':$1'));
      assert.deepEqual([...ANALYSING_ROUTES].sort(), judging.sort());
    }));
});

describe('the latency', () => {
  const buckets = (stage: string, counts: readonly number[]): Sample[] =>
    ['0.1', '1', '+Inf'].map((le, index) => ({
      name: METRIC.stageBuckets,
      labels: { stage, le },
      value: counts[index] ?? 0,
    }));
  const rows: { name: string; builtin: Builtin; now: Sample[]; expected: Figure }[] = [
    {
      name: 'is that of a stage',
      builtin: { metric: 'latencyP95', stage: 'infer' },
      now: [...buckets('infer', [90, 100, 100]), ...buckets('total', [0, 0, 100])],
      expected: { value: 0.55, count: 100 },
    },
    {
      name: 'is that of the whole by default',
      builtin: { metric: 'latencyP95' },
      now: buckets('total', [100, 100, 100]),
      expected: { value: 0.095, count: 100 },
    },
    {
      name: 'is without bound above the last bucket',
      builtin: { metric: 'latencyP95' },
      now: buckets('total', [0, 94, 100]),
      expected: { value: Number.POSITIVE_INFINITY, count: 100 },
    },
    {
      name: 'is unknown of nothing',
      builtin: { metric: 'latencyP95' },
      now: [],
      expected: { value: Number.NaN, count: 0 },
    },
  ];
  for (const { name, builtin, now, expected } of rows) {
    test(name, () => {
      const { value, count } = builtinFigure(builtin, [pod('a', [])], [pod('a', now)], []);
      assert.equal(count, expected.count);
      assert.ok(Object.is(value, expected.value) || Math.abs(value - expected.value) < 1e-12, String(value));
    });
  }
});

describe('figures of now', () => {
  const age = (priority: string, value: number): Sample => ({
    name: METRIC.queueAge,
    labels: { priority },
    value,
  });
  test('are the longest wait of any queue, and all restarts', () => {
    const pods = [pod('a', [age('interactive', 0.5), age('batch', 3)]), pod('b', [age('batch', 1)])];
    assert.equal(builtinFigure({ metric: 'queueAge' }, [], pods, []).value, 3);
    assert.equal(builtinFigure({ metric: 'restarts' }, [], [], [restarted(2), restarted(1)]).value, 3);
    assert.equal(builtinFigure({ metric: 'restarts' }, [], [], []).value, 0);
  });

  test('of GPU memory say what is missing where the pods do not tell', () => {
    const gauge = (name: string, value: number): Sample => ({ name, labels: {}, value });
    const pods = [pod('a', [gauge(METRIC.gpuMemoryUsed, 20), gauge(METRIC.gpuMemoryTotal, 80)])];
    assert.equal(builtinFigure({ metric: 'gpuMemory' }, [], pods, []).value, 0.25);
    assert.throws(
      () => builtinFigure({ metric: 'gpuMemory' }, [], [pod('a', [])], []),
      /do not say how much memory/,
    );
  });
});

describe('a figure', () => {
  const of = (value: number, count?: number): Figure => ({ value, count });
  const rows: {
    name: string;
    builtin: Partial<Builtin>;
    canary: Figure;
    stable?: Figure;
    phase: string;
    message?: RegExp;
  }[] = [
    { name: 'within max', builtin: { max: 0.05 }, canary: of(0.05, 20), phase: 'Successful' },
    {
      name: 'above max',
      builtin: { max: 0.05 },
      canary: of(0.06, 20),
      phase: 'Failed',
      message: /errorRate is 0\.06, more than max 0\.05/,
    },
    {
      name: 'of too few requests',
      builtin: { max: 0.05 },
      canary: of(1, 19),
      phase: 'Inconclusive',
      message: /19 requests, fewer than minCount 20/,
    },
    {
      name: 'of few requests that are enough',
      builtin: { max: 0.05, minCount: 1 },
      canary: of(0, 1),
      phase: 'Successful',
    },
    {
      name: 'of no requests, which would be enough',
      builtin: { max: 0.05, minCount: 0 },
      canary: of(Number.NaN, 0),
      phase: 'Inconclusive',
      message: /nothing of the canary could be measured/,
    },
    {
      name: 'of empty pods',
      builtin: { metric: 'queueAge', max: 5 },
      canary: of(Number.NEGATIVE_INFINITY),
      phase: 'Inconclusive',
    },
    {
      name: 'within the ratio',
      builtin: { maxRatio: 2 },
      canary: of(0.02, 50),
      stable: of(0.01, 50),
      phase: 'Successful',
    },
    {
      name: 'above the ratio',
      builtin: { maxRatio: 2 },
      canary: of(0.03, 50),
      stable: of(0.01, 50),
      phase: 'Failed',
      message: /more than 2 times the 0\.01/,
    },
    {
      name: 'above the ratio to nothing',
      builtin: { maxRatio: 2 },
      canary: of(0.01, 100),
      stable: of(0, 100),
      phase: 'Failed',
    },
    {
      name: 'of nothing to nothing',
      builtin: { maxRatio: 2 },
      canary: of(0, 100),
      stable: of(0, 100),
      phase: 'Successful',
    },
    {
      name: 'beside too few requests of stable',
      builtin: { maxRatio: 2 },
      canary: of(0, 100),
      stable: of(0, 3),
      phase: 'Inconclusive',
      message: /the stable revision has answered 3/,
    },
    {
      name: 'without a stable revision',
      builtin: { maxRatio: 2 },
      canary: of(0, 100),
      phase: 'Inconclusive',
      message: /no stable revision/,
    },
    {
      name: 'above max, whatever stable does',
      builtin: { max: 0.01, maxRatio: 9 },
      canary: of(0.02, 99),
      phase: 'Failed',
    },
    {
      name: 'without bound',
      builtin: { metric: 'latencyP95', max: 60 },
      canary: of(Number.POSITIVE_INFINITY, 99),
      phase: 'Failed',
    },
  ];
  for (const { name, builtin, canary, stable, phase, message } of rows) {
    test(`${name} is ${phase}`, () => {
      const found = judgeBuiltin({ metric: 'errorRate', ...builtin }, canary, stable);
      assert.equal(found.phase, phase, found.message);
      if (message) assert.match(found.message ?? '', message);
    });
  }

  test('is told with what it was held against', () => {
    const { value } = judgeBuiltin({ metric: 'errorRate', maxRatio: 2 }, of(1 / 30, 30), of(0.01, 90));
    assert.equal(value, '{"canary":0.03333,"stable":0.01,"requests":30}');
  });
});
