import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { batchLimits, slotsFor } from './batch-limits.ts';
import type { Device } from './session.ts';

describe('a run of a graph', () => {
  const rows: { device: Device; asked?: number; items: number }[] = [
    { device: 'cpu', items: 1 },
    { device: 'cuda', items: 8 },
    { device: 'tensorrt', items: 8 },
    { device: 'cpu', asked: 16, items: 16 },
    { device: 'cuda', asked: 2, items: 2 },
  ];
  for (const { device, asked, items } of rows) {
    test(`on ${device}${asked === undefined ? '' : ` with ${asked} asked for`} takes ${items} items`, () => {
      const limits = batchLimits(device, { maxItems: asked, maxDelayMs: 3 });
      assert.deepEqual([limits.maxItems, limits.maxDelayMs], [items, 3]);
    });
  }
});

describe('a worker', () => {
  for (const [items, slots] of [
    [1, 2],
    [4, 5],
    [64, 9],
  ] as const) {
    test(`whose runs take ${items} items holds ${slots} jobs`, () => assert.equal(slotsFor(items), slots));
  }
});
