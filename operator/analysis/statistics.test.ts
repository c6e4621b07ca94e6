import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { populationStabilityIndex as podIndex } from '../../inference/observability/score-drift.ts';
import {
  agreementOf,
  type Bucket,
  histogramQuantile,
  kolmogorovSmirnov,
  merged,
  perBin,
  populationStabilityIndex,
} from './statistics.ts';

const close = (found: number, expected: number) =>
  assert.ok(Math.abs(found - expected) < 1e-12, `${found} is not ${expected}`);

const buckets = (counts: Readonly<Record<string, number>>): Bucket[] =>
  Object.entries(counts).map(([le, count]) => ({ le: Number(le), count }));

describe('the quantile of a histogram', () => {
  // As Prometheus' histogram_quantile says of the same buckets.
  const rows = [
    { name: 'is linear inside a bucket', q: 0.5, of: { 1: 0, 2: 10, Infinity: 10 }, expected: 1.5 },
    { name: 'begins at 0 in the lowest bucket', q: 0.5, of: { 1: 10, Infinity: 10 }, expected: 0.5 },
    { name: 'is the last finite edge above it', q: 0.95, of: { 1: 1, 2: 2, Infinity: 10 }, expected: 2 },
    { name: 'skips empty buckets', q: 0.95, of: { 1: 0, 2: 0, 3: 100, Infinity: 100 }, expected: 2.95 },
    { name: 'is NaN without values', q: 0.95, of: { 1: 0, Infinity: 0 }, expected: Number.NaN },
    { name: 'is NaN without buckets', q: 0.95, of: {}, expected: Number.NaN },
    { name: 'of 0 is the lower edge', q: 0, of: { 1: 5, Infinity: 5 }, expected: 0 },
    { name: 'of 1 is the upper edge', q: 1, of: { 1: 5, 2: 5, Infinity: 5 }, expected: 1 },
  ];
  for (const { name, q, of, expected } of rows) {
    test(name, () => assert.equal(histogramQuantile(q, buckets(of)), expected));
  }
});

describe('distances of histograms', () => {
  // Any two histograms; the figures of scipy 1.17:
  //   mid = numpy.arange(20); scipy.stats.ks_2samp(numpy.repeat(mid, a), numpy.repeat(mid, b)).statistic
  //   p = (numpy.array(a) + .5); p /= p.sum(); q likewise; (scipy.special.rel_entr(q, p) + scipy.special.rel_entr(p, q)).sum()
  const a = [23, 28, 39, 53, 51, 47, 45, 38, 22, 17, 16, 8, 5, 4, 4, 2, 0, 0, 0, 0];
  const b = [1, 12, 19, 27, 39, 44, 30, 30, 23, 19, 15, 19, 8, 6, 5, 1, 2, 0, 0, 0];

  test('are those of scipy', () => {
    close(kolmogorovSmirnov(a, b), 0.1590547263681592);
    close(populationStabilityIndex(a, b), 0.2797004545552294);
    close(populationStabilityIndex(merged(a, 2), merged(b, 2)), 0.20120998994308475);
  });

  test('are 0 of equal shares and NaN of nothing', () => {
    close(kolmogorovSmirnov([1, 2], [2, 4]), 0);
    close(populationStabilityIndex(a, a), 0);
    for (const distance of [kolmogorovSmirnov, populationStabilityIndex]) {
      assert.equal(distance([0, 0], [1, 2]), Number.NaN);
      assert.equal(distance([1, 2], [0, 0]), Number.NaN);
    }
  });

  test('are as large as can be where nothing is shared, and finite', () => {
    close(kolmogorovSmirnov([10, 0], [0, 10]), 1);
    // By hand: p = 10.5/11, q = 0.5/11; 2 (p - q) ln(p/q)
    close(populationStabilityIndex([10, 0], [0, 10]), 2 * (10 / 11) * Math.log(21));
  });

  test('are near to what a pod says of the same scores', () => {
    const [ours, theirs] = [merged(a, 2), merged(b, 2)];
    assert.ok(Math.abs(populationStabilityIndex(ours, theirs) - podIndex(ours, theirs)) < 0.02);
  });
});

test('bins are what lies between the edges of buckets', () => {
  assert.deepEqual(perBin(buckets({ 1: 2, 2: 2, Infinity: 7 })), [2, 0, 5]);
  assert.deepEqual(merged([1, 2, 3, 4, 5], 2), [3, 7, 5]);
});

describe('agreement', () => {
  const said = (id: string, verdict: string, score?: number) => ({ id, verdict, score });
  const rows = [
    {
      name: 'is counted over what both have decided',
      ours: [said('a', 'DEEPFAKE', 0.9), said('b', 'AUTHENTIC', 0.1), said('c', 'DEEPFAKE', 0.8)],
      theirs: [said('b', 'DEEPFAKE', 0.7), said('a', 'DEEPFAKE', 0.8), said('d', 'AUTHENTIC', 0)],
      expected: { matched: 2, agreement: 0.5, meanScoreDifference: 0.35 },
    },
    {
      name: 'has verdicts without scores, too',
      ours: [said('a', 'INCONCLUSIVE'), said('b', 'AUTHENTIC', 0.25)],
      theirs: [said('a', 'INCONCLUSIVE'), said('b', 'AUTHENTIC', 0)],
      expected: { matched: 2, agreement: 1, meanScoreDifference: 0.25 },
    },
    {
      name: 'takes the last of several decisions on a request',
      ours: [said('a', 'DEEPFAKE', 1), said('a', 'AUTHENTIC', 0)],
      theirs: [said('a', 'DEEPFAKE', 1), said('a', 'AUTHENTIC', 0)],
      expected: { matched: 1, agreement: 1, meanScoreDifference: 0 },
    },
    {
      name: 'is unknown of nothing',
      ours: [],
      theirs: [said('a', 'DEEPFAKE', 1)],
      expected: { matched: 0, agreement: Number.NaN, meanScoreDifference: Number.NaN },
    },
  ];
  for (const { name, ours, theirs, expected } of rows) {
    test(name, () => {
      const { meanScoreDifference, ...counted } = agreementOf(ours, theirs);
      const { meanScoreDifference: difference, ...others } = expected;
      assert.deepEqual(counted, others);
      if (Number.isNaN(difference)) assert.equal(meanScoreDifference, Number.NaN);
      else close(meanScoreDifference, difference);
    });
  }
});
