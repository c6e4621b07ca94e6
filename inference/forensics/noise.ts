/** What is left of an image when its shapes are taken out. Pure functions of pixels. */
import { median, noiseOf, residualAt } from '../dsp/input-statistics.ts';
import { eachPatch, type LumaPatches, patchSide } from '../dsp/luma-patches.ts';

export interface NoiseStatistics {
  /** Median over the patches of the noise's standard deviation, in steps of 8-bit luma. */
  readonly level: number;
  /** Of the high-pass residual over all patches, in the same steps: what edges add to the noise shows here. */
  readonly residual_std: number;
  /** Excess kurtosis of the residual: 0 for a normal distribution, large where flat areas meet sharp edges. */
  readonly residual_kurtosis: number;
  /** Log2 of the ninth decile of the patches' noise over the first: how many doublings lie between the calm and the noisy parts. */
  readonly inconsistency: number;
}

/** Below this a patch has no noise that 8 bits could hold. */
const nothing = 0.05;
/** How much stronger than the noise the residual is: the root of the sum of the filter's squares. */
const filterGain = 6;

export function noiseStatistics(patches: LumaPatches): NoiseStatistics {
  const noises = [...eachPatch(patches)].map(noiseOf).toSorted((a, b) => a - b);
  const { deviation, kurtosis } = momentsOf(patches);
  const decile = (share: number) =>
    Math.max(nothing, noises[Math.round(share * (noises.length - 1))] ?? nothing);
  return {
    level: median(noises),
    residual_std: deviation,
    residual_kurtosis: kurtosis,
    inconsistency: Math.log2(decile(0.9) / decile(0.1)),
  };
}

/** The filter lets no constant through, so that the mean is 0 but for edges, and moments around 0 are those that count. */
function momentsOf(patches: LumaPatches): { deviation: number; kurtosis: number } {
  let squares = 0;
  let fourths = 0;
  let count = 0;
  for (const patch of eachPatch(patches)) {
    for (let y = 1; y < patchSide - 1; y += 1) {
      for (let x = 1; x < patchSide - 1; x += 1) {
        const square = (residualAt(patch, y * patchSide + x) / filterGain) ** 2;
        squares += square;
        fourths += square * square;
        count += 1;
      }
    }
  }
  const variance = squares / count;
  return { deviation: Math.sqrt(variance), kurtosis: variance > 0 ? fourths / count / variance ** 2 - 3 : 0 };
}
