import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { chiSquareShare, type Gaussian, isPositiveDefinite, squaredDistance } from './gaussian.ts';

describe('the squared distance from the middle of a Gaussian', () => {
  const rows: { name: string; gaussian: Gaussian; point: number[]; expected: number }[] = [
    {
      name: 'is 0 in the middle',
      gaussian: { mean: [1, 2], precision: { diagonal: [3, 4] } },
      point: [1, 2],
      expected: 0,
    },
    {
      name: 'weighs independent features',
      gaussian: { mean: [1, 2], precision: { diagonal: [4, 9] } },
      point: [2, 0],
      expected: 4 + 36,
    },
    {
      name: 'knows which features go together',
      gaussian: {
        mean: [0, 0],
        precision: {
          matrix: [
            [2, -1],
            [-1, 2],
          ],
        },
      },
      point: [1, 1],
      expected: 2,
    },
    {
      name: 'is larger where they part',
      gaussian: {
        mean: [0, 0],
        precision: {
          matrix: [
            [2, -1],
            [-1, 2],
          ],
        },
      },
      point: [1, -1],
      expected: 6,
    },
  ];
  for (const { name, gaussian, point, expected } of rows)
    test(name, () => assert.equal(squaredDistance(point, gaussian), expected));

  test('of a point that lacks a feature is no number', () =>
    assert.ok(Number.isNaN(squaredDistance([1], { mean: [0, 0], precision: { diagonal: [1, 1] } }))));
});

describe('the share of a chi-square distribution', () => {
  // Published tables of its quantiles; of two dimensions 1 - exp(-x / 2).
  const rows = [
    { squared: 3.8414588, dimensions: 1, share: 0.95 },
    { squared: 5.9914645, dimensions: 2, share: 0.95 },
    { squared: 2, dimensions: 2, share: 1 - Math.exp(-1) },
    { squared: 9.487729, dimensions: 4, share: 0.95 },
    { squared: 13.2767041, dimensions: 4, share: 0.99 },
    { squared: 3.9402991, dimensions: 10, share: 0.05 },
    { squared: 124.3421134, dimensions: 100, share: 0.95 },
    { squared: 0, dimensions: 3, share: 0 },
    { squared: 1e6, dimensions: 3, share: 1 },
    { squared: Infinity, dimensions: 3, share: 1 },
  ];
  for (const { squared, dimensions, share } of rows)
    test(`below ${squared} with ${dimensions} dimensions is ${share}`, () =>
      assert.ok(Math.abs(chiSquareShare(squared, dimensions) - share) < 1e-7));

  test('grows with the distance', () => {
    for (const dimensions of [1, 5, 64, 512]) {
      const shares = Array.from({ length: 200 }, (_, index) =>
        chiSquareShare((index * dimensions) / 50, dimensions),
      );
      assert.ok(shares.every((share, index) => share >= (shares[index - 1] ?? 0) && share <= 1));
    }
  });

  test('of no number is no number', () => assert.ok(Number.isNaN(chiSquareShare(NaN, 2))));
});

describe('a positive definite matrix', () => {
  const rows = [
    {
      name: 'is the identity',
      matrix: [
        [1, 0],
        [0, 1],
      ],
      expected: true,
    },
    {
      name: 'may have features that go together',
      matrix: [
        [2, -1],
        [-1, 2],
      ],
      expected: true,
    },
    {
      name: 'is symmetric',
      matrix: [
        [2, -1],
        [1, 2],
      ],
      expected: false,
    },
    {
      name: 'has no direction without length',
      matrix: [
        [1, 1],
        [1, 1],
      ],
      expected: false,
    },
    {
      name: 'has no direction of negative length',
      matrix: [
        [1, 2],
        [2, 1],
      ],
      expected: false,
    },
    { name: 'has no zeros on its diagonal', matrix: [[0]], expected: false },
    {
      name: 'may have three dimensions',
      matrix: [
        [4, 1, 0.5],
        [1, 3, 0.2],
        [0.5, 0.2, 2],
      ],
      expected: true,
    },
  ];
  for (const { name, matrix, expected } of rows)
    test(name, () => assert.equal(isPositiveDefinite(matrix), expected));
});
