/** What a sample is to the decoder, by the heads of its NAL units. */
import { Unusual } from './boxes.ts';
import type { DecoderConfiguration } from './parameter-sets.ts';
import type { SampleTable } from './sample-table.ts';

/** `entry`: decoding can begin here, and nothing behind it needs what was before. `disposable`: no other picture needs it. */
export type SampleKind = 'entry' | 'reference' | 'disposable';

/** Some bytes of the file; fewer at its end. */
export type ReadAt = (position: number, length: number) => Promise<Buffer> | Buffer;

interface Unit {
  readonly type: number;
  /** Whether other pictures may need it. */
  readonly referenced: boolean;
  /** Of HEVC: the decoder may throw away what it has not shown yet. */
  readonly dropsPrior: boolean;
}

/** More units than this are not looked through: the picture counts as needed. */
const maxUnits = 64;
/** A parameter set of a camera has a hundred bytes. */
const maxParameterSetBytes = 4096;

/**
 * @returns the kind of a sample
 * @throws Unusual for NAL units that do not fit into it, for pictures in partitions and for parameter sets that change in the middle
 */
export function sampleKinds(
  { codec, offsets, sizes }: Pick<SampleTable, 'codec' | 'offsets' | 'sizes'>,
  configuration: DecoderConfiguration,
  readAt: ReadAt,
): (sample: number) => Promise<SampleKind> {
  const { hasOneLayer } = configuration;
  const unitOf = codec === 'h264' ? h264Unit : (head: Buffer) => hevcUnit(head, hasOneLayer);
  return async (sample) => {
    const start = offsets[sample] ?? 0;
    const units = await unitsOf(start, start + (sizes[sample] ?? 0), configuration.lengthBytes, readAt);
    if (units === undefined) return 'reference';
    const pictures: Unit[] = [];
    for (const { at, length, head } of units) {
      const unit = unitOf(head);
      if (unit === 'parameter set') await refuseChange(configuration, readAt, at, length);
      else if (unit !== undefined) pictures.push(unit);
    }
    return kindOf(codec, pictures);
  };
}

interface Located {
  readonly at: number;
  readonly length: number;
  /** Its first bytes, three at most. */
  readonly head: Buffer;
}

/** @returns undefined where there are too many to look at */
async function unitsOf(
  start: number,
  end: number,
  lengthBytes: number,
  readAt: ReadAt,
): Promise<Located[] | undefined> {
  const units: Located[] = [];
  for (let at = start; at < end; ) {
    if (units.length === maxUnits) return undefined;
    const bytes = await readAt(at, Math.min(lengthBytes + 3, end - at));
    const length = bytes.length > lengthBytes ? bytes.readUIntBE(0, lengthBytes) : 0;
    const unitAt = at + lengthBytes;
    if (length === 0 || unitAt + length > end) throw new Unusual('its samples are not made of NAL units');
    units.push({ at: unitAt, length, head: bytes.subarray(lengthBytes) });
    at = unitAt + length;
  }
  return units;
}

function kindOf(codec: SampleTable['codec'], pictures: readonly Unit[]): SampleKind {
  if (pictures.length === 0) return 'reference';
  const isEntry =
    codec === 'h264' ? (unit: Unit) => unit.type === 5 : (unit: Unit) => unit.type === 19 || unit.type === 20;
  if (pictures.every((unit) => isEntry(unit) && !unit.dropsPrior)) return 'entry';
  return pictures.some(({ referenced }) => referenced) ? 'reference' : 'disposable';
}

/** ITU-T H.264, 7.4.1. */
function h264Unit(head: Buffer): Unit | 'parameter set' | undefined {
  const first = head[0] ?? 0;
  const type = first & 31;
  if (type === 7 || type === 8) return 'parameter set';
  if (type >= 2 && type <= 4) throw new Unusual('its pictures come in partitions');
  if (type !== 1 && type !== 5) return undefined;
  return { type, referenced: (first & 0x60) !== 0, dropsPrior: false };
}

/** ITU-T H.265, 7.4.2.2: below 16, pictures of even types are not needed by others of their temporal layer. */
function hevcUnit(head: Buffer, hasOneLayer: boolean): Unit | 'parameter set' | undefined {
  const type = ((head[0] ?? 0) >> 1) & 63;
  // Further layers are other views of the picture, which no decoder here reads.
  const isBaseLayer = ((head[0] ?? 0) & 1) === 0 && (head[1] ?? 0) >> 3 === 0;
  if (!isBaseLayer) return undefined;
  if (type >= 32 && type <= 34) return 'parameter set';
  if (type > 31) return undefined;
  const isRandomAccess = type >= 16 && type <= 23;
  const referenced = !hasOneLayer || type >= 16 || type % 2 === 1;
  return { type, referenced, dropsPrior: isRandomAccess && ((head[2] ?? 0) & 0x40) !== 0 };
}

async function refuseChange(
  { parameterSets }: DecoderConfiguration,
  readAt: ReadAt,
  position: number,
  length: number,
): Promise<void> {
  const unit = length > maxParameterSetBytes ? undefined : await readAt(position, length);
  if (unit === undefined || !parameterSets.some((known) => known.equals(unit)))
    throw new Unusual('its parameter sets change');
}
