/** Big-endian bits of what encoders write about their streams. */
import { Unusual } from './boxes.ts';

/** @throws Unusual from every method where the bytes end */
export class Bits {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get left(): number {
    return 8 * this.#bytes.length - this.#at;
  }

  take(count: number): number {
    let value = 0;
    for (let left = count; left > 0; left -= 1, this.#at += 1) {
      const byte = this.#bytes[this.#at >> 3];
      if (byte === undefined) throw new Unusual('a parameter set ends early');
      value = value * 2 + ((byte >> (7 - (this.#at & 7))) & 1);
    }
    return value;
  }

  /** Exp-Golomb, ITU-T H.264, 9.1. */
  exponential(): number {
    let zeros = 0;
    while (this.take(1) === 0) zeros += 1;
    if (zeros > 31) throw new Unusual('a parameter set cannot be read');
    return 2 ** zeros - 1 + this.take(zeros);
  }
}

/** A NAL unit without the bytes that keep start codes out of it (ITU-T H.264, 7.4.1). */
export function withoutEmulationPrevention(unit: Uint8Array): Uint8Array {
  const kept: number[] = [];
  let zeros = 0;
  for (const byte of unit) {
    if (zeros >= 2 && byte === 3) {
      zeros = 0;
      continue;
    }
    zeros = byte === 0 ? zeros + 1 : 0;
    kept.push(byte);
  }
  return Uint8Array.from(kept);
}
