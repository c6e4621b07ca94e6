/** Which samples of a sound are scored, and how they are prepared. Pure functions that leave their input as it is. */
import { lengthOf, speechRanges } from './voice-activity.ts';
import { normalisePeak, normaliseRms, preEmphasised, type SampleRange, soundRange } from './waveform.ts';

const frameSeconds = 0.02;
const silenceBelowPeakDb = -50;
/** On either side of where stretches of speech meet, so that no click is heard there. */
const fadeSeconds = 0.005;

export interface Selection {
  readonly trimsSilence: boolean;
  readonly speechOnly: boolean;
}

/** The stretches that are scored, in order; none where there is no sound, or no speech. */
export function scoredRanges(
  samples: Float32Array,
  sampleRate: number,
  { trimsSilence, speechOnly }: Selection,
): SampleRange[] {
  if (speechOnly) return speechRanges(samples, sampleRate);
  const range = trimsSilence
    ? soundRange(samples, Math.round(frameSeconds * sampleRate), silenceBelowPeakDb)
    : { start: 0, end: samples.length };
  return range.end > range.start ? [range] : [];
}

/** The ranges one after the other; the samples themselves where there is one. */
export function joinedRanges(
  samples: Float32Array,
  ranges: readonly SampleRange[],
  sampleRate: number,
): Float32Array {
  const [first, ...others] = ranges;
  if (first !== undefined && others.length === 0) return samples.subarray(first.start, first.end);
  const joined = new Float32Array(lengthOf(ranges));
  const fade = Math.round(fadeSeconds * sampleRate);
  let at = 0;
  for (const { start, end } of ranges) {
    joined.set(samples.subarray(start, end), at);
    if (at > 0) fadeAround(joined, at, fade);
    at += end - start;
  }
  return joined;
}

/** Where in the file a sample of the joined ranges stands. @param index of the joined sound, 0 to its length */
export function positionInFile(ranges: readonly SampleRange[], index: number): number {
  let rest = index;
  for (const { start, end } of ranges) {
    if (rest < end - start) return start + rest;
    rest -= end - start;
  }
  return ranges.at(-1)?.end ?? 0;
}

export type Level =
  | { readonly type: 'none' }
  | { readonly type: 'peak'; readonly amplitude: number }
  /** `dbfs`: root mean square in dB of full scale. */
  | { readonly type: 'rms'; readonly dbfs: number };

/** The sound at its level, and then with what is high lifted where the coefficient is not 0. */
export function preparedSound(samples: Float32Array, level: Level, preEmphasis: number): Float32Array {
  const levelled = atLevel(samples, level);
  return preEmphasis === 0 ? levelled : preEmphasised(levelled, preEmphasis);
}

function atLevel(samples: Float32Array, level: Level): Float32Array {
  switch (level.type) {
    case 'none':
      return samples;
    case 'peak':
      return normalisePeak(samples, level.amplitude);
    case 'rms':
      return normaliseRms(samples, 10 ** (level.dbfs / 20));
  }
}

/** Fades out before `at` and in from it on. */
function fadeAround(samples: Float32Array, at: number, length: number): void {
  for (let step = 0; step < length; step += 1) {
    const gain = 0.5 - 0.5 * Math.cos((Math.PI * (step + 0.5)) / length);
    for (const index of [at - 1 - step, at + step]) {
      const sample = samples[index];
      if (sample !== undefined) samples[index] = sample * gain;
    }
  }
}
