/** What H.264 and HEVC configurations (ISO/IEC 14496-15) say that matters for leaving samples out. Pure functions over bytes. */
import { Unusual } from './boxes.ts';
import { type H264Sequence, h264Sequence } from './h264-sequence.ts';

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

/** @throws Unusual for what `h264Sequence` refuses */
export function h264Configuration(
  avcC: Buffer,
): DecoderConfiguration & { readonly sequences: readonly H264Sequence[] } {
  const lengthBytes = ((avcC[4] ?? 0) & 3) + 1;
  const fields = new Fields(avcC, 5);
  const sequences = fields.list(fields.number(1) & 31);
  const pictures = fields.list(fields.number(1));
  if (sequences.length === 0 || pictures.length === 0)
    throw new Unusual('its parameter sets are in its samples');
  return {
    lengthBytes,
    parameterSets: [...sequences, ...pictures],
    hasOneLayer: true,
    sequences: sequences.map(h264Sequence),
  };
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
