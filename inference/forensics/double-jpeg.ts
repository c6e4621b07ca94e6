/**
 * Whether a JPEG file was one before. Saved twice, a coefficient is rounded to two steps, one after the other: some of its multiples of the
 * second step are then met by more multiples of the first than others, and the histogram has a rhythm. Equal steps, and a second step that
 * is an odd multiple of the first, leave none; nor does a file that was cut or resized in between.
 */
import { eachPatch, type LumaPatches, patchSide } from '../dsp/luma-patches.ts';

export interface DoubleJpeg {
  /** Frequencies whose histogram could be looked at. */
  readonly frequencies: number;
  /** How many of them an earlier step explains better than none. */
  readonly rhythmic: number;
  /** Mean over all looked at of how much better, in nats per coefficient; 0 where it is not. */
  readonly evidence: number;
  readonly isLikely: boolean;
}

/** The first nine of alternating current, in zigzag order: [row, column]. Others are mostly 0. */
const places = [
  [0, 1],
  [1, 0],
  [2, 0],
  [1, 1],
  [0, 2],
  [0, 3],
  [1, 2],
  [2, 1],
  [3, 0],
] as const;

/** Multiples beyond are rare; 0 is left out, where everything flat is. */
const mostMultiple = 30;
const fewestCoefficients = 400;
const largestFirstStep = 64;
/** What rounding pixels in between does to a coefficient: standard deviation, in steps of 1. */
const roundingNoise = 0.4;
/** Nats per coefficient from which a rhythm counts, and the share of the frequencies that have to have one. */
const rhythmNats = 0.02;
const likelyShare = 0.34;

/**
 * @param patches of the stored pixels, not turned, which begin at multiples of 8
 * @param steps the luma table, row by row
 * @returns undefined where there are too few coefficients to say anything, as in files of the highest qualities and in flat pictures
 */
export function doubleJpeg(patches: LumaPatches, steps: readonly number[]): DoubleJpeg | undefined {
  const gains = places.flatMap(([row, col]) => {
    const step = steps[8 * row + col] ?? 0;
    // With a step of 1 the rounding of pixels hides everything.
    if (step < 2) return [];
    const histogram = histogramOf(patches, row, col, step);
    const total = histogram.reduce((sum, count) => sum + count, 0);
    return total < fewestCoefficients ? [] : [bestGain(histogram, total, step)];
  });
  if (gains.length === 0) return undefined;
  const rhythmic = gains.filter((gain) => gain >= rhythmNats).length;
  return {
    frequencies: gains.length,
    rhythmic,
    evidence: gains.reduce((sum, gain) => sum + Math.max(0, gain), 0) / gains.length,
    isLikely: rhythmic / gains.length >= likelyShare,
  };
}

/** How often each multiple of the step occurs, by magnitude: `[0]` stays empty. */
function histogramOf(patches: LumaPatches, row: number, col: number, step: number): number[] {
  const basis = basisOf(row, col);
  const histogram = new Array<number>(mostMultiple + 1).fill(0);
  for (const patch of eachPatch(patches)) {
    for (let y = 0; y < patchSide; y += 8) {
      for (let x = 0; x < patchSide; x += 8) {
        const multiple = Math.abs(Math.round(coefficientAt(patch, y * patchSide + x, basis) / step));
        if (multiple > 0 && multiple <= mostMultiple) histogram[multiple] = (histogram[multiple] ?? 0) + 1;
      }
    }
  }
  return histogram;
}

function coefficientAt(patch: Float32Array, start: number, basis: Float64Array): number {
  let sum = 0;
  for (let index = 0; index < 64; index += 1)
    sum += (basis[index] ?? 0) * (patch[start + (index >> 3) * patchSide + (index & 7)] ?? 0);
  return sum;
}

/** Of the discrete cosine transform of JPEG. */
function basisOf(row: number, col: number): Float64Array {
  const wave = (at: number, frequency: number) =>
    Math.cos(((2 * at + 1) * frequency * Math.PI) / 16) * (frequency === 0 ? Math.SQRT1_2 : 1);
  return Float64Array.from({ length: 64 }, (_, index) => (wave(index >> 3, row) * wave(index & 7, col)) / 4);
}

/** The most that any earlier step explains, in nats per coefficient; below 0 where none does. */
function bestGain(histogram: readonly number[], total: number, step: number): number {
  const envelope = smoothed(histogram);
  let best = -Infinity;
  for (let first = 2; first <= largestFirstStep; first += 1) {
    if (first !== step) best = Math.max(best, gainOf(histogram, envelope, total, shares(first, step)));
  }
  return best;
}

/** Log-likelihood of the histogram under the envelope times the shares, against the envelope alone. */
function gainOf(
  histogram: readonly number[],
  envelope: readonly number[],
  total: number,
  sharesOf: readonly number[],
): number {
  let weight = 0;
  let sum = 0;
  let logs = 0;
  for (let multiple = 1; multiple <= mostMultiple; multiple += 1) {
    const share = sharesOf[multiple] ?? 1;
    weight += envelope[multiple] ?? 0;
    sum += (envelope[multiple] ?? 0) * share;
    logs += (histogram[multiple] ?? 0) * Math.log(share);
  }
  return logs / total - Math.log(sum / weight);
}

/** How many multiples of the first step become each multiple of the second, with the noise of the pixels in between. */
function shares(first: number, step: number): number[] {
  const counts = new Array<number>(mostMultiple + 1).fill(0.03);
  for (let multiple = 0; multiple * first <= (mostMultiple + 2) * step; multiple += 1) {
    const value = multiple * first;
    const near = Math.round(value / step);
    for (let target = Math.max(1, near - 1); target <= Math.min(mostMultiple, near + 1); target += 1) {
      const upper = ((target + 0.5) * step - value) / roundingNoise;
      const lower = ((target - 0.5) * step - value) / roundingNoise;
      counts[target] = (counts[target] ?? 0) + normalShare(upper) - normalShare(lower);
    }
  }
  return counts;
}

/** Of a standard normal distribution below a value, to about 0.01: a logistic curve is near enough to a rounding's noise. */
function normalShare(value: number): number {
  return 1 / (1 + Math.exp(-1.702 * value));
}

/** What a histogram would be without a rhythm: geometric means over neighbours, which a steep fall does not bias, wide enough to hold a beat. */
function smoothed(histogram: readonly number[]): number[] {
  return histogram.map((_, index) => {
    if (index === 0) return 0;
    const reach = Math.min(3, index - 1, mostMultiple - index);
    const around = histogram.slice(index - reach, index + reach + 1);
    return Math.exp(around.reduce((sum, count) => sum + Math.log(count + 0.5), 0) / around.length);
  });
}
