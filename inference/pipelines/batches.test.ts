import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { itemsAtATime } from './batches.ts';

describe('items that are held at a time', () => {
  const budget = 16 * 1024 * 1024;
  const rows = [
    { name: 'are no more than asked for where they are small', floats: 1, most: 8, count: 8 },
    { name: 'fill 64 MiB', floats: budget / 4, most: 8, count: 4 },
    { name: 'never take more than 64 MiB', floats: budget / 4 + 1, most: 8, count: 3 },
    { name: 'are one where it takes all of it', floats: budget, most: 8, count: 1 },
    { name: 'are one where it takes more', floats: 10 * budget, most: 8, count: 1 },
    { name: 'are as many as asked for where they are empty', floats: 0, most: 8, count: 8 },
  ];
  for (const { name, floats, most, count } of rows)
    test(name, () => assert.equal(itemsAtATime(floats, most), count));
});
