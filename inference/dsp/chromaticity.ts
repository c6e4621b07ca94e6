/** Colours without their brightness. Pure functions of pixels. */
import type { Raster } from './tiles.ts';

/** Keeps black pixels, which have no colour, at 0. It also keeps every share of another pixel below the edge between bins that it would else lie on. */
const smallest = 1e-6;

/**
 * How often colours occur: a histogram over r = R / (R + G + B + 1e-6) and g = G / (R + G + B + 1e-6), both in bins of equal width over 0..1,
 * its counts brought to 0 (the rarest) to 255 (the most frequent). In numpy, with `rgb` of float64:
 *
 *     counts, _, _ = np.histogram2d(r, g, bins=bins, range=[[0, 1], [0, 1]])
 *     (counts - counts.min()) / (counts.max() - counts.min()) * 255
 *
 * @returns `[bins, bins]`, row-major, r along the rows; zeros where all counts are the same
 */
export function chromaticityHistogram({ data }: Pick<Raster, 'data'>, bins: number): Float32Array {
  const counts = new Float64Array(bins * bins);
  for (let pixel = 0; pixel + 2 < data.length; pixel += 3) {
    const red = data[pixel] ?? 0;
    const green = data[pixel + 1] ?? 0;
    const sum = red + green + (data[pixel + 2] ?? 0) + smallest;
    const cell = bins * Math.floor((bins * red) / sum) + Math.floor((bins * green) / sum);
    counts[cell] = (counts[cell] ?? 0) + 1;
  }
  const [least, most] = [counts.reduce(min, Infinity), counts.reduce(max, 0)];
  if (most === least) return new Float32Array(bins * bins);
  return Float32Array.from(counts, (count) => ((count - least) / (most - least)) * 255);
}

function min(a: number, b: number): number {
  return Math.min(a, b);
}

function max(a: number, b: number): number {
  return Math.max(a, b);
}
