/** Which pictures of a table can be on display at the moments of a selection, as ffmpeg counts time. Pure functions. */
import type { PictureTrack } from '../probe.ts';
import { jumps, type Stretch } from '../sampling.ts';
import { Unusual } from './boxes.ts';
import type { Need } from './choice.ts';
import type { SampleTable } from './sample-table.ts';

/** A time after the beginning of the file in the track's ticks as ffmpeg rounds it. */
export function fileStartTicks(
  { ticksPerSecond }: SampleTable,
  { clock }: PictureTrack,
  laterSeconds: number,
): number {
  const microseconds = Math.round(((clock?.fileStartSeconds ?? 0) + laterSeconds) * 1e6);
  // More than 53 bits where a clock counts nanoseconds.
  const ticks = (BigInt(Math.abs(microseconds)) * BigInt(ticksPerSecond) + 500_000n) / 1_000_000n;
  return Math.sign(microseconds) * Number(ticks);
}

/** Where a stretch counts its time from, on the track's clock. */
export function zeroOf(stretch: Stretch, table: SampleTable, picture: PictureTrack): number {
  return fileStartTicks(table, picture, jumps(stretch) ? stretch.startSeconds : 0) - table.editTicks;
}

/**
 * The pictures that a stretch can take. Which one is on display at a moment is for ffmpeg to say: it rounds a moment to a tick, and the
 * distance of moments to a fraction with a relative error below one in a million.
 */
export function needsOf(
  stretch: Stretch,
  zero: number,
  { ticksPerSecond, keyframesOnly }: { readonly ticksPerSecond: number; readonly keyframesOnly: boolean },
): Need[] {
  const isJump = jumps(stretch);
  const firstAfter = { from: zero - 1, to: zero + 1, before: keyframesOnly, after: !keyframesOnly };
  if (isJump && stretch.count === 1) return [firstAfter];
  const moments = Array.from({ length: stretch.count }, (_, index) => {
    const seconds = (isJump ? 0 : stretch.startSeconds) + index * stretch.stepSeconds;
    const uncertain = 2 + seconds * 2e-6 * ticksPerSecond;
    const at = zero + seconds * ticksPerSecond;
    return { from: at - uncertain, to: at + uncertain, before: true, after: index === stretch.count - 1 };
  });
  return isJump ? [firstAfter, ...moments] : moments;
}

/**
 * As `zeroOf` where only key frames are taken: a jump begins with the key frame itself.
 * @param keys samples, in order of display
 * @throws Unusual where a moment is so close to a key frame that the order of decoding, by which ffmpeg jumps, may decide otherwise
 */
export function keyZeros(
  { shownAt, decodedAt }: SampleTable,
  keys: Uint32Array,
  stretches: readonly Stretch[],
  zeros: readonly number[],
): number[] {
  const waits = shownAt.map((ticks, sample) => ticks - (decodedAt[sample] ?? 0));
  const unclear =
    waits.reduce((most, wait) => Math.max(most, wait)) -
    waits.reduce((least, wait) => Math.min(least, wait)) +
    2;
  return zeros.map((zero, index) => {
    const stretch = stretches[index];
    if (stretch === undefined || !jumps(stretch)) return zero;
    const key = keys.findLast((sample) => (shownAt[sample] ?? 0) <= zero);
    if (key === undefined) throw new Unusual('there is no key frame before a moment');
    if (keys.some((sample) => Math.abs((shownAt[sample] ?? 0) - zero) <= unclear))
      throw new Unusual('a moment is very close to a key frame');
    return stretch.count > 1 ? zero : (shownAt[key] ?? zero);
  });
}
