/** Mono sound as samples in [-1, 1]: level, silence and windows. Pure functions. */

/** A half-open range of samples. */
export interface SampleRange {
  readonly start: number;
  readonly end: number;
}

export interface Windows {
  /** `[starts.length, length]`, row-major. */
  readonly samples: Float32Array;
  /** First sample of each window. */
  readonly starts: readonly number[];
}

export function peakOf(samples: Float32Array): number {
  let peak = 0;
  for (const sample of samples) peak = Math.max(peak, Math.abs(sample));
  return peak;
}

export function rmsOf(samples: Float32Array): number {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  return samples.length === 0 ? 0 : Math.sqrt(sum / samples.length);
}

/** Decibels of an amplitude relative to full scale, never below -120. */
export function decibels(amplitude: number): number {
  return Math.max(-120, 20 * Math.log10(Math.max(amplitude, 1e-6)));
}

/**
 * The range from the first to the last frame whose loudest sample reaches `floorDb` (negative) relative to the peak of the whole signal.
 * Empty when there is no sound at all.
 */
export function soundRange(samples: Float32Array, frame: number, floorDb: number): SampleRange {
  const floor = peakOf(samples) * 10 ** (floorDb / 20);
  let start = -1;
  let end = -1;
  for (let at = 0; at < samples.length; at += frame) {
    const level = peakOf(samples.subarray(at, at + frame));
    if (level <= 0 || level < floor) continue;
    if (start < 0) start = at;
    end = Math.min(at + frame, samples.length);
  }
  return start < 0 ? { start: 0, end: 0 } : { start, end };
}

/** A copy scaled so that its largest amplitude is `target`; silence stays silence. */
export function normalisePeak(samples: Float32Array, target: number): Float32Array {
  const peak = peakOf(samples);
  const gain = peak > 0 ? target / peak : 1;
  return samples.map((sample) => sample * gain);
}

/**
 * Windows of `length` samples every `hop`; a last one is aligned to the end when the regular ones leave a rest. A signal shorter than one
 * window is repeated until it fills it.
 */
export function windowsOf(samples: Float32Array, length: number, hop: number): Windows {
  return windowsAt(samples, length, windowStarts(samples.length, length, hop));
}

/**
 * `count` windows of `length` samples at equal distances from the beginning to the end; a single one is in the middle. A signal shorter than
 * one window is repeated until it fills it.
 */
export function spreadWindows(samples: Float32Array, length: number, count: number): Windows {
  const room = Math.max(0, samples.length - length);
  const starts = Array.from({ length: count }, (_, index) =>
    Math.round(count === 1 ? room / 2 : (index * room) / (count - 1)),
  );
  return windowsAt(samples, length, starts);
}

function windowsAt(samples: Float32Array, length: number, starts: readonly number[]): Windows {
  const windows = new Float32Array(starts.length * length);
  for (const [index, start] of starts.entries()) {
    fillRepeating(
      samples.subarray(start, start + length),
      windows.subarray(index * length, (index + 1) * length),
    );
  }
  return { samples: windows, starts };
}

function windowStarts(total: number, length: number, hop: number): number[] {
  if (total <= length) return [0];
  const regular = Math.floor((total - length) / hop) + 1;
  const starts = Array.from({ length: regular }, (_, index) => index * hop);
  const covered = (regular - 1) * hop + length;
  return covered < total ? [...starts, total - length] : starts;
}

function fillRepeating(source: Float32Array, target: Float32Array): void {
  if (source.length === 0) return;
  for (let at = 0; at < target.length; at += source.length) {
    target.set(source.subarray(0, target.length - at), at);
  }
}
