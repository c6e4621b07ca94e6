/** A spectrogram for people: small, whatever the sound. Pure. */
import { applyBank, melBank } from './filter-banks.ts';
import { levelsOf } from './plane.ts';
import { Stft } from './stft.ts';

const bands = 32;
const mostColumns = 64;
/** Of a frame, before it is rounded to a power of two. */
const frameSeconds = 0.064;
const rangeDb = 80;
/** What the loudest band has to reach, or everything is as silent as can be. */
const smallestPower = 1e-10;

/**
 * Mel bands (rows, the lowest first) over equal parts of the time (columns, 64 at most): whole dB below the loudest value, -80 to 0. Empty
 * for no sound.
 */
export function spectrogramPicture(samples: Float32Array, sampleRate: number): number[][] {
  const fftSize = 2 ** Math.round(Math.log2(frameSeconds * sampleRate));
  const stft = new Stft({ fftSize, windowLength: fftSize, hop: fftSize, window: 'hann', padding: 'zeros' });
  const frames = stft.frameCount(samples.length);
  const columns = Math.min(mostColumns, frames);
  const bank = melBank(
    { sampleRate, fftSize },
    { filters: bands, minHz: 0, maxHz: sampleRate / 2 },
    { scale: 'slaney', unitArea: true },
  );
  const values = new Float32Array(columns * bands);
  const counts = new Float64Array(columns);
  const row = new Float64Array(bands);
  stft.eachPower(samples, (power, frame) => {
    const column = Math.floor((frame * columns) / frames);
    applyBank(bank, power, row);
    counts[column] = (counts[column] ?? 0) + 1;
    for (const [band, value] of row.entries()) {
      const at = column * bands + band;
      values[at] = (values[at] ?? 0) + value;
    }
  });
  const means = values.map((value, index) => value / (counts[Math.floor(index / bands)] ?? 1));
  const loudest = Math.max(
    smallestPower,
    means.reduce((most, value) => Math.max(most, value), 0),
  );
  const scale = {
    type: 'decibels',
    reference: loudest,
    floor: loudest * 10 ** (-rangeDb / 10),
    topDb: null,
  } as const;
  const levels = levelsOf({ values: means, frames: columns, bins: bands }, scale).values;
  if (columns === 0) return [];
  return Array.from({ length: bands }, (_, band) =>
    // Zero has no sign in JSON, and -0 would be another value after it was kept.
    Array.from({ length: columns }, (__, column) => Math.round(levels[column * bands + band] ?? 0) + 0),
  );
}
