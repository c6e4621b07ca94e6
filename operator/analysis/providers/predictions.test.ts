import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Sample } from '../exposition.ts';
import { METRIC, type PodSamples } from '../scrape.ts';
import { type Drift, judgeDrift, scoreBins } from './drift.ts';
import { judgeAgreement, judgeDecisions, parseDecisions, type Shadow } from './shadow.ts';

describe('bins of scores', () => {
  const bucket = (model: string, version: string, le: string, value: number): Sample => ({
    name: METRIC.scoreBuckets,
    labels: { model, version, le },
    value,
  });
  const pod = (...samples: Sample[]): PodSamples => ({ uid: 'a', startedAt: 1, samples });

  test('are of one model, summed over pods and versions', () => {
    const pods = [
      pod(bucket('m', '1', '1', 7), bucket('m', '1', '0.5', 3), bucket('m', '1', '+Inf', 7)),
      pod(bucket('m', '2', '0.5', 1), bucket('m', '2', '1', 1), bucket('other', '1', '0.5', 50)),
    ];
    assert.deepEqual(scoreBins(pods, 'm'), [4, 4]);
    assert.deepEqual(scoreBins(pods, 'unknown'), []);
  });
});

describe('drift', () => {
  const even = Array.from({ length: 20 }, () => 20);
  const low = even.map((count, bin) => (bin < 10 ? 2 * count : 0));
  const rows: {
    name: string;
    drift: Drift;
    canary: number[];
    stable: number[];
    phase: string;
    message?: RegExp;
  }[] = [
    {
      name: 'of equal scores',
      drift: { maxPsi: 0.1, maxKs: 0.1 },
      canary: even,
      stable: even,
      phase: 'Successful',
    },
    {
      name: 'of other scores by PSI',
      drift: { maxPsi: 0.25 },
      canary: low,
      stable: even,
      phase: 'Failed',
      message: /m: psi is .*more than maxPsi 0\.25/,
    },
    {
      name: 'of other scores by KS',
      drift: { maxKs: 0.2 },
      canary: low,
      stable: even,
      phase: 'Failed',
      message: /ks is 0\.5, more than maxKs 0\.2/,
    },
    {
      name: 'of too few scores of the canary',
      drift: { maxKs: 1 },
      canary: [10],
      stable: even,
      phase: 'Inconclusive',
      message: /the canary revision has 10 scores of m, fewer than minCount 200/,
    },
    {
      name: 'of too few scores of stable',
      drift: { maxKs: 1 },
      canary: even,
      stable: [],
      phase: 'Inconclusive',
      message: /the stable revision has 0/,
    },
    {
      name: 'of as many scores as are asked for',
      drift: { maxKs: 1, minCount: 20 },
      canary: [20],
      stable: [20],
      phase: 'Successful',
    },
    {
      name: 'of other bins',
      drift: { maxKs: 1, minCount: 20 },
      canary: [20],
      stable: [20, 20],
      phase: 'Error',
    },
  ];
  for (const { name, drift, canary, stable, phase, message } of rows) {
    test(`${name} is ${phase}`, () => {
      const found = judgeDrift(drift, 'm', canary, stable);
      assert.equal(found.phase, phase, found.message);
      if (message) assert.match(found.message ?? '', message);
    });
  }
});

describe('shadow', () => {
  const rows: {
    name: string;
    shadow: Shadow;
    matched: number;
    agreement: number;
    difference?: number;
    phase: string;
    message?: RegExp;
  }[] = [
    {
      name: 'of one mind',
      shadow: { minAgreement: 0.95 },
      matched: 50,
      agreement: 0.95,
      phase: 'Successful',
    },
    {
      name: 'that disagrees',
      shadow: { minAgreement: 0.95 },
      matched: 50,
      agreement: 0.94,
      phase: 'Failed',
      message: /agree on 0\.94 .*less than minAgreement 0\.95/,
    },
    {
      name: 'of like scores',
      shadow: { maxMeanScoreDifference: 0.1 },
      matched: 50,
      agreement: 0,
      difference: 0.1,
      phase: 'Successful',
    },
    {
      name: 'of other scores',
      shadow: { maxMeanScoreDifference: 0.1 },
      matched: 50,
      agreement: 1,
      difference: 0.11,
      phase: 'Failed',
      message: /differ by 0\.11 on average/,
    },
    {
      name: 'without scores',
      shadow: { maxMeanScoreDifference: 0.1 },
      matched: 50,
      agreement: 1,
      phase: 'Inconclusive',
      message: /scored by both/,
    },
    {
      name: 'of few requests',
      shadow: { minAgreement: 0.5 },
      matched: 49,
      agreement: 1,
      phase: 'Inconclusive',
      message: /^49 requests .* minCount 50$/,
    },
    {
      name: 'of nothing',
      shadow: { minAgreement: 0.5 },
      matched: 0,
      agreement: Number.NaN,
      phase: 'Inconclusive',
      message: /is there a mirror route.*X-Request-Id/,
    },
  ];
  for (const { name, shadow, matched, agreement, difference = Number.NaN, phase, message } of rows) {
    test(`${name} is ${phase}`, () => {
      const found = judgeAgreement(shadow, { matched, agreement, meanScoreDifference: difference });
      assert.equal(found.phase, phase, found.message);
      if (message) assert.match(found.message ?? '', message);
    });
  }

  test('is read from what pods tell of a model', () => {
    const text = JSON.stringify({
      decisions: [
        { id: 'a', model: 'm', score: null, verdict: 'INCONCLUSIVE', time: '2026-01-01T00:00:00Z' },
        { id: 'b', model: 'm', score: 0.5, verdict: 'SUSPICIOUS', time: '2026-01-01T00:00:00Z' },
        { id: 'b', model: 'other', score: 0.9, verdict: 'DEEPFAKE', time: '2026-01-01T00:00:00Z' },
      ],
    });
    const decisions = parseDecisions(text, 'm');
    assert.deepEqual(decisions, [
      { id: 'a', score: undefined, verdict: 'INCONCLUSIVE' },
      { id: 'b', score: 0.5, verdict: 'SUSPICIOUS' },
    ]);
    const { phase, value } = judgeDecisions({ minAgreement: 1, minCount: 2 }, decisions, decisions);
    assert.deepEqual([phase, value], ['Successful', '{"matched":2,"agreement":1,"meanScoreDifference":0}']);
    assert.throws(() => parseDecisions('{"decisions":[{"id":1}]}', 'm'), /answers what is not known here/);
  });
});
