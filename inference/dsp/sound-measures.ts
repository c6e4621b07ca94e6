/**
 * What can be measured of a sound whoever judges it: pitch, energy and spectrum, as librosa 0.10 measures them. Pure.
 * About 0.15 s of processor time per minute of sound at 16 kHz.
 */
import { pitchTrack } from './pitch.ts';
import { Stft } from './stft.ts';

/** A value that the sound does not define, such as the pitch of noise, is null. */
export interface SoundMeasures {
  readonly pitch: {
    /** Of the voiced frames between C2 and C7 (65.4 to 2093 Hz). */
    readonly mean_pitch_hz: number | null;
    /** 1 - (standard deviation in Hz) / 100, never below 0: 1 is a steady tone. */
    readonly pitch_stability_score: number | null;
  };
  readonly energy: {
    /** Mean over frames of their root mean square, 0..1; 0 is digital silence. */
    readonly rms_energy: number | null;
    /** Share of the sound in frames 40 dB or more below the loudest one. */
    readonly silence_ratio: number | null;
  };
  /** Means over the frames that are not silent. */
  readonly spectral: {
    /** Hz: the middle of the magnitude spectrum. */
    readonly spectral_centroid: number | null;
    /** dB from the valleys to the peaks, mean over octave bands from 200 Hz on. */
    readonly spectral_contrast: number | null;
  };
}

/** C2 to C7, where speaking and singing voices are. */
const pitchRange = { minHz: 65.406, maxHz: 2093.005 };
/** Of a frame, before it is rounded to a power of two: 2048 samples at 16 kHz. */
const frameSeconds = 0.128;
/** 40 dB below the maximum. */
const silentBelow = 10 ** (-40 / 20);
/** Share of a band's bins that its peak and its valley are the means of. */
const extremes = 0.02;
const lowestBandHz = 200;
const mostBands = 6;
/** Keeps the logarithm of an empty bin finite: -100 dB. */
const smallestMagnitude = 1e-10;
/** Sound behind this is not measured: it bounds what measuring costs. */
const measuredSeconds = 60;
/** A pitch is called one from so many voiced frames on: 0.1 s. */
const minVoicedFrames = 4;

/** Of the first minute. @param all finite */
export function soundMeasures(all: Float32Array, sampleRate: number): SoundMeasures {
  const samples = all.subarray(0, measuredSeconds * sampleRate);
  const frame = 2 ** Math.round(Math.log2(frameSeconds * sampleRate));
  const hop = frame / 4;
  const levels = frameLevels(samples, frame, hop);
  const loudest = levels.reduce((most, level) => Math.max(most, level), 0);
  const isSounding = (index: number) => (levels[index] ?? 0) > loudest * silentBelow;
  return {
    pitch: pitchOf(pitchTrack(samples, { sampleRate, hop, range: pitchRange })),
    energy: {
      rms_energy: meanOrNull(levels),
      silence_ratio:
        loudest > 0
          ? 1 - soundingSamples(levels.length, samples.length, hop, isSounding) / samples.length
          : null,
    },
    spectral: spectralOf(samples, { sampleRate, frame, hop, isSounding }),
  };
}

/** Root mean square around each multiple of the hop; what lies outside is silence. */
function frameLevels(samples: Float32Array, frame: number, hop: number): Float64Array {
  const count = samples.length === 0 ? 0 : Math.floor(samples.length / hop) + 1;
  const sums = new Float64Array(count + 4);
  // Frames overlap: squares are summed once per hop.
  for (let start = 0; start < samples.length; start += hop)
    sums[start / hop + 2] = squaresOf(samples.subarray(start, start + hop));
  return Float64Array.from({ length: count }, (_, index) => {
    const [a = 0, b = 0, c = 0, d = 0] = sums.subarray(index, index + 4);
    return Math.sqrt((a + b + c + d) / frame);
  });
}

function squaresOf(samples: Float32Array): number {
  let sum = 0;
  for (let index = 0; index < samples.length; index += 1) sum += (samples[index] ?? 0) ** 2;
  return sum;
}

function soundingSamples(
  frames: number,
  length: number,
  hop: number,
  isSounding: (frame: number) => boolean,
): number {
  let sounding = 0;
  for (let frame = 0; frame < frames; frame += 1)
    if (isSounding(frame)) sounding += Math.max(0, Math.min(hop, length - frame * hop));
  return sounding;
}

