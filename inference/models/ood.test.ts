import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type OodModel, oodSchema, typicalityOf } from './ood.ts';

const valid: OodModel = {
  source: 'graph',
  features: ['a', 'b'],
  mean: [0, 0],
  precision: { diagonal: [1, 1] },
  threshold: 0.95,
  abstain: true,
};

describe('what a package says of its training media', () => {
  const accepted: { name: string; changes: Partial<OodModel> }[] = [
    { name: 'may be a diagonal', changes: {} },
    {
      name: 'may be a matrix',
      changes: {
        precision: {
          matrix: [
            [2, -1],
            [-1, 2],
          ],
        },
      },
    },
    {
      name: 'may name statistics of images',
      changes: { source: 'input', features: ['log_noise', 'blockiness'] },
    },
    {
      name: 'may have a table',
      changes: {
        quantiles: [
          { distance: 1, share: 0.5 },
          { distance: 2, share: 1 },
        ],
      },
    },
  ];
  for (const { name, changes } of accepted)
    test(name, () => assert.equal(oodSchema.safeParse({ ...valid, ...changes }).error, undefined));

  const refused: { name: string; changes: object; message: RegExp }[] = [
    {
      name: 'with a mean of other length',
      changes: { mean: [0] },
      message: /mean.*1 numbers for 2 features/,
    },
    {
      name: 'with a diagonal of other length',
      changes: { precision: { diagonal: [1] } },
      message: /precision.*1 numbers for 2 features/,
    },
    {
      name: 'with a precision below 0',
      changes: { precision: { diagonal: [1, -1] } },
      message: /precision/,
    },
    {
      name: 'with a matrix that is not square',
      changes: { precision: { matrix: [[1, 0], [0]] } },
      message: /not a matrix of 2 by 2/,
    },
    {
      name: 'with a matrix that gives negative distances',
      changes: {
        precision: {
          matrix: [
            [1, 2],
            [2, 1],
          ],
        },
      },
      message: /positive definite/,
    },
    { name: 'with two features of one name', changes: { features: ['a', 'a'] }, message: /same name/ },
    {
      name: 'with statistics that nobody computes',
      changes: { source: 'input', features: ['log_noise', 'charm'] },
      message: /charm: of an input there are log_noise/,
    },
    {
      name: 'with a table that falls',
      changes: {
        quantiles: [
          { distance: 2, share: 0.5 },
          { distance: 1, share: 1 },
        ],
      },
      message: /must grow/,
    },
    { name: 'with a threshold that nothing is above', changes: { threshold: 1 }, message: /threshold/ },
    { name: 'that does not say what follows', changes: { abstain: undefined }, message: /abstain/ },
  ];
  for (const { name, changes, message } of refused) {
    test(`${name} is refused`, () =>
      assert.match(JSON.stringify(oodSchema.safeParse({ ...valid, ...changes }).error?.issues), message));
  }
});

describe('how typical media is', () => {
  const table = [
    { distance: 1, share: 0.5 },
    { distance: 3, share: 0.9 },
  ];
  const rows: {
    name: string;
    features: number[];
    changes?: Partial<OodModel>;
    score: number;
    isOutside: boolean;
  }[] = [
    { name: 'in the middle', features: [0, 0], score: 0, isOutside: false },
    { name: 'near', features: [1, 1], score: 1 - Math.exp(-1), isOutside: false },
    { name: 'at the end of the world', features: [30, 30], score: 1, isOutside: true },
    {
      name: 'at the threshold itself',
      features: [1, 0],
      changes: { quantiles: table, threshold: 0.5 },
      score: 0.5,
      isOutside: false,
    },
    {
      name: 'before the table',
      features: [0.5, 0],
      changes: { quantiles: table },
      score: 0.25,
      isOutside: false,
    },
    {
      name: 'inside the table',
      features: [0, 2],
      changes: { quantiles: table },
      score: 0.7,
      isOutside: false,
    },
    {
      name: 'beyond the table',
      features: [0, 3.1],
      changes: { quantiles: table },
      score: 1,
      isOutside: true,
    },
  ];
  for (const { name, features, changes, score, isOutside } of rows) {
    test(name, () => {
      const found = typicalityOf(features, { ...valid, ...changes });
      assert.ok(Math.abs(found.score - score) < 1e-9, `${found.score}`);
      assert.equal(found.isOutside, isOutside);
      assert.equal(found.distance, Math.hypot(...features));
    });
  }

  test('is not told of another number of features', () =>
    assert.throws(() => typicalityOf([1], valid), /1 features, but model.yaml describes 2/));

  test('is not told of features that are no numbers', () =>
    assert.throws(() => typicalityOf([NaN, 0], valid), /not finite/));
});
