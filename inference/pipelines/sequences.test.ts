import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import golden from '../testing/golden/video-temporal.json' with { type: 'json' };
import { clipIndices, spread, windowStarts } from './sequences.ts';

describe('the whole clip as a sequence', () => {
  const rows = [
    { name: 'has its first and its last frame', frames: 9, length: 3, indices: [0, 4, 8] },
    { name: 'rounds towards the beginning', frames: 6, length: 4, indices: [0, 1, 3, 5] },
    { name: 'is every frame where there are as many as wanted', frames: 3, length: 3, indices: [0, 1, 2] },
    { name: 'is filled up with the first frame', frames: 2, length: 5, indices: [0, 1, 0, 0, 0] },
    {
      name: 'is one frame again and again where there is no other',
      frames: 1,
      length: 3,
      indices: [0, 0, 0],
    },
    { name: 'of one is the first frame', frames: 7, length: 1, indices: [0] },
  ];
  for (const { name, frames, length, indices } of rows)
    test(name, () => assert.deepEqual(clipIndices(frames, length), indices));
});

describe('windows of consecutive frames', () => {
  const rows = [
    { name: 'reach from the first frame to the last', frames: 10, length: 4, windows: 3, starts: [0, 3, 6] },
    { name: 'are not there twice', frames: 6, length: 4, windows: 50, starts: [0, 1, 2] },
    { name: 'are one where the clip has no more frames', frames: 4, length: 4, windows: 50, starts: [0] },
    { name: 'of which one is wanted are at the beginning', frames: 10, length: 4, windows: 1, starts: [0] },
  ];
  for (const { name, frames, length, windows, starts } of rows)
    test(name, () => assert.deepEqual(windowStarts(frames, length, windows), starts));
});

describe('indices that are spread', () => {
  for (const { first, last, count, indices } of golden.spreads)
    test(`${count} from ${first} to ${last} are those of numpy`, () =>
      assert.deepEqual(spread(first, last, count), indices));
});
