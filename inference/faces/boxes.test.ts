import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { containment, grown, overlap, within } from './boxes.ts';

const square = { x: 10, y: 10, width: 10, height: 10 };

describe('two boxes', () => {
  const rows = [
    { name: 'that are the same', other: square, overlap: 1, containment: 1 },
    { name: 'side by side', other: { ...square, x: 20 }, overlap: 0, containment: 0 },
    { name: 'with half of each in common', other: { ...square, x: 15 }, overlap: 1 / 3, containment: 1 / 2 },
    {
      name: 'one in the other',
      other: { x: 12, y: 12, width: 5, height: 5 },
      overlap: 1 / 4,
      containment: 1,
    },
  ];
  for (const { name, other, ...expected } of rows) {
    test(`${name} share what they share, whichever is first`, () => {
      for (const [a, b] of [
        [square, other],
        [other, square],
      ] as const) {
        assert.equal(overlap(a, b), expected.overlap);
        assert.equal(containment(a, b), expected.containment);
      }
    });
  }
});

test('a margin grows a box at each side by that part of its own sides', () => {
  assert.deepEqual(grown({ x: 10, y: 20, width: 40, height: 20 }, 0.25), {
    x: 0,
    y: 15,
    width: 60,
    height: 30,
  });
});

describe('a box in a picture of 100 x 50', () => {
  const picture = { width: 100, height: 50 };
  const rows = [
    {
      name: 'is brought to whole pixels',
      box: { x: 1.4, y: 2.6, width: 10, height: 10 },
      seen: { x: 1, y: 3, width: 10, height: 10 },
    },
    {
      name: 'ends where the picture does',
      box: { x: 90, y: -5, width: 20, height: 100 },
      seen: { x: 90, y: 0, width: 10, height: 50 },
    },
    { name: 'outside is not seen', box: { x: 100, y: 0, width: 10, height: 10 }, seen: undefined },
    {
      name: 'of less than a pixel is not seen',
      box: { x: 5, y: 5, width: 0.4, height: 10 },
      seen: undefined,
    },
  ];
  for (const { name, box, seen } of rows) test(name, () => assert.deepEqual(within(box, picture), seen));
});
