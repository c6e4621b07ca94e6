/** Triangular filters over the bins of a power spectrum. Pure. */

/** What a filter lets through, from bin `first` on. */
interface Filter {
  readonly first: number;
  readonly weights: Float64Array;
}

export type FilterBank = readonly Filter[];

export interface BankRange {
  readonly filters: number;
  readonly minHz: number;
  readonly maxHz: number;
}

export interface SpectrumShape {
  readonly sampleRate: number;
  readonly fftSize: number;
}

/** `slaney` is linear below 1 kHz and logarithmic above, `htk` is 2595 log10(1 + f / 700). */
export type MelScale = 'slaney' | 'htk';

/**
 * Filters that are equally wide in mel.
 * @param unitArea divides each by half of its width in Hz, as librosa does for `norm='slaney'`; otherwise its middle lets all through
 */
export function melBank(
  shape: SpectrumShape,
  { filters, minHz, maxHz }: BankRange,
  { scale, unitArea }: { readonly scale: MelScale; readonly unitArea: boolean },
): FilterBank {
  const { toMel, toHz } = scales[scale];
  return triangles(shape, evenly(toMel(minHz), toMel(maxHz), filters + 2).map(toHz), unitArea);
}

/** Filters that are equally wide in Hz; the middle of each lets all through. */
export function linearBank(shape: SpectrumShape, { filters, minHz, maxHz }: BankRange): FilterBank {
  return triangles(shape, evenly(minHz, maxHz, filters + 2), false);
}

/** @param target one value per filter: the weighted sum of the power */
export function applyBank(bank: FilterBank, power: Float64Array, target: Float64Array): void {
  for (const [index, { first, weights }] of bank.entries()) {
    let sum = 0;
    for (let at = 0; at < weights.length; at += 1) sum += (weights[at] ?? 0) * (power[first + at] ?? 0);
    target[index] = sum;
  }
}

/** A filter rises from one edge to the next and falls to the one after it. */
function triangles(
  { sampleRate, fftSize }: SpectrumShape,
  edges: readonly number[],
  unitArea: boolean,
): FilterBank {
  return Array.from({ length: edges.length - 2 }, (_, index): Filter => {
    const [left = 0, middle = 0, right = 0] = edges.slice(index, index + 3);
    const height = unitArea ? 2 / (right - left) : 1;
    const first = Math.max(0, Math.ceil((left * fftSize) / sampleRate));
    const last = Math.min(fftSize / 2, Math.floor((right * fftSize) / sampleRate));
    const weights = Float64Array.from({ length: Math.max(0, last - first + 1) }, (_, at) => {
      const hz = ((first + at) * sampleRate) / fftSize;
      return height * Math.max(0, Math.min((hz - left) / (middle - left), (right - hz) / (right - middle)));
    });
    return { first, weights };
  });
}

function evenly(from: number, to: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => from + ((to - from) * index) / (count - 1));
}

const hzPerMel = 200 / 3;
const logarithmicFromHz = 1000;
const logarithmicFromMel = logarithmicFromHz / hzPerMel;
const logStep = Math.log(6.4) / 27;

const scales = {
  slaney: {
    toMel: (hz: number) =>
      hz < logarithmicFromHz
        ? hz / hzPerMel
        : logarithmicFromMel + Math.log(hz / logarithmicFromHz) / logStep,
    toHz: (mel: number) =>
      mel < logarithmicFromMel
        ? mel * hzPerMel
        : logarithmicFromHz * Math.exp(logStep * (mel - logarithmicFromMel)),
  },
  htk: {
    toMel: (hz: number) => 2595 * Math.log10(1 + hz / 700),
    toHz: (mel: number) => 700 * (10 ** (mel / 2595) - 1),
  },
} as const;
