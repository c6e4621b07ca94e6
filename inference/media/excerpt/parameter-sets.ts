/** What H.264 and HEVC configurations (ISO/IEC 14496-15) say that matters for leaving samples out. Pure functions over bytes. */
import { Unusual } from './boxes.ts';

export interface DecoderConfiguration {
  /** Bytes of the length in front of every NAL unit. */
  readonly lengthBytes: number;
  /** NAL units that hold for every picture. */
  readonly parameterSets: readonly Buffer[];
  /** Whether a picture that says nothing else needs it is needed by nothing at all: in HEVC a higher layer may. */
  readonly hasOneLayer: boolean;
}

/** A reader of big-endian lists that never leaves its bytes. */
class Fields {
  readonly #bytes: Buffer;
  #at: number;

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes;
    this.#at = at;
  }

  number(bytes: 1 | 2): number {
    return this.bytes(bytes).readUIntBE(0, bytes);
  }

  bytes(length: number): Buffer {
    const taken = this.#bytes.subarray(this.#at, this.#at + length);
    if (taken.length < length) throw new Unusual('the configuration of its decoder ends early');
    this.#at += length;
    return taken;
  }

  list(count: number): Buffer[] {
    return Array.from({ length: count }, () => this.bytes(this.number(2)));
  }
}

/** @throws Unusual for coding by fields, for other colour sampling than monochrome, 4:2:0 and 4:2:2, and for gaps that are allowed */
export function h264Configuration(avcC: Buffer): DecoderConfiguration {
  const lengthBytes = ((avcC[4] ?? 0) & 3) + 1;
  const fields = new Fields(avcC, 5);
  const sequences = fields.list(fields.number(1) & 31);
  const pictures = fields.list(fields.number(1));
  if (sequences.length === 0 || pictures.length === 0)
    throw new Unusual('its parameter sets are in its samples');
  for (const sequence of sequences) refuseSequence(sequence);
  return { lengthBytes, parameterSets: [...sequences, ...pictures], hasOneLayer: true };
}

/** @throws Unusual where parameter sets are missing */
export function hevcConfiguration(hvcC: Buffer): DecoderConfiguration {
  const lengthBytes = ((hvcC[21] ?? 0) & 3) + 1;
  const fields = new Fields(hvcC, 22);
  const lists = Array.from({ length: fields.number(1) }, () => {
    const kind = fields.number(1) & 63;
    return { kind, units: fields.list(fields.number(2)) };
  });
  const sets = lists.filter(({ kind }) => kind >= 32 && kind <= 34);
  if ([32, 33, 34].some((kind) => !sets.some((set) => set.kind === kind && set.units.length > 0)))
    throw new Unusual('its parameter sets are in its samples');
  const sequences = sets.flatMap(({ kind, units }) => (kind === 33 ? units : []));
  // ITU-T H.265, 7.3.2.2.1: behind the head of the unit, four bits of a name, then three for the layers above the first.
  const hasOneLayer = sequences.every((unit) => unit.length > 2 && ((unit[2] ?? 0) & 0x0e) === 0);
  return { lengthBytes, parameterSets: sets.flatMap(({ units }) => units), hasOneLayer };
}

/** Profiles whose sequence parameter sets describe their colours. */
const highProfiles = new Set([100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135]);

/** ITU-T H.264, 7.3.2.1.1. */
function refuseSequence(unit: Buffer): void {
  const bits = new Bits(unit.subarray(1));
  const profile = bits.take(8);
  bits.take(16);
  bits.exponential();
  if (highProfiles.has(profile)) {
    // In 4:4:4 ffmpeg repairs what an old encoder did wrong by that encoder's note in the first sample.
    if (bits.exponential() > 2) throw new Unusual('its colours are 4:4:4');
    bits.exponential();
    bits.exponential();
    bits.take(1);
    if (bits.take(1) === 1) for (let list = 0; list < 8; list += 1) skipScalingList(bits, list < 6 ? 16 : 64);
  }
  bits.exponential();
  skipPictureOrder(bits);
  bits.exponential();
  if (bits.take(1) === 1) throw new Unusual('pictures may be missing in it');
  bits.exponential();
  bits.exponential();
  if (bits.take(1) === 0) throw new Unusual('its pictures are coded by fields');
}

function skipPictureOrder(bits: Bits): void {
  const kind = bits.exponential();
  if (kind === 0) bits.exponential();
  if (kind !== 1) return;
  bits.take(1);
  bits.exponential();
  bits.exponential();
  const cycle = bits.exponential();
  for (let picture = 0; picture < Math.min(cycle, 255); picture += 1) bits.exponential();
}

function skipScalingList(bits: Bits, length: number): void {
  if (bits.take(1) === 0) return;
  let scale = 8;
  for (let index = 0; index < length && scale !== 0; index += 1) {
    const code = bits.exponential();
    const delta = code % 2 === 1 ? (code + 1) / 2 : -code / 2;
    scale = (scale + delta + 256) % 256;
  }
}

/** Bits of a NAL unit without the bytes that keep start codes out of it. */
class Bits {
  readonly #bytes: number[] = [];
  #at = 0;

  constructor(unit: Buffer) {
    let zeros = 0;
    for (const byte of unit) {
      if (zeros >= 2 && byte === 3) {
        zeros = 0;
        continue;
      }
      zeros = byte === 0 ? zeros + 1 : 0;
      this.#bytes.push(byte);
    }
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

  exponential(): number {
    let zeros = 0;
    while (this.take(1) === 0) zeros += 1;
    if (zeros > 31) throw new Unusual('a parameter set cannot be read');
    return 2 ** zeros - 1 + this.take(zeros);
  }
}
