/** Real signals to power spectra. The only module that knows fft.js, whose types say nothing. Pure. */
import FFT from 'fft.js';

/** Of one length, a power of two and at least 4; keeps its buffers, so that a frame costs no memory. */
export class RealFourier {
  readonly size: number;
  /** Bins of a spectrum: `size / 2 + 1`, from 0 Hz to half of the sample rate. */
  readonly bins: number;
  readonly #transform: { realTransform(out: Float64Array, data: Float64Array): void };
  readonly #complex: { transform(out: Float64Array, data: Float64Array): void };
  readonly #out: Float64Array;
  readonly #in: Float64Array;

  constructor(size: number) {
    const transform = new FFT(size);
    this.size = size;
    this.bins = size / 2 + 1;
    this.#transform = transform;
    this.#complex = transform;
    this.#out = new Float64Array(2 * size);
    this.#in = new Float64Array(2 * size);
  }

  /**
   * Squared magnitudes, not scaled.
   * @param frame `size` values
   * @param target `bins` values
   */
  power(frame: Float64Array, target: Float64Array): void {
    const out = this.#out;
    this.#transform.realTransform(out, frame);
    for (let bin = 0; bin < this.bins; bin += 1) {
      const real = out[2 * bin] ?? 0;
      const imaginary = out[2 * bin + 1] ?? 0;
      target[bin] = real * real + imaginary * imaginary;
    }
  }

  /**
   * The cross-correlation `target[lag] = sum of frame[i] * pattern[i + lag]` (circular), times `size`.
   * Both are transformed at once, one as the real part and one as the imaginary part.
   * @param target `size` values
   */
  correlate(pattern: Float64Array, frame: Float64Array, target: Float64Array): void {
    const { size } = this;
    const input = this.#in;
    const out = this.#out;
    for (let index = 0; index < size; index += 1) {
      input[2 * index] = pattern[index] ?? 0;
      input[2 * index + 1] = frame[index] ?? 0;
    }
    this.#complex.transform(out, input);
    // With Z = P + iF of real p and f: P = (Z[k] + conj Z[-k]) / 2 and F = (Z[k] - conj Z[-k]) / 2i. The product is conj(P) * F, whose other
    // half is its mirror. It is conjugated, so that a forward transform does what an inverse one would: its result is real.
    for (let bin = 0; bin < this.bins; bin += 1) {
      const mirror = bin === 0 ? 0 : size - bin;
      const ar = out[2 * bin] ?? 0;
      const ai = out[2 * bin + 1] ?? 0;
      const br = out[2 * mirror] ?? 0;
      const bi = -(out[2 * mirror + 1] ?? 0);
      const real = ((ar + br) * (ai - bi) + (ai + bi) * (br - ar)) / 4;
      const imaginary = ((ar + br) * (br - ar) - (ai + bi) * (ai - bi)) / 4;
      input[2 * bin] = real;
      input[2 * bin + 1] = -imaginary;
      input[2 * mirror] = real;
      input[2 * mirror + 1] = mirror === bin ? -imaginary : imaginary;
    }
    this.#complex.transform(out, input);
    for (let lag = 0; lag < size; lag += 1) target[lag] = out[2 * lag] ?? 0;
  }
}
