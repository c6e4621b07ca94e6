import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { numberOf, parseExposition } from './exposition.ts';

const all = { has: () => true } as unknown as ReadonlySet<string>;

describe('metrics as text', () => {
  const rows = [
    { name: 'without labels', line: 'a 1', labels: {}, value: 1 },
    { name: 'with labels', line: 'a{x="1",y="b c"} 2.5e-3', labels: { x: '1', y: 'b c' }, value: 0.0025 },
    { name: 'with a comma at the end', line: 'a{x="1",} 2', labels: { x: '1' }, value: 2 },
    { name: 'with no label between braces', line: 'a{} 2', labels: {}, value: 2 },
    { name: 'with a time', line: 'a 3 1700000000000', labels: {}, value: 3 },
    { name: 'with escapes', line: String.raw`a{x="q\"q\\ \n}"} 1`, labels: { x: 'q"q\\ \n}' }, value: 1 },
    {
      name: 'with blanks',
      line: ' a { x = "1" , y = "2" } 1'.replace('a {', 'a{'),
      labels: { x: '1', y: '2' },
      value: 1,
    },
    { name: 'that is infinite', line: 'a +Inf', labels: {}, value: Number.POSITIVE_INFINITY },
    { name: 'that is NaN', line: 'a NaN', labels: {}, value: Number.NaN },
  ];
  for (const { name, line, labels, value } of rows) {
    test(`a sample ${name} is read`, () => {
      assert.deepEqual(parseExposition(`# HELP a b\n\n${line}\r\n`, all), [{ name: 'a', labels, value }]);
    });
  }

  for (const line of [
    'a',
    'a one',
    'a{x="1} 1',
    'a{x=1} 1',
    'a{x} 1',
    '1a 1',
    '<html>',
    'a 0x10',
    'a 1 2 3',
  ]) {
    test(`the line ${line} is refused`, () => {
      assert.throws(() => parseExposition(`b 1\n${line}`, all), /line 2 of the metrics/);
    });
  }

  test('of a client library come back as they were', async () => {
    const registry = new Registry();
    const registers = [registry];
    new Gauge({ name: 'g', help: 'h', labelNames: ['l'], registers }).set({ l: 'a"b\\c\nd' }, -0.25);
    new Counter({ name: 'c', help: 'h', registers }).inc(3);
    new Histogram({ name: 'h', help: 'h', buckets: [0.5, 1], registers }).observe(0.7);
    const samples = parseExposition(await registry.metrics(), new Set(['g', 'c', 'h_bucket', 'h_sum']));
    assert.deepEqual(samples, [
      { name: 'g', labels: { l: 'a"b\\c\nd' }, value: -0.25 },
      { name: 'c', labels: {}, value: 3 },
      { name: 'h_bucket', labels: { le: '0.5' }, value: 0 },
      { name: 'h_bucket', labels: { le: '1' }, value: 1 },
      { name: 'h_bucket', labels: { le: '+Inf' }, value: 1 },
      { name: 'h_sum', labels: {}, value: 0.7 },
    ]);
  });
});

test('numbers are read as Prometheus writes them', () => {
  assert.deepEqual(['1', '-1.5', '+2', '.5', '1e+06', '', 'x', '1_000', 'infinity'].map(numberOf), [
    1,
    -1.5,
    2,
    0.5,
    1e6,
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
});
