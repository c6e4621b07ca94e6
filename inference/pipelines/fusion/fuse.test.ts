import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Verdict } from '../../models/verdict.ts';
import { avMismatchOf } from './av-mismatch.ts';
import type { Combination, Group } from './ensemble.ts';
import { explainFusion } from './explanations.ts';
import { fuse, logitOfScore, type MemberScore } from './fuse.ts';

const thresholds = { low: 0.3, high: 0.7 };

function group(overrides: Partial<Group> = {}): Group {
  return {
    models: ['a', 'b', 'c'],
    combination: { method: 'mean' },
    thresholds,
    minModels: 1,
    onDisagreement: 'warn',
    ...overrides,
  };
}

function score(model: string, value: number | null): MemberScore {
  const verdict: Verdict =
    value === null ? 'INCONCLUSIVE' : value >= 0.7 ? 'DEEPFAKE' : value <= 0.3 ? 'AUTHENTIC' : 'SUSPICIOUS';
  return { model, score: value, verdict };
}

const weights = new Map([
  ['a', 3],
  ['b', 1],
  ['c', 4],
]);
const logistic: Combination = {
  method: 'logistic',
  intercept: -0.5,
  weights: new Map([
    ['a', 2],
    ['b', -1],
    ['c', 1],
  ]),
  missing: new Map([['c', 0.25]]),
};
const [two, minusOne, half] = [1 / (1 + Math.exp(-2)), 1 / (1 + Math.exp(1)), 0.5];

describe('fused scores', () => {
  const rows: readonly {
    name: string;
    combination: Combination;
    scores: readonly (number | null)[];
    contributions: readonly number[];
    weights: readonly number[];
    verdict: Verdict;
  }[] = [
    {
      name: 'max takes the model that looks most like a fake',
      combination: { method: 'max' },
      scores: [minusOne, two, half],
      contributions: [0, 2, 0],
      weights: [0, 1, 0],
      verdict: 'DEEPFAKE',
    },
    {
      name: 'max of negative logits only',
      combination: { method: 'max' },
      scores: [null, minusOne, null],
      contributions: [0, -1, 0],
      weights: [0, 1, 0],
      verdict: 'AUTHENTIC',
    },
    {
      name: 'mean of log odds',
      combination: { method: 'mean' },
      scores: [two, minusOne, half],
      contributions: [2 / 3, -1 / 3, 0],
      weights: [1 / 3, 1 / 3, 1 / 3],
      verdict: 'SUSPICIOUS',
    },
    {
      name: 'mean of those that answer',
      combination: { method: 'mean' },
      scores: [two, null, half],
      contributions: [1, 0, 0],
      weights: [0.5, 0, 0.5],
      verdict: 'DEEPFAKE',
    },
    {
      name: 'mean leaves out what is no probability',
      combination: { method: 'mean' },
      scores: [two, Number.NaN, 1.5],
      contributions: [2, 0, 0],
      weights: [1, 0, 0],
      verdict: 'DEEPFAKE',
    },
    {
      name: 'weighted by shares of those that answer',
      combination: { method: 'weighted', weights },
      scores: [two, minusOne, null],
      contributions: [1.5, -0.25, 0],
      weights: [0.75, 0.25, 0],
      verdict: 'DEEPFAKE',
    },
    {
      name: 'logistic adds its intercept',
      combination: logistic,
      scores: [half, two, minusOne],
      contributions: [0, -2, -1],
      weights: [2, -1, 1],
      verdict: 'AUTHENTIC',
    },
    {
      name: 'logistic adds what a missing model stands for',
      combination: logistic,
      scores: [two, null, null],
      contributions: [4, 0, 0.25],
      weights: [2, 0, 0],
      verdict: 'DEEPFAKE',
    },
  ];
  for (const { name, combination, scores, ...expected } of rows) {
    test(name, () => {
      const found = fuse(
        group({ combination }),
        scores.map((value, at) => score('abc'[at] ?? '', value)),
      );
      for (const [at, { contribution, weight }] of found.contributions.entries()) {
        assert.ok(Math.abs(contribution - (expected.contributions[at] ?? NaN)) < 1e-9, `${contribution}`);
        assert.ok(Math.abs(weight - (expected.weights[at] ?? NaN)) < 1e-9, `${weight}`);
      }
      const sum = found.contributions.reduce((total, one) => total + one.contribution, found.intercept);
      assert.equal(found.logit, sum);
      assert.ok(Math.abs((found.score ?? NaN) - 1 / (1 + Math.exp(-sum))) < 1e-12);
      assert.equal(found.verdict, expected.verdict);
      assert.deepEqual(found.inconclusiveReasons, []);
    });
  }

  test('scores of 0 and 1 stay finite and balance each other', () => {
    const found = fuse(group({ models: ['a', 'b'] }), [score('a', 0), score('b', 1)]);
    assert.ok(Math.abs(found.logit ?? NaN) < 1e-9);
    assert.ok(Number.isFinite(logitOfScore(0)) && Number.isFinite(logitOfScore(1)));
  });

  test('scores of strangers count for nothing', () => {
    const found = fuse(group({ models: ['a', 'b'] }), [score('a', two), score('z', minusOne)]);
    assert.deepEqual([found.logit?.toFixed(9), found.modelsDisagree], ['2.000000000', false]);
  });
});

