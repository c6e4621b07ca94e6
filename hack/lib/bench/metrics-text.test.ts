import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Histogram,
  histogramBetween,
  parseMetrics,
  percentile,
  quantile,
  sumOf,
} from './metrics-text.ts';

test('samples are read with their labels; comments are not', () => {
  const text = '# HELP a A.\n# TYPE a counter\na{x="1",y="a\\"b"} 2\na 1.5e3\nb_bucket{le="+Inf"} +Inf\n';
  assert.deepEqual(parseMetrics(text), [
    { name: 'a', labels: { x: '1', y: 'a\\"b' }, value: 2 },
    { name: 'a', labels: {}, value: 1500 },
    { name: 'b_bucket', labels: { le: '+Inf' }, value: Number.POSITIVE_INFINITY },
  ]);
});

test('a sum takes the samples that carry the labels, whatever else they carry', () => {
  const samples = parseMetrics('n{c="a",r="x"} 1\nn{c="a",r="y"} 2\nn{c="b",r="x"} 4\n');
  assert.deepEqual([sumOf(samples, 'n', { c: 'a' }), sumOf(samples, 'n'), sumOf(samples, 'm')], [3, 7, 0]);
});

test('a histogram between two scrapes holds only what came in between', () => {
  const scrape = (one: number, all: number) =>
    parseMetrics(
      `h_bucket{c="a",le="1"} ${one}\nh_bucket{c="a",le="+Inf"} ${all}\nh_bucket{c="b",le="1"} 99\n`,
    );
  assert.deepEqual(histogramBetween(scrape(2, 3), scrape(6, 8), 'h', { c: 'a' }), [
    { le: 1, count: 4 },
    { le: Number.POSITIVE_INFINITY, count: 5 },
  ]);
});

const HISTOGRAM: Histogram = [
  { le: 1, count: 0 },
  { le: 2, count: 10 },
  { le: 4, count: 19 },
  { le: Number.POSITIVE_INFINITY, count: 20 },
];

for (const [name, share, expected] of [
  ['is interpolated inside its bucket', 0.25, 1.5],
  ['is the bound where all before it is counted', 0.5, 2],
  ['is the last finite bound in the open bucket', 1, 4],
] as const) {
  test(`a quantile ${name}`, () => assert.equal(quantile(HISTOGRAM, share), expected));
}

test('nothing observed has no quantile', () => {
  assert.equal(quantile([], 0.5), undefined);
  assert.equal(percentile([], 0.5), undefined);
});

test('a percentile of single values is one of them', () => {
  const values = [50, 10, 30, 20, 40];
  assert.deepEqual([percentile(values, 0.5), percentile(values, 0.99), percentile(values, 0)], [30, 50, 10]);
});
