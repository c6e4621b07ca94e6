import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Precision } from '../models/variants.ts';
import { batchLimits, slotsFor } from './batch-limits.ts';
import type { Device } from './session.ts';

describe('a run of a graph', () => {
  const rows: { device: Device; precision: Precision; asked?: number; items: number }[] = [
    { device: 'cpu', precision: 'fp32', items: 1 },
    { device: 'cpu', precision: 'fp16', items: 1 },
    { device: 'cpu', precision: 'int8', items: 4 },
    { device: 'cuda', precision: 'fp16', items: 8 },
    { device: 'tensorrt', precision: 'fp32', items: 8 },
    { device: 'cpu', precision: 'fp32', asked: 16, items: 16 },
    { device: 'cuda', precision: 'fp16', asked: 2, items: 2 },
  ];
  for (const { device, precision, asked, items } of rows) {
    test(`of ${precision} on ${device}${asked === undefined ? '' : ` with ${asked} asked for`} takes ${items} items`, () => {
      const limits = batchLimits(device, precision, { maxItems: asked, maxDelayMs: 3 });
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
