import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Calibration, OutputMeaning } from './manifest.ts';
import { calibratedScore, confidenceOf, logitOf, predictionOf, verdictOf } from './verdict.ts';

const thresholds = { low: 0.3, high: 0.7 };

describe('the logit of an output row', () => {
  const rows: { name: string; row: number[]; output: Omit<OutputMeaning, 'positive'>; logit: number }[] = [
    {
      name: 'is the value itself before a sigmoid',
      row: [1.5, 9],
      output: { activation: 'sigmoid', index: 0 },
      logit: 1.5,
    },
    {
      name: 'is the value at the index',
      row: [9, -2],
      output: { activation: 'sigmoid', index: 1 },
      logit: -2,
    },
    {
      name: 'is the difference of two values before a softmax',
      row: [1, 3],
      output: { activation: 'softmax', index: 1 },
      logit: 2,
    },
    {
      name: 'stands against all other classes of a softmax',
      row: [0, 0, 0, Math.log(3)],
      output: { activation: 'softmax', index: 3 },
      logit: 0,
    },
    {
      name: 'stays finite for large values before a softmax',
      row: [5000, 4990],
      output: { activation: 'softmax', index: 0 },
      logit: 10,
    },
    {
      name: 'is undone from a probability',
      row: [0.880797],
      output: { activation: 'none', index: 0 },
      logit: 2,
    },
    {
      name: 'stays finite for a certain probability',
      row: [1],
      output: { activation: 'none', index: 0 },
      logit: 16.118,
    },
    {
      name: 'is no number for what is no probability',
      row: [1.2],
      output: { activation: 'none', index: 0 },
      logit: NaN,
    },
    {
      name: 'is no number where the row has no such index',
      row: [1, 2],
      output: { activation: 'softmax', index: 2 },
      logit: NaN,
    },
  ];
  for (const { name, row, output, logit } of rows) {
    test(name, () => {
      const found = logitOf(Float32Array.from(row), { ...output, positive: 'fake' });
      assert.equal(Math.round(found * 1e3) / 1e3, logit);
    });
  }
});

describe('the calibrated score', () => {
  const table = {
    positive: 'fake',
    calibration: {
      method: 'isotonic',
      points: [
        { logit: -1, score: 0.2 },
        { logit: 1, score: 0.6 },
        { logit: 3, score: 0.6 },
        { logit: 4, score: 0.9 },
      ],
    },
  } as const satisfies { positive: 'fake'; calibration: Calibration };
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
    { name: 'is read between two points of a table', logit: 0.5, ...table, score: 0.5 },
    { name: 'is that of a point of a table', logit: 1, ...table, score: 0.6 },
    { name: 'is that of the first point below a table', logit: -1e6, ...table, score: 0.2 },
    { name: 'is that of the last point above a table', logit: 1e6, ...table, score: 0.9 },
    { name: 'is no number for what is no logit', logit: NaN, ...table, score: NaN },
    {
      name: 'is turned round before it is looked up in a table',
      logit: 1,
      positive: 'real',
      calibration: table.calibration,
      score: 0.2,
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
      const found = calibratedScore(logit, { output: { positive }, calibration });
      assert.equal(Math.round(found * 1e6), Math.round(score * 1e6));
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
