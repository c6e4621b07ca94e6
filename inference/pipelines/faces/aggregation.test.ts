import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { aggregateFrames, confidentMean } from './aggregation.ts';

/** The rule of the Deepfake Detection Challenge's winner. */
const rule = { high: 0.8, fakeShare: 0.4, fakeFrames: 11, low: 0.2, realShare: 0.9 };
const times = (count: number, score: number) => Array.from({ length: count }, () => score);

describe('sure frames', () => {
  const rows = [
    {
      name: 'of a fake decide where there are enough',
      scores: [...times(14, 0.9), ...times(18, 0.5)],
      mean: 0.9,
    },
    {
      name: 'of a fake do not decide where there are few in all',
      scores: [...times(11, 0.9), ...times(9, 0.5)],
      mean: 0.72,
    },
    {
      name: 'of a fake do not decide where they are a small part',
      scores: [...times(12, 0.9), ...times(18, 0.4)],
      mean: 0.6,
    },
    { name: 'of real media decide where nearly all are', scores: [...times(19, 0.1), 0.7], mean: 0.1 },
    {
      name: 'of real media do not decide where they are too few',
      scores: [...times(18, 0.1), 0.7, 0.7],
      mean: 0.16,
    },
    {
      name: 'at the limits themselves are not sure',
      scores: [...times(20, 0.8), ...times(20, 0.2)],
      mean: 0.5,
    },
    { name: 'are not needed: a single one is its own mean', scores: [0.95], mean: 0.95 },
  ];
  for (const { name, scores, mean } of rows)
    test(name, () =>
      assert.ok(Math.abs(confidentMean(scores, rule) - mean) < 1e-9, `${confidentMean(scores, rule)}`),
    );
});

describe('the logits of frames', () => {
  const confident = { method: 'confident', ...rule } as const;
  const sure = [...times(14, 4), ...times(14, 0)];
  const rows = [
    { name: 'become their mean', logits: [1, 3], aggregation: 'mean-logit', positive: 'fake', logit: 2 },
    {
      name: 'become that of the sure frames',
      logits: sure,
      aggregation: confident,
      positive: 'fake',
      logit: 4,
    },
    {
      name: 'that speak for real media are listened to the other way round',
      logits: sure.map((logit) => -logit),
      aggregation: confident,
      positive: 'real',
      logit: -4,
    },
    {
      name: 'stay finite where they are beyond any probability',
      logits: times(12, 800),
      aggregation: confident,
      positive: 'fake',
      logit: 27.6,
    },
  ] as const;
  for (const { name, logits, aggregation, positive, logit } of rows) {
    test(name, () => {
      const found = aggregateFrames(logits, aggregation, positive);
      assert.ok(Math.abs(found - logit) < 0.05, `${found}`);
    });
  }
});
