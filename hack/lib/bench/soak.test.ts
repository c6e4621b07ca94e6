import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { slopeOf } from './soak.ts';

describe('the slope of memory', () => {
  const rows: { name: string; rss: number[]; slope: number }[] = [
    { name: 'of nothing is 0', rss: [], slope: 0 },
    { name: 'of one checkpoint is 0', rss: [100], slope: 0 },
    { name: 'is that of the second half', rss: [100, 200, 300, 300, 300, 300], slope: 0 },
    { name: 'is by step and not by checkpoint', rss: [0, 0, 100, 110, 120], slope: 1 },
    { name: 'evens out what goes up and down', rss: [0, 0, 0, 100, 110, 110, 100], slope: 0 },
  ];
  for (const { name, rss, slope } of rows) {
    test(name, () => {
      const checkpoints = rss.map((rssMiB, index) => ({ done: 10 * (index + 1), rssMiB }));
      assert.equal(slopeOf(checkpoints), slope);
    });
  }
});
