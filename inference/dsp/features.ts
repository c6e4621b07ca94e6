/** What features-in models read: spectra of sound as planes of levels or coefficients. Pure. */
import {
  applyBank,
  type BankRange,
  type FilterBank,
  linearBank,
  type MelScale,
  melBank,
} from './filter-banks.ts';
import {
  cosineTransform,
  type DeltaFormula,
  deltasOf,
  type LevelScale,
  levelsOf,
  normalisedPlane,
  type Plane,
  type PlaneNormalisation,
  stacked,
} from './plane.ts';
import { Stft, type StftOptions } from './stft.ts';

export type FeatureKind =
  | ({ readonly type: 'log-mel'; readonly melScale: MelScale; readonly unitArea: boolean } & BankRange)
  /** The bins of the spectrum themselves, the lowest `bins` of them. */
  | { readonly type: 'log-spectrogram'; readonly bins: number }
  | ({
      readonly type: 'lfcc';
      readonly coefficients: number;
      /** 1 appends the deltas, 2 also the deltas of these. */
      readonly deltaOrders: 0 | 1 | 2;
      readonly delta: DeltaFormula;
      /** The frame's energy, log10(sum of the power / FFT size + epsilon), takes the place of the first coefficient. */
      readonly energyFirst: boolean;
    } & BankRange);

export interface FeatureOptions {
  readonly sampleRate: number;
  readonly stft: StftOptions;
  /** Magnitudes instead of their squares, where a model was trained on these. */
  readonly spectrum: 'power' | 'magnitude';
  readonly kind: FeatureKind;
  readonly scale: LevelScale;
  readonly normalisation: PlaneNormalisation;
}

/** Numbers that the extracted features have in a frame. */
export function binsOf(kind: FeatureKind): number {
  switch (kind.type) {
    case 'log-mel':
      return kind.filters;
    case 'log-spectrogram':
      return kind.bins;
    case 'lfcc':
      return kind.coefficients * (1 + kind.deltaOrders);
  }
}

/** Numbers of a frame of the widest plane that is held while features are extracted. */
export function widestRow(kind: FeatureKind): number {
  return kind.type === 'lfcc' ? Math.max(kind.filters, binsOf(kind)) : binsOf(kind);
}

/** Of float32; keeps the logarithm of an empty frame finite. */
const energyEpsilon = 2 ** -23;

/** @returns a function of samples, which gives one row per frame */
export function featureExtractor(options: FeatureOptions): (samples: Float32Array) => Plane {
  const stft = new Stft(options.stft);
  const { kind, scale, normalisation, spectrum } = options;
  const bank = bankOf(options);
  const width = bank === undefined ? (kind.type === 'log-spectrogram' ? kind.bins : 0) : bank.length;
  return (samples) => {
    const frames = stft.frameCount(samples.length);
    const values = new Float32Array(frames * width);
    const energies = new Float32Array(frames);
    const row = new Float64Array(width);
    stft.eachPower(samples, (power, frame) => {
      energies[frame] = Math.log10(sumOf(power) / options.stft.fftSize + energyEpsilon);
      if (spectrum === 'magnitude') for (const [bin, value] of power.entries()) power[bin] = Math.sqrt(value);
      if (bank === undefined) values.set(power.subarray(0, width), frame * width);
      else {
        applyBank(bank, power, row);
        values.set(row, frame * width);
      }
    });
    const levels = levelsOf({ values, frames, bins: width }, scale);
    return normalisedPlane(kind.type === 'lfcc' ? cepstrum(levels, energies, kind) : levels, normalisation);
  };
}

function bankOf({ sampleRate, stft: { fftSize }, kind }: FeatureOptions): FilterBank | undefined {
  const shape = { sampleRate, fftSize };
  switch (kind.type) {
    case 'log-mel':
      return melBank(shape, kind, { scale: kind.melScale, unitArea: kind.unitArea });
    case 'lfcc':
      return linearBank(shape, kind);
    case 'log-spectrogram':
      return undefined;
  }
}

function cepstrum(levels: Plane, energies: Float32Array, kind: FeatureKind & { type: 'lfcc' }): Plane {
  const statics = cosineTransform(levels, kind.coefficients);
  if (kind.energyFirst)
    for (const [frame, energy] of energies.entries()) statics.values[frame * statics.bins] = energy;
  const planes = [statics];
  for (let order = 1; order <= kind.deltaOrders; order += 1)
    planes.push(deltasOf(planes[order - 1] ?? statics, kind.delta));
  return stacked(planes);
}

function sumOf(values: Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
}
