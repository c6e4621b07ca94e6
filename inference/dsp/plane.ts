/** Values over time: one row per frame. Pure functions that leave their input as it is. */

export interface Plane {
  /** `[frames, bins]`, row-major. */
  readonly values: Float32Array;
  readonly frames: number;
  readonly bins: number;
}

/** How power becomes level. */
export type LevelScale =
  /** `10 log10(max(power, floor) / reference)`, at most `topDb` below the loudest value. */
  | {
      readonly type: 'decibels';
      readonly reference: number | 'max';
      readonly floor: number;
      readonly topDb: number | null;
    }
  /** `log(power + epsilon)`. */
  | { readonly type: 'logarithm'; readonly base: 'e' | '10'; readonly epsilon: number };

export function levelsOf(plane: Plane, scale: LevelScale): Plane {
  return scale.type === 'decibels' ? decibelsOf(plane, scale) : logarithmsOf(plane, scale);
}

function decibelsOf(plane: Plane, scale: LevelScale & { type: 'decibels' }): Plane {
  const { floor, topDb } = scale;
  const reference = scale.reference === 'max' ? largest(plane.values) : scale.reference;
  const zeroDb = 10 * Math.log10(Math.max(floor, reference));
  const values = plane.values.map((power) => 10 * Math.log10(Math.max(floor, power)) - zeroDb);
  if (topDb === null) return { ...plane, values };
  const lowest = largest(values) - topDb;
  return { ...plane, values: values.map((level) => Math.max(lowest, level)) };
}

function logarithmsOf(plane: Plane, { base, epsilon }: LevelScale & { type: 'logarithm' }): Plane {
  const unit = base === '10' ? Math.LN10 : 1;
  return { ...plane, values: plane.values.map((power) => Math.log(power + epsilon) / unit) };
}

function largest(values: Float32Array): number {
  return values.reduce((most, value) => Math.max(most, value), -Infinity);
}

/** The first `count` coefficients of the orthonormal DCT-II of each frame. */
export function cosineTransform({ values, frames, bins }: Plane, count: number): Plane {
  const table = Float64Array.from({ length: count * bins }, (_, index) => {
    const [order, bin] = [Math.floor(index / bins), index % bins];
    const scale = Math.sqrt((order === 0 ? 1 : 2) / bins);
    return scale * Math.cos((Math.PI * order * (2 * bin + 1)) / (2 * bins));
  });
  const coefficients = new Float32Array(frames * count);
  for (let frame = 0; frame < frames; frame += 1) {
    for (let order = 0; order < count; order += 1) {
      let sum = 0;
      for (let bin = 0; bin < bins; bin += 1)
        sum += (values[frame * bins + bin] ?? 0) * (table[order * bins + bin] ?? 0);
      coefficients[frame * count + order] = sum;
    }
  }
  return { values: coefficients, frames, bins: count };
}

export type DeltaFormula =
  /** The next frame minus the one before, as baselines of spoofing challenges have it. */
  | { readonly type: 'difference' }
  /** The slope of the straight line through so many frames (odd), as torchaudio computes it. */
  | { readonly type: 'regression'; readonly width: number };

/** How each bin changes from frame to frame; the first and the last frame go on beyond the ends. */
export function deltasOf({ values, frames, bins }: Plane, formula: DeltaFormula): Plane {
  const reach = formula.type === 'difference' ? 1 : (formula.width - 1) / 2;
  const divisor = formula.type === 'difference' ? 1 : (reach * (reach + 1) * (2 * reach + 1)) / 3;
  const at = (frame: number, bin: number) =>
    values[Math.min(frames - 1, Math.max(0, frame)) * bins + bin] ?? 0;
  const deltas = values.map((_, index) => {
    const [frame, bin] = [Math.floor(index / bins), index % bins];
    let sum = 0;
    for (let step = 1; step <= reach; step += 1)
      sum += step * (at(frame + step, bin) - at(frame - step, bin));
    return sum / divisor;
  });
  return { values: deltas, frames, bins };
}

/** The bins of several planes of as many frames, one below the other. */
export function stacked(planes: readonly Plane[]): Plane {
  const frames = planes[0]?.frames ?? 0;
  const bins = planes.reduce((sum, plane) => sum + plane.bins, 0);
  const values = new Float32Array(frames * bins);
  for (let frame = 0; frame < frames; frame += 1) {
    let first = frame * bins;
    for (const plane of planes) {
      values.set(plane.values.subarray(frame * plane.bins, (frame + 1) * plane.bins), first);
      first += plane.bins;
    }
  }
  return { values, frames, bins };
}

export type PlaneNormalisation =
  | { readonly type: 'none' }
  /** Each bin's mean over time is subtracted: loudness and microphone say nothing any more. */
  | { readonly type: 'per-bin-mean' }
  /** Mean 0 and standard deviation 1 over all values; a constant plane becomes 0. */
  | { readonly type: 'mean-std' }
  /** `(value - mean) / std`. */
  | { readonly type: 'fixed'; readonly mean: number; readonly std: number };

export function normalisedPlane(plane: Plane, normalisation: PlaneNormalisation): Plane {
  const { values, bins } = plane;
  switch (normalisation.type) {
    case 'none':
      return plane;
    case 'per-bin-mean': {
      const means = meansOfBins(plane);
      return { ...plane, values: values.map((value, index) => value - (means[index % bins] ?? 0)) };
    }
    case 'mean-std': {
      const mean = meanOf(values, (value) => value);
      const std = Math.sqrt(meanOf(values, (value) => (value - mean) ** 2));
      return { ...plane, values: values.map((value) => (std > 0 ? (value - mean) / std : 0)) };
    }
    case 'fixed': {
      const { mean, std } = normalisation;
      return { ...plane, values: values.map((value) => (value - mean) / std) };
    }
  }
}

function meansOfBins({ values, frames, bins }: Plane): Float64Array {
  const sums = new Float64Array(bins);
  for (const [index, value] of values.entries()) sums[index % bins] = (sums[index % bins] ?? 0) + value;
  return sums.map((sum) => sum / frames);
}

function meanOf(values: Float32Array, of: (value: number) => number): number {
  let sum = 0;
  for (const value of values) sum += of(value);
  return values.length === 0 ? 0 : sum / values.length;
}

/** `[bins, frames]` of `[frames, bins]`. */
export function transposed({ values, frames, bins }: Plane): Float32Array {
  return values.map((_, index) => values[(index % frames) * bins + Math.floor(index / frames)] ?? 0);
}
