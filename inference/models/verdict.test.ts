import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Calibration } from './manifest.ts';
import { calibratedScore, confidenceOf, predictionOf, verdictOf } from './verdict.ts';

const thresholds = { low: 0.3, high: 0.7 };

describe('the calibrated score', () => {
  const rows: {
    name: string;
    logit: number;
    positive: 'fake' | 'real';
    calibration: Calibration;
    score: number;
  }[] = [
    {
      name: 'is the sigmoid without calibration',
      logit: 2,
      positive: 'fake',
      calibration: { method: 'none' },
      score: 0.880797,
    },
    {
      name: 'is turned round when the graph says real',
      logit: 2,
      positive: 'real',
      calibration: { method: 'none' },
      score: 0.119203,
    },
    {
      name: 'is softened by a temperature',
      logit: 2,
      positive: 'fake',
      calibration: { method: 'temperature', temperature: 2 },
      score: 0.731059,
    },
    {
      name: 'is scaled and moved by Platt',
      logit: 1,
      positive: 'fake',
      calibration: { method: 'platt', slope: 2, intercept: -1 },
      score: 0.731059,
    },
    {
      name: 'is moved after it is turned round',
      logit: 1,
      positive: 'real',
      calibration: { method: 'platt', slope: 2, intercept: 2 },
      score: 0.5,
    },
    {
      name: 'stays finite for a huge logit',
      logit: 1e6,
      positive: 'fake',
      calibration: { method: 'none' },
      score: 1,
    },
    {
      name: 'stays finite for a hugely negative logit',
      logit: -1e6,
      positive: 'fake',
      calibration: { method: 'none' },
      score: 0,
    },
  ];
  for (const { name, logit, positive, calibration, score } of rows) {
    test(name, () => {
      const found = calibratedScore(logit, { output: { positive, activation: 'sigmoid' }, calibration });
      assert.ok(Math.abs(found - score) < 1e-6, `${found}`);
    });
  }
});

describe('the verdict', () => {
  const rows = [
    {
      name: 'at the low threshold is authentic',
      score: 0.3,
      verdict: 'AUTHENTIC',
      prediction: 'REAL',
      confidence: 0.7,
    },
    {
      name: 'just above the low threshold is suspicious',
      score: 0.300001,
      verdict: 'SUSPICIOUS',
      prediction: 'REAL',
      confidence: 0.699999,
    },
    {
      name: 'in the upper half of the band leans to fake',
      score: 0.6,
      verdict: 'SUSPICIOUS',
      prediction: 'FAKE',
      confidence: 0.6,
    },
    {
      name: 'at the high threshold is a deepfake',
      score: 0.7,
      verdict: 'DEEPFAKE',
      prediction: 'FAKE',
      confidence: 0.7,
    },
    {
      name: 'without a score is inconclusive and predicts nothing',
      score: null,
      verdict: 'INCONCLUSIVE',
      prediction: null,
      confidence: 0,
    },
  ];
  for (const { name, score, verdict, prediction, confidence } of rows) {
    test(name, () => {
      assert.equal(verdictOf(score, thresholds), verdict);
      assert.equal(predictionOf(score, thresholds), prediction);
      assert.ok(Math.abs(confidenceOf(score, predictionOf(score, thresholds)) - confidence) < 1e-9);
    });
  }

  test('decides the prediction even where the thresholds lie on one side of one half', () => {
    assert.equal(predictionOf(0.4, { low: 0.1, high: 0.35 }), 'FAKE');
    assert.equal(predictionOf(0.6, { low: 0.65, high: 0.9 }), 'REAL');
  });
});
