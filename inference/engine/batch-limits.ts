/** How much one run of a graph takes. */
import type { BatchLimits } from './batcher.ts';
import type { Device } from './session.ts';

/** What the configuration says of batches. */
export interface BatchSettings {
  /** Items of one run; undefined for what suits the device. */
  readonly maxItems: number | undefined;
  readonly maxDelayMs: number;
}

/** Twenty tiles of 256 px: 16 MiB of float32. */
const maxElements = 4 * 1024 ** 2;

/**
 * On processors more items in a run bring no speed, with FP32 as with INT8, and cost memory (90 MB for four tiles of 256 px), and a cancelled
 * request frees the worker after the run that it is in.
 */
export function batchLimits(device: Device, settings: BatchSettings): BatchLimits {
  const { maxItems = device === 'cpu' ? 1 : 8, maxDelayMs } = settings;
  return { maxItems, maxElements, maxDelayMs };
}

/** Jobs that a worker holds at a time: while one is computed others are decoded, and as many as could share a run may meet. */
export function slotsFor(maxItems: number): number {
  return 1 + Math.min(8, maxItems);
}
