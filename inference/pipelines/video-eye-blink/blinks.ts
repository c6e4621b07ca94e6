/** When eyes are closed, and how often. Pure functions of eye aspect ratios over time. */
import type { BlinkRule } from '../../models/parameters/video-eye-blink.ts';
import { mean } from '../analysis.ts';

/** The eyes of a person in a frame. */
export interface EyeSample {
  readonly subject: number;
  /** Eye aspect ratio. */
  readonly ear: number;
}

/** Of each frame; undefined where no eyes could be measured. */
export type EyeTrack = readonly (EyeSample | undefined)[];

/** Consecutive frames in which a person's eyes are closed. */
export interface BlinkRun {
  readonly subject: number;
  /** Frames. */
  readonly first: number;
  readonly last: number;
  /** The same person's eyes are open in the frames before and after it: it was seen from its beginning to its end. */
  readonly isWhole: boolean;
}

/** In order of time. */
export function blinkRuns(track: EyeTrack, { threshold, minFrames }: BlinkRule): BlinkRun[] {
  const limits = limitsOf(track, threshold);
  const isClosed = (sample: EyeSample | undefined) =>
    sample !== undefined && sample.ear < (limits.get(sample.subject) ?? 0);
  const runs: BlinkRun[] = [];
  for (let first = 0; first < track.length; first += 1) {
    const subject = track[first]?.subject;
    if (subject === undefined || !isClosed(track[first])) continue;
    let last = first;
    while (track[last + 1]?.subject === subject && isClosed(track[last + 1])) last += 1;
    const isWhole = track[first - 1]?.subject === subject && track[last + 1]?.subject === subject;
    if (last - first + 1 >= minFrames) runs.push({ subject, first, last, isWhole });
    first = last;
  }
  return runs;
}

/** The eye aspect ratio below which the eyes of each person are closed. */
function limitsOf(track: EyeTrack, threshold: BlinkRule['threshold']): ReadonlyMap<number, number> {
  const samples = track.filter((sample) => sample !== undefined);
  return new Map(
    [...Map.groupBy(samples, ({ subject }) => subject)].map(([subject, own]) => {
      const ears = own.map(({ ear }) => ear);
      const limit =
        threshold.mode === 'fixed'
          ? threshold.ear
          : threshold.share * percentileOf(ears, threshold.percentile);
      return [subject, limit];
    }),
  );
}

/**
 * As `numpy.percentile`: between two values where it lies between them.
 * @param values not empty
 * @param percentile 0..100
 */
export function percentileOf(values: readonly number[], percentile: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const place = (percentile / 100) * (sorted.length - 1);
  const below = sorted[Math.floor(place)] ?? NaN;
  const above = sorted[Math.ceil(place)] ?? NaN;
  return below + (above - below) * (place - Math.floor(place));
}

/**
 * Blinks are counted over the time in which eyes were seen alone; the duration is that of blinks which were seen whole.
 * @param stepSeconds from one frame to the next
 * @returns nothing of what nothing is known of
 */
export function blinkSignals(track: EyeTrack, runs: readonly BlinkRun[], stepSeconds: number) {
  const ears = track.flatMap((sample) => (sample === undefined ? [] : [sample.ear]));
  const whole = runs.filter(({ isWhole }) => isWhole);
  const observedSeconds = ears.length * stepSeconds;
  return {
    eyes_observed_seconds: observedSeconds,
    blink_count: runs.length,
    ...(ears.length === 0
      ? {}
      : { mean_ear: mean(ears), blinks_per_minute: (60 * runs.length) / observedSeconds }),
    ...(whole.length === 0
      ? {}
      : {
          mean_blink_duration_ms: 1000 * stepSeconds * mean(whole.map(({ first, last }) => last - first + 1)),
        }),
  };
}
