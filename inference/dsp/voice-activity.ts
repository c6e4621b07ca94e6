/**
 * Where somebody speaks, from level and spectrum alone. Pure.
 *
 * A frame (32 ms, every 16 ms) is speech where, between 100 Hz and 4 kHz,
 *   - it is louder than -60 dB of full scale and than 35 dB below the loudest frame,
 *   - it stands 6 dB above the background: the level that a tenth of the frames do not reach, digital silence left out,
 *   - and its spectrum is uneven: the geometric mean of the power is less than 0.35 of the arithmetic one (white noise has 0.56).
 * Gaps below 0.3 s are bridged, and what remains has to last 0.15 s and to change as speech does: the spectra of frames 0.1 s apart differ,
 * where a held note or a hum stays what it was. What is left is widened by 0.1 s.
 *
 * It errs towards speech: singing, fast music and barking pass. It is there to keep silence, noise, hum and dial tones
 * from being judged, and not to tell what is said.
 */

import { Stft } from './stft.ts';
import type { SampleRange } from './waveform.ts';

const hopSeconds = 0.016;
const bandHz = { low: 100, high: 4000 };
const lowestLevelDb = -60;
const belowLoudestDb = 35;
const aboveBackgroundDb = 6;
const backgroundShare = 0.1;
const maxFlatness = 0.35;
const bridgedSeconds = 0.3;
const minStretchSeconds = 0.15;
const changeSeconds = 0.1;
/** Mean of 1 - cosine of the magnitude spectra. */
const minChange = 0.1;
const marginSeconds = 0.1;

/** Stretches of samples in which somebody speaks, in order, apart from each other. */
export function speechRanges(samples: Float32Array, sampleRate: number): SampleRange[] {
  const hop = Math.round(hopSeconds * sampleRate);
  const frames = analysed(samples, sampleRate, hop);
  const isSpeech = speechFrames(frames);
  const inFrames = (seconds: number) => Math.round(seconds / hopSeconds);
  const stretches = stretchesOf(isSpeech, inFrames(bridgedSeconds)).filter(
    ({ start, end }) =>
      end - start >= inFrames(minStretchSeconds) && changeWithin(frames, start, end) >= minChange,
  );
  const margin = Math.round(marginSeconds * sampleRate);
  return merged(
    stretches.map(({ start, end }) => ({
      start: Math.max(0, start * hop - margin),
      end: Math.min(samples.length, (end - 1) * hop + margin),
    })),
  );
}

/** Samples in all ranges together. */
export function lengthOf(ranges: readonly SampleRange[]): number {
  return ranges.reduce((sum, { start, end }) => sum + end - start, 0);
}

interface Frames {
  /** dB of full scale, -Infinity for digital silence. */
  readonly levels: Float64Array;
  /** 0..1 */
  readonly flatness: Float64Array;
  /** 1 - cosine between the frame's spectrum and that 0.1 s before it; NaN where there is none. */
  readonly change: Float64Array;
}

function analysed(samples: Float32Array, sampleRate: number, hop: number): Frames {
  const fftSize = 2 ** Math.round(Math.log2(2 * hopSeconds * sampleRate));
  const stft = new Stft({ fftSize, windowLength: fftSize, hop, window: 'hann', padding: 'zeros' });
  const [first, end] = [bandHz.low, bandHz.high].map((hz) => Math.round((hz * fftSize) / sampleRate));
  const count = stft.frameCount(samples.length);
  const frames = {
    levels: new Float64Array(count),
    flatness: new Float64Array(count),
    change: new Float64Array(count).fill(NaN),
  };
  // A sine of full scale puts (fftSize / 4)² into its bin and a quarter of that into each neighbour.
  const fullScale = 1.5 * (fftSize / 4) ** 2;
  const lag = Math.round(changeSeconds / hopSeconds);
  const recent: Float64Array[] = [];
  stft.eachPower(samples, (power, index) => {
    const band = power.slice(first, end);
    const mean = meanOf(band);
    frames.levels[index] = 10 * Math.log10((mean * band.length) / fullScale);
    frames.flatness[index] = mean > 0 ? Math.exp(meanOf(band.map(Math.log))) / mean : 1;
    const magnitudes = band.map(Math.sqrt);
    recent.push(magnitudes);
    const before = recent.length > lag ? recent.shift() : undefined;
    if (before !== undefined) frames.change[index] = 1 - cosine(before, magnitudes);
  });
  return frames;
}

function speechFrames({ levels, flatness }: Frames): boolean[] {
  const audible = levels.filter((level) => level > lowestLevelDb).sort();
  const background = levels.filter(Number.isFinite).sort();
  const loudest = audible.at(-1) ?? Infinity;
  const floor = Math.max(
    lowestLevelDb,
    loudest - belowLoudestDb,
    (background[Math.floor(backgroundShare * background.length)] ?? Infinity) + aboveBackgroundDb,
  );
  return Array.from(levels, (level, index) => level > floor && (flatness[index] ?? 1) < maxFlatness);
}

/** Runs of true, those that are less than `bridged` apart together. */
function stretchesOf(marks: readonly boolean[], bridged: number): SampleRange[] {
  const runs: SampleRange[] = [];
  for (const [index, isMarked] of marks.entries()) {
    if (!isMarked) continue;
    const last = runs.at(-1);
    if (last !== undefined && index - last.end < bridged) runs[runs.length - 1] = { ...last, end: index + 1 };
    else runs.push({ start: index, end: index + 1 });
  }
  return runs;
}

function changeWithin({ change }: Frames, start: number, end: number): number {
  return meanOf(change.slice(start, end).filter((value) => !Number.isNaN(value)));
}

function merged(ranges: readonly SampleRange[]): SampleRange[] {
  const apart: SampleRange[] = [];
  for (const range of ranges) {
    const last = apart.at(-1);
    if (last !== undefined && range.start <= last.end) apart[apart.length - 1] = { ...last, end: range.end };
    else apart.push(range);
  }
  return apart;
}

function cosine(a: Float64Array, b: Float64Array): number {
  let [product, aa, bb] = [0, 0, 0];
  for (let index = 0; index < a.length; index += 1) {
    const [x = 0, y = 0] = [a[index], b[index]];
    product += x * y;
    aa += x * x;
    bb += y * y;
  }
  return aa > 0 && bb > 0 ? product / Math.sqrt(aa * bb) : 0;
}

function meanOf(values: Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return values.length === 0 ? 0 : sum / values.length;
}