function pitchOf(track: Float64Array): SoundMeasures['pitch'] {
  const voiced = withoutOctaveErrors(track.filter((hz) => !Number.isNaN(hz)));
  const mean = voiced.length < minVoicedFrames ? null : meanOrNull(voiced);
  if (mean === null) return { mean_pitch_hz: null, pitch_stability_score: null };
  const deviation = Math.sqrt(meanOrNull(voiced.map((hz) => (hz - mean) ** 2)) ?? 0);
  return { mean_pitch_hz: mean, pitch_stability_score: Math.max(0, 1 - deviation / 100) };
}

/** A voice seldom leaves the octaves around its median; a frame that does has most likely been taken for a multiple of its pitch. */
function withoutOctaveErrors(voiced: Float64Array): Float64Array {
  const median = voiced.toSorted()[Math.floor(voiced.length / 2)] ?? NaN;
  return voiced.filter((hz) => hz > median / 2 && hz < median * 2);
}

interface Frames {
  readonly sampleRate: number;
  readonly frame: number;
  readonly hop: number;
  readonly isSounding: (frame: number) => boolean;
}

function spectralOf(
  samples: Float32Array,
  { sampleRate, frame, hop, isSounding }: Frames,
): SoundMeasures['spectral'] {
  const stft = new Stft({ fftSize: frame, windowLength: frame, hop, window: 'hann', padding: 'zeros' });
  const bands = octaveBands(sampleRate, frame);
  const centroids: number[] = [];
  const contrasts: number[] = [];
  stft.eachPower(samples, (power, index) => {
    if (!isSounding(index)) return;
    let weighted = 0;
    let sum = 0;
    for (let bin = 0; bin < power.length; bin += 1) {
      const magnitude = Math.sqrt(power[bin] ?? 0);
      power[bin] = magnitude;
      weighted += bin * magnitude;
      sum += magnitude;
    }
    if (sum <= 0) return;
    centroids.push((weighted / sum) * (sampleRate / frame));
    contrasts.push(bands.reduce((total, band) => total + contrastOf(power, band), 0) / bands.length);
  });
  return { spectral_centroid: meanOrNull(centroids), spectral_contrast: meanOrNull(contrasts) };
}

interface Band {
  readonly first: number;
  readonly end: number;
  /** As many as the bins of the valley; overwritten by every frame. */
  readonly lowest: Float64Array;
  /** The same of the peak, with the other sign. */
  readonly highest: Float64Array;
}

/** From 0 to 200 Hz, then octaves; neighbours share a bin; the last one reaches to half of the sample rate. */
function octaveBands(sampleRate: number, fftSize: number): Band[] {
  const binHz = sampleRate / fftSize;
  const octaves = Math.min(mostBands, Math.floor(Math.log2(sampleRate / 2 / lowestBandHz - 1e-9)) + 1);
  return Array.from({ length: octaves + 1 }, (_, band): Band => {
    const isLast = band === octaves;
    const low = band === 0 ? 0 : lowestBandHz * 2 ** (band - 1);
    const high = lowestBandHz * 2 ** band;
    const first = Math.max(0, Math.ceil(low / binHz) - (band > 0 ? 1 : 0));
    const last = isLast ? fftSize / 2 : Math.floor(high / binHz);
    const bins = last - first + 1;
    const count = Math.max(1, Math.round(extremes * bins));
    const [lowest, highest] = [new Float64Array(count), new Float64Array(count)];
    return { first, end: isLast ? last + 1 : last, lowest, highest };
  });
}

function contrastOf(magnitudes: Float64Array, { first, end, lowest, highest }: Band): number {
  lowest.fill(Infinity);
  highest.fill(Infinity);
  // Sorting every band of every frame would cost more than everything else here.
  for (let bin = first; bin < end; bin += 1) {
    const magnitude = magnitudes[bin] ?? 0;
    keepSmallest(lowest, magnitude);
    keepSmallest(highest, -magnitude);
  }
  return decibelsOf(-(meanOrNull(highest) ?? 0)) - decibelsOf(meanOrNull(lowest) ?? 0);
}

/** @param kept in ascending order */
function keepSmallest(kept: Float64Array, value: number): void {
  let at = kept.length - 1;
  if (value >= (kept[at] ?? 0)) return;
  for (; at > 0 && value < (kept[at - 1] ?? 0); at -= 1) kept[at] = kept[at - 1] ?? 0;
  kept[at] = value;
}

function decibelsOf(magnitude: number): number {
  return 10 * Math.log10(Math.max(smallestMagnitude, magnitude));
}

function meanOrNull(values: ArrayLike<number>): number | null {
  let sum = 0;
  for (let index = 0; index < values.length; index += 1) sum += values[index] ?? 0;
  return values.length === 0 ? null : sum / values.length;
}
