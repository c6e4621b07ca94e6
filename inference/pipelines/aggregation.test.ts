import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Aggregation, aggregate } from './aggregation.ts';

const sigmoid = (logit: number) => 1 / (1 + Math.exp(-logit));
const towardsReal = (logit: number) => sigmoid(-logit);

describe('many logits become one', () => {
  const rows: {
    aggregation: Aggregation;
    logits: number[];
    score?: (logit: number) => number;
    one: number;
  }[] = [
    { aggregation: 'mean-logit', logits: [-1, 0, 4], one: 1 },
    { aggregation: 'mean-score', logits: [2, 2, 2], one: 2 },
    { aggregation: 'mean-score', logits: [-3, 3], one: 0 },
    { aggregation: 'mean-score', logits: [0, Math.log(3)], one: Math.log(0.625 / 0.375) },
    { aggregation: 'mean-score', logits: [2000], one: 700 },
    { aggregation: 'mean-score', logits: [-2000, -2000], one: -700 },
    { aggregation: 'max', logits: [-1, 3, 2], one: 3 },
    { aggregation: 'max', logits: [-1, 3, 2], score: towardsReal, one: -1 },
    { aggregation: 'mean-and-max', logits: [-1, 0, 4], one: 2.5 },
    { aggregation: 'mean-and-max', logits: [-1, 0, 4], score: towardsReal, one: 0 },
  ];
  for (const { aggregation, logits, score = sigmoid, one } of rows) {
    test(`${aggregation} of ${logits} is ${one}${score === towardsReal ? ' where output 0 says real' : ''}`, () => {
      const found = aggregate(Float64Array.from(logits), aggregation, score);
      assert.ok(Math.abs(found - one) < 1e-9, `${found}`);
    });
  }
});
