import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { headShapes, jointItem } from './joint-item.ts';

const joined = [
  { name: 'frames', itemShape: [2, 3] },
  { name: 'sound', itemShape: [1, 2] },
  { name: 'presence', itemShape: [2] },
];
const shapes = headShapes(joined, 2, 1);
const frames = [Float32Array.of(1, 2, 3), Float32Array.of(4, 5, 6)];
const sound = [Float32Array.of(7, 8)];

describe('an item of pictures and sound', () => {
  const rows = [
    {
      name: 'has all features and says that both are there',
      parts: { frames, sound },
      item: [1, 2, 3, 4, 5, 6, 7, 8, 1, 1],
    },
    {
      name: 'has zeros for a missing sound',
      parts: { frames, sound: [] },
      item: [1, 2, 3, 4, 5, 6, 0, 0, 1, 0],
    },
    {
      name: 'has zeros for missing pictures',
      parts: { frames: [], sound },
      item: [0, 0, 0, 0, 0, 0, 7, 8, 0, 1],
    },
  ];
  for (const { name, parts, item } of rows)
    test(name, () => assert.deepEqual([...jointItem(shapes, parts)], item));

  test('of features that the head does not take is refused', () => {
    assert.throws(() => jointItem(shapes, { frames: frames.slice(1), sound }), /2 rows of 3 features/);
    assert.throws(() => jointItem(shapes, { frames, sound: [Float32Array.of(1)] }), /1 rows of 2 features/);
  });
});

describe('a head of pictures and sound is refused', () => {
  const rows = [
    {
      name: 'that takes another number of frames',
      joined,
      frames: 3,
      windows: 1,
      message: /input "frames" is \[n, 2, 3\].* \[n, 3, features\]/,
    },
    { name: 'that takes another number of windows', joined, frames: 2, windows: 4, message: /input "sound"/ },
    {
      name: 'that takes no mask of two',
      joined: [...joined.slice(0, 2), { name: 'presence', itemShape: [3] }],
      frames: 2,
      windows: 1,
      message: /input "presence" is \[n, 3\], but must be \[n, 2\]/,
    },
  ];
  for (const { name, joined: inputs, frames: count, windows, message } of rows)
    test(name, () => assert.throws(() => headShapes(inputs, count, windows), message));
});
