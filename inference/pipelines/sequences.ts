/** Which of the frames that were encoded a head takes. Pure arithmetic of indices. */

/**
 * The whole clip as a sequence of fixed length: spread evenly from the first to the last frame. A clip with fewer frames is taken as it is
 * and filled up with its first one.
 * @param frames at least 1
 */
export function clipIndices(frames: number, length: number): number[] {
  if (frames >= length) return spread(0, frames - 1, length);
  return Array.from({ length }, (_, index) => (index < frames ? index : 0));
}

/**
 * Where windows of `length` consecutive frames begin: in order, none twice, at most `windows`, their ends spread evenly from the first
 * possible one to the last frame.
 * @param frames at least `length`
 */
export function windowStarts(frames: number, length: number, windows: number): number[] {
  const starts = spread(length - 1, frames - 1, windows).map((end) => end - length + 1);
  return [...new Set(starts)];
}

/** `numpy.linspace(first, last, count, dtype=int)`, rounding errors included: packages were trained with it. */
export function spread(first: number, last: number, count: number): number[] {
  const step = (last - first) / (count - 1);
  return Array.from({ length: count }, (_, index) =>
    index > 0 && index === count - 1 ? last : Math.floor(index === 0 ? first : index * step + first),
  );
}
