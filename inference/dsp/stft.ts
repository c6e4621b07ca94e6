/** Short-time Fourier transforms as librosa (from 0.10) and torch compute them. Pure. */
import { RealFourier } from './fourier.ts';

export interface StftOptions {
  /** A power of two. */
  readonly fftSize: number;
  /** Samples under the window, at most `fftSize`; the window stands in the middle of the transform. */
  readonly windowLength: number;
  /** Samples from one frame to the next. */
  readonly hop: number;
  /** Periodic, as spectra want them. */
  readonly window: 'hann' | 'hamming';
  /** What stands before the beginning and after the end, so that frames have their middle at multiples of the hop; `none`: they begin there. */
  readonly padding: 'zeros' | 'reflect' | 'none';
}

export class Stft {
  readonly bins: number;
  readonly #options: StftOptions;
  readonly #fourier: RealFourier;
  readonly #window: Float64Array;
  /** Samples of a frame before the middle of the window. */
  readonly #lead: number;

  constructor(options: StftOptions) {
    const { fftSize, windowLength, padding } = options;
    this.#options = options;
    this.#fourier = new RealFourier(fftSize);
    this.bins = this.#fourier.bins;
    this.#window = new Float64Array(fftSize);
    this.#window.set(windowOf(options.window, windowLength), Math.floor((fftSize - windowLength) / 2));
    this.#lead = padding === 'none' ? 0 : fftSize / 2;
  }

  /** Frames that `length` samples give; 0 where they are too few for one. */
  frameCount(length: number): number {
    return frameCount(this.#options, length);
  }

  /**
   * Visits the squared magnitudes of each frame, in order.
   * @param visit the spectrum is overwritten by the next one
   */
  eachPower(samples: Float32Array, visit: (power: Float64Array, frame: number) => void): void {
    const { fftSize, hop } = this.#options;
    const frames = this.frameCount(samples.length);
    const buffer = new Float64Array(fftSize);
    const power = new Float64Array(this.bins);
    for (let frame = 0; frame < frames; frame += 1) {
      this.#fill(buffer, samples, frame * hop - this.#lead);
      this.#fourier.power(buffer, power);
      visit(power, frame);
    }
  }

  #fill(buffer: Float64Array, samples: Float32Array, start: number): void {
    const window = this.#window;
    const isInside = start >= 0 && start + buffer.length <= samples.length;
    const read = isInside || this.#options.padding !== 'reflect' ? plain : mirrored;
    for (let index = 0; index < buffer.length; index += 1)
      buffer[index] = read(samples, start + index) * (window[index] ?? 0);
  }
}

/** Frames that `length` samples give; 0 where they are too few for one. */
export function frameCount(
  { fftSize, hop, padding }: Pick<StftOptions, 'fftSize' | 'hop' | 'padding'>,
  length: number,
): number {
  if (padding === 'reflect' && length <= fftSize / 2) return 0;
  const padded = length + (padding === 'none' ? 0 : fftSize);
  return length === 0 || padded < fftSize ? 0 : Math.floor((padded - fftSize) / hop) + 1;
}

/** One period of the window, sampled `length` times. */
export function windowOf(kind: StftOptions['window'], length: number): Float64Array {
  const [level, depth] = kind === 'hann' ? [0.5, 0.5] : [0.54, 0.46];
  return Float64Array.from(
    { length },
    (_, index) => level - depth * Math.cos((2 * Math.PI * index) / length),
  );
}

function plain(samples: Float32Array, at: number): number {
  return samples[at] ?? 0;
}

/** The sample that stands there when the ends are mirrored without repeating the last sample. */
function mirrored(samples: Float32Array, at: number): number {
  const last = samples.length - 1;
  const inside = Math.abs(at);
  return samples[inside > last ? 2 * last - inside : inside] ?? 0;
}
