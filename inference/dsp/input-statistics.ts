/** What an image is like before any model looks at it: few numbers, of which a package may say what it was trained on. */
import { eachPatch, type LumaPatches, patchSide } from './luma-patches.ts';

/** In this order wherever all are given. Their meaning is part of the package format: a change needs a new name. */
export const inputStatistics = ['log_noise', 'spectrum_slope', 'blockiness', 'saturated_share'] as const;

export type InputStatistic = (typeof inputStatistics)[number];

/** Below this a level is nothing: one hundredth of a step of 8-bit pixels. */
const nothing = 0.01;
const octaves = 4;

/**
 * - `log_noise`: log10 of the noise's standard deviation in steps of 8-bit luma, 0.01 at least: Immerkær's estimate in each patch, and the
 *   median over the patches.
 * - `spectrum_slope`: how log2 of the mean squared difference between neighbours changes from one octave to the next, over four octaves of
 *   2 x 2 means. 0 is a power of 1/f² as photographs have it, -2 white noise; smooth pictures are above 0.
 * - `blockiness`: log2 of the mean absolute step across the borders of blocks of 8 pixels, over that elsewhere. 0 without blocks.
 * - `saturated_share`: share of the pixels of which a channel is 0 or 255.
 */
export function inputStatisticsOf(patches: LumaPatches): Readonly<Record<InputStatistic, number>> {
  const noises = [...eachPatch(patches)].map(noiseOf);
  return {
    log_noise: Math.log10(Math.max(nothing, median(noises))),
    spectrum_slope: spectrumSlopeOf(patches),
    blockiness: blockinessOf(patches),
    saturated_share: patches.saturatedShare,
  };
}

/**
 * The standard deviation of noise in a patch: what a difference of two Laplacians lets through, which ignores planes and edges of constant
 * slope (J. Immerkær, Fast noise variance estimation, 1996).
 */
export function noiseOf(patch: Float32Array): number {
  let sum = 0;
  for (let y = 1; y < patchSide - 1; y += 1)
    for (let x = 1; x < patchSide - 1; x += 1) sum += Math.abs(residualAt(patch, y * patchSide + x));
  return (Math.sqrt(Math.PI / 2) * sum) / (6 * (patchSide - 2) ** 2);
}

/** The high-pass residual at a place that has neighbours all around: 6 times as strong as the noise. */
export function residualAt(patch: Float32Array, at: number): number {
  const up = at - patchSide;
  const down = at + patchSide;
  const corners =
    (patch[up - 1] ?? 0) + (patch[up + 1] ?? 0) + (patch[down - 1] ?? 0) + (patch[down + 1] ?? 0);
  const sides = (patch[up] ?? 0) + (patch[down] ?? 0) + (patch[at - 1] ?? 0) + (patch[at + 1] ?? 0);
  return corners - 2 * sides + 4 * (patch[at] ?? 0);
}

function spectrumSlopeOf(patches: LumaPatches): number {
  const energies = new Float64Array(octaves);
  for (const patch of eachPatch(patches)) {
    let plane = patch;
    for (let octave = 0; octave < octaves; octave += 1) {
      const side = patchSide >> octave;
      if (octave > 0) plane = halved(plane, side);
      energies[octave] = (energies[octave] ?? 0) + stepEnergy(plane, side);
    }
  }
  const count = patches.rows * patches.cols;
  return slopeOf([...energies].map((energy) => Math.log2(Math.max(nothing ** 2, energy / count))));
}

/** @param side of the plane that is made, half that of `plane` */
function halved(plane: Float32Array, side: number): Float32Array {
  const half = new Float32Array(side * side);
  for (let y = 0; y < side; y += 1) {
    for (let x = 0; x < side; x += 1) {
      const at = 4 * y * side + 2 * x;
      const below = at + 2 * side;
      half[y * side + x] =
        ((plane[at] ?? 0) + (plane[at + 1] ?? 0) + (plane[below] ?? 0) + (plane[below + 1] ?? 0)) / 4;
    }
  }
  return half;
}

/** The mean squared difference between neighbours, across and down. */
function stepEnergy(plane: Float32Array, side: number): number {
  let sum = 0;
  for (let y = 0; y < side - 1; y += 1) {
    for (let x = 0; x < side - 1; x += 1) {
      const at = y * side + x;
      const here = plane[at] ?? 0;
      sum += (here - (plane[at + 1] ?? 0)) ** 2 + (here - (plane[at + side] ?? 0)) ** 2;
    }
  }
  return sum / (2 * (side - 1) ** 2);
}

/** Of the least-squares line through values at 0, 1, 2, … */
function slopeOf(values: readonly number[]): number {
  const middle = (values.length - 1) / 2;
  const spread = values.reduce((sum, _, index) => sum + (index - middle) ** 2, 0);
  return values.reduce((sum, value, index) => sum + (index - middle) * value, 0) / spread;
}

function blockinessOf(patches: LumaPatches): number {
  let across = 0;
  let inside = 0;
  for (const patch of eachPatch(patches)) {
    for (let y = 0; y < patchSide; y += 1) {
      for (let x = 0; x < patchSide - 1; x += 1) {
        const row = Math.abs((patch[y * patchSide + x] ?? 0) - (patch[y * patchSide + x + 1] ?? 0));
        const col = Math.abs((patch[x * patchSide + y] ?? 0) - (patch[(x + 1) * patchSide + y] ?? 0));
        if (x % 8 === 7) across += row + col;
        else inside += row + col;
      }
    }
  }
  const count = 2 * patches.rows * patches.cols * patchSide;
  const borders = patchSide / 8 - 1;
  const acrossMean = across / (count * borders);
  const insideMean = inside / (count * (patchSide - 1 - borders));
  return Math.log2((acrossMean + nothing) / (insideMean + nothing));
}

/** @param values not empty */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.ceil(middle) - 1] ?? NaN) + (sorted[Math.floor(middle)] ?? NaN)) / 2;
}