describe('a fused verdict', () => {
  const rows: readonly {
    name: string;
    settings?: Partial<Group>;
    scores: readonly (number | null)[];
    verdict: Verdict;
    reasons?: readonly string[];
    disagrees?: boolean;
  }[] = [
    {
      name: 'is not given by fewer models than have to answer',
      settings: { minModels: 2 },
      scores: [two, null, null],
      verdict: 'INCONCLUSIVE',
      reasons: ['too_few_models'],
    },
    {
      name: 'is given by as many as have to',
      settings: { minModels: 2 },
      scores: [two, two, null],
      verdict: 'DEEPFAKE',
    },
    {
      name: 'is not given by none',
      scores: [null, null, null],
      verdict: 'INCONCLUSIVE',
      reasons: ['too_few_models'],
    },
    {
      name: 'is not given by none to a logistic ensemble with values for the missing',
      settings: { combination: logistic },
      scores: [null, null, null],
      verdict: 'INCONCLUSIVE',
      reasons: ['too_few_models'],
    },
    {
      name: 'comes with a warning of contradiction',
      scores: [0.99, 0.2, null],
      verdict: 'DEEPFAKE',
      disagrees: true,
    },
    {
      name: 'is withheld for a contradiction where that is configured',
      settings: { onDisagreement: 'abstain' },
      scores: [0.99, 0.2, null],
      verdict: 'INCONCLUSIVE',
      reasons: ['models_disagree'],
      disagrees: true,
    },
    {
      name: 'does not mind an undecided model',
      settings: { onDisagreement: 'abstain' },
      scores: [0.99, 0.5, null],
      verdict: 'DEEPFAKE',
    },
    {
      name: 'has every reason against it',
      settings: { onDisagreement: 'abstain', minModels: 3 },
      scores: [0.99, 0.2, null],
      verdict: 'INCONCLUSIVE',
      reasons: ['too_few_models', 'models_disagree'],
      disagrees: true,
    },
    { name: 'is AUTHENTIC at low itself', scores: [0.3, null, null], verdict: 'AUTHENTIC' },
  ];
  for (const { name, settings, scores, verdict, reasons = [], disagrees = false } of rows) {
    test(name, () => {
      const members = scores.map((value, at) => score('abc'[at] ?? '', value));
      const fusion = fuse(group(settings), members);
      assert.equal(fusion.verdict, verdict);
      assert.deepEqual(fusion.inconclusiveReasons, reasons);
      assert.equal(fusion.modelsDisagree, disagrees);
      const findings = {
        group: group(settings),
        fusion,
        scores: members,
        missing: [],
        avMismatch: undefined,
      };
      const texts = explainFusion(findings).map(({ text }) => text);
      assert.equal(texts[0]?.includes('No verdict is given'), verdict === 'INCONCLUSIVE', texts.join(' '));
    });
  }
});

describe('the mismatch of pictures and sound', () => {
  const member = (modality: 'video' | 'audio', value: number | null, model: string = modality) => ({
    ...score(model, value),
    modality,
  });
  test('is the difference of the calibrated scores', () => {
    const rows = [
      { members: [member('video', 0.9), member('audio', 0.1)], difference: 0.8, contradicts: true },
      { members: [member('video', 0.1), member('audio', 0.9)], difference: -0.8, contradicts: true },
      { members: [member('video', 0.9), member('audio', 0.6)], difference: 0.3, contradicts: false },
      {
        members: [member('video', two, 'x'), member('video', minusOne, 'y'), member('audio', half)],
        difference: 1 / (1 + Math.exp(-0.5)) - 0.5,
        contradicts: false,
      },
    ];
    for (const { members, difference, contradicts } of rows) {
      const found = avMismatchOf(members);
      assert.ok(Math.abs((found?.difference ?? NaN) - difference) < 1e-9, `${found?.difference}`);
      assert.equal(found?.verdictsContradict, contradicts);
    }
  });

  test('is absent where a track or its model is', () => {
    const rows = [
      [],
      [member('video', 0.9)],
      [member('video', 0.9), member('audio', null)],
      [member('video', null), member('audio', 0.9)],
      [member('video', 0.9), member('video', 0.1, 'other')],
    ];
    for (const members of rows) assert.equal(avMismatchOf(members), undefined);
  });
});
