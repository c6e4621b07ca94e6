/** How much of a file is held as tensors at a time. Pure. */
import { maxItemFloats } from '../models/parameters/item-size.ts';

/**
 * Items that are held at a time: as many as the largest item that a package may have takes memory for, and at least one.
 * @param itemFloats numbers that are held for each
 * @param most of them, however small they are
 */
export function itemsAtATime(itemFloats: number, most: number): number {
  return Math.max(1, Math.min(most, Math.floor(maxItemFloats / itemFloats)));
}
