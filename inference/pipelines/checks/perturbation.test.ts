import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { verdictOf } from '../../models/verdict.ts';
import { perturbationCheck } from './perturbation.ts';

const judged = (score: number | null) => ({ score, verdict: verdictOf(score, { low: 0.3, high: 0.7 }) });

describe('changed copies', () => {
  const rows: {
    name: string;
    score: number;
    copies: (number | null)[];
    hasFailed: boolean;
    code: string;
    signals: [runs: number, flips: number, min: number, max: number];
  }[] = [
    {
      name: 'that agree make the verdict stable',
      score: 0.9,
      copies: [0.8, 0.95],
      hasFailed: false,
      code: 'stable_verdict',
      signals: [2, 0, 0.8, 0.95],
    },
    {
      name: 'of which one says the opposite make it fragile',
      score: 0.9,
      copies: [0.8, 0.1],
      hasFailed: true,
      code: 'fragile_verdict',
      signals: [2, 1, 0.1, 0.9],
    },
    {
      name: 'of which one cannot decide make it fragile',
      score: 0.1,
      copies: [0.5, 0.2],
      hasFailed: true,
      code: 'fragile_verdict',
      signals: [2, 1, 0.1, 0.5],
    },
    {
      name: 'of what was undecided have nothing to lose',
      score: 0.5,
      copies: [0.9, 0.1],
      hasFailed: false,
      code: 'perturbed_scores',
      signals: [2, 0, 0.1, 0.9],
    },
    {
      name: 'that could not be judged say nothing',
      score: 0.9,
      copies: [null, 0.8],
      hasFailed: false,
      code: 'stable_verdict',
      signals: [1, 0, 0.8, 0.9],
    },
    {
      name: 'none of which could be judged leave it open',
      score: 0.9,
      copies: [null],
      hasFailed: false,
      code: 'not_perturbed',
      signals: [0, 0, 0.9, 0.9],
    },
  ];
  for (const { name, score, copies, hasFailed, code, signals } of rows) {
    test(name, () => {
      const verdict = verdictOf(score, { low: 0.3, high: 0.7 });
      const check = perturbationCheck({ score, verdict }, copies.map(judged), true);
      assert.equal(check.hasFailed, hasFailed);
      assert.equal(check.explanation.code, code);
      assert.deepEqual(Object.values(check.signals), signals);
    });
  }
});
