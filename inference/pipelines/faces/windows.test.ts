import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { judgeWindows, windowPositions } from './windows.ts';

describe('windows begin', () => {
  const every = { sequence: 3, stride: 1, maxWindows: 256 };
  const rows = [
    { name: 'nowhere without items', subjects: [], parameters: every, starts: [] },
    { name: 'nowhere where there are too few', subjects: [0, 0], parameters: every, starts: [] },
    { name: 'once where there are enough', subjects: [0, 0, 0], parameters: every, starts: [0] },
    {
      name: 'at every item up to the last window',
      subjects: [0, 0, 0, 0, 0],
      parameters: every,
      starts: [0, 1, 2],
    },
    {
      name: 'at the distance of the stride',
      subjects: [0, 0, 0, 0, 0, 0, 0],
      parameters: { ...every, stride: 3 },
      starts: [0, 3],
    },
    {
      name: 'where they hold one person alone, anew with each',
      subjects: [0, 0, 0, 0, 1, 1, 2, 2, 2, 2, 2],
      parameters: { ...every, stride: 2 },
      starts: [0, 6, 8],
    },
    {
      name: 'evenly spread where there are too many',
      subjects: Array<number>(13).fill(0),
      parameters: { ...every, maxWindows: 3 },
      starts: [0, 5, 10],
    },
    {
      name: 'at the first item where there is one at most',
      subjects: [0, 0, 0, 0],
      parameters: { ...every, maxWindows: 1 },
      starts: [0],
    },
  ];
  for (const { name, subjects, parameters, starts } of rows)
    test(name, () => assert.deepEqual(windowPositions(subjects, parameters), starts));
});

test('windows are judged in batches, each with its own items in order', async () => {
  const items = Array.from({ length: 8 }, (_, index) => ({
    subject: 0,
    frame: 10 * index,
    value: index + 1,
  }));
  const shapes: (readonly number[])[] = [];
  const batches: number[] = [];
  const judged = await judgeWindows(
    items,
    { sequence: 3, stride: 1, maxWindows: 256 },
    { itemShape: [1, 2], write: ({ value }, target) => target.fill(value) },
    async (windows, shape) => {
      shapes.push(shape);
      batches.push(windows.length / 6);
      return Array.from({ length: windows.length / 6 }, (_, index) =>
        Number([...windows.subarray(6 * index, 6 * index + 6)].join('')),
      );
    },
  );
  assert.deepEqual(
    judged.map(({ first, last, logit }) => [first, last, logit]),
    [
      [0, 20, 112233],
      [10, 30, 223344],
      [20, 40, 334455],
      [30, 50, 445566],
      [40, 60, 556677],
      [50, 70, 667788],
    ],
  );
  assert.deepEqual(
    [shapes, batches],
    [
      [
        [3, 1, 2],
        [3, 1, 2],
      ],
      [4, 2],
    ],
  );
});

test('windows of large items are held one by one', async () => {
  const items = Array.from({ length: 3 }, (_, frame) => ({ subject: 0, frame }));
  const lengths: number[] = [];
  await judgeWindows(
    items,
    { sequence: 2, stride: 1, maxWindows: 256 },
    { itemShape: [3, 1200, 1200], write: () => undefined },
    async (windows) => {
      lengths.push(windows.length);
      return [0];
    },
  );
  assert.deepEqual(lengths, [2 * 3 * 1200 ** 2, 2 * 3 * 1200 ** 2]);
});
