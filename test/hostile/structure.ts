/** Where the parts of a media file begin and say how long they are, as far as that is needed to cut or spoil it there. */

export type Container = 'jpeg' | 'png' | 'gif' | 'riff' | 'iso' | 'ogg' | 'flac' | 'matroska' | 'mp3';

/** A number in a file that says how much of something follows. */
export interface LengthField {
  readonly at: number;
  /** 1 to 8. */
  readonly bytes: number;
  /** `vint` is EBML's: the leading zeros of the first byte say how many bytes there are. */
  readonly order: 'be' | 'le' | 'vint';
}

/** Ascending offsets of chunks, segments, boxes or pages; the first is 0. */
export function boundariesOf(bytes: Buffer, container: Container): number[] {
  switch (container) {
    case 'jpeg':
      return walk(bytes, 2, (at) =>
        bytes[at] === 0xff && bytes[at + 1] !== 0xd9 ? 2 + uintBE(bytes, at + 2, 2) : 0,
      );
    case 'png':
      return walk(bytes, 8, (at) => 12 + uintBE(bytes, at, 4));
    case 'riff':
      return walk(bytes, 12, (at) =>
        bytes.toString('latin1', at, at + 4) === 'LIST' ? 12 : 8 + evenSize(bytes, at + 4),
      );
    case 'iso':
      return isoBoundaries(bytes);
    case 'flac':
      return walk(bytes, 4, (at) => (((bytes[at] ?? 0) & 0x7f) < 7 ? 4 + uintBE(bytes, at + 1, 3) : 0));
    case 'ogg':
      return occurrences(bytes, 'OggS');
    case 'gif':
      return [0, 6, 13, ...occurrences(bytes, '\x21\xf9\x04')];
    case 'matroska':
      return [0, ...occurrences(bytes, '\x1f\x43\xb6\x75'), ...occurrences(bytes, '\x16\x54\xae\x6b')].sort(
        ascending,
      );
    case 'mp3':
      return occurrences(bytes, '\xff\xfb');
  }
}

/** Those within the file, whatever the file is: a damaged one has those that can be found on the way through it. */
export function lengthFieldsOf(bytes: Buffer, container: Container): LengthField[] {
  const behind = (skip: number, length: number, order: 'be' | 'le' = 'be') =>
    boundariesOf(bytes, container).map((at) => ({ at: at + skip, bytes: length, order }));
  return fieldsOf().filter((field) => field.at + field.bytes <= bytes.length);

  function fieldsOf(): LengthField[] {
    switch (container) {
      case 'jpeg':
        return behind(2, 2).slice(1);
      case 'png':
        return behind(0, 4).slice(1);
      case 'riff':
        return behind(4, 4, 'le');
      case 'iso':
        return behind(0, 4);
      case 'flac':
        return behind(1, 3).slice(1);
      case 'ogg':
        return behind(26, 1);
      case 'gif':
        return behind(2, 1).slice(3);
      case 'matroska':
        return ebmlSizes(bytes);
      // Its frames have no length: rate and padding in the third byte say it.
      case 'mp3':
        return behind(2, 1);
    }
  }
}

const ascending = (a: number, b: number) => a - b;
/** Boxes of boxes, and how many bytes there are before the first of these. */
const nested: Readonly<Record<string, number>> = {
  ...{ moov: 8, trak: 8, edts: 8, mdia: 8, minf: 8, dinf: 8, stbl: 8, mvex: 8, moof: 8, traf: 8 },
  ...{ iprp: 8, ipco: 8, meta: 12 },
};

function walk(bytes: Buffer, first: number, lengthAt: (at: number) => number): number[] {
  const found = [0];
  let length = 1;
  for (let at = first; at + 8 <= bytes.length && length > 0; at += length) {
    found.push(at);
    length = lengthAt(at);
  }
  return found;
}

function isoBoundaries(bytes: Buffer, start = 0, until = bytes.length): number[] {
  const end = Math.min(until, bytes.length);
  const found: number[] = [];
  for (let at = start; at + 8 <= end; ) {
    found.push(at);
    const size = Math.max(8, uintBE(bytes, at, 4));
    const head = nested[bytes.toString('latin1', at + 4, at + 8)];
    if (head !== undefined) found.push(...isoBoundaries(bytes, at + head, at + size));
    at += size;
  }
  return found;
}

/** Of the elements whose content is elements, by the first of those in the file. */
const ebmlMasters = new Set([
  ...[0x1a45dfa3, 0x18538067, 0x1549a966, 0x1654ae6b, 0x1f43b675, 0x1c53bb6b],
  ...[0xae, 0xe0, 0xe1, 0xa0, 0xbb, 0xb7],
]);

function ebmlSizes(bytes: Buffer): LengthField[] {
  const found: LengthField[] = [];
  for (let at = 0; at + 2 <= bytes.length; ) {
    const idBytes = vintBytes(bytes, at);
    const sizeBytes = vintBytes(bytes, at + idBytes);
    if (idBytes > 4 || sizeBytes > 8) break;
    found.push({ at: at + idBytes, bytes: sizeBytes, order: 'vint' });
    const content = at + idBytes + sizeBytes;
    const size = lengthAt(bytes, { at: at + idBytes, bytes: sizeBytes, order: 'vint' });
    at = ebmlMasters.has(uintBE(bytes, at, idBytes)) ? content : content + size;
  }
  return found;
}

/** How many bytes the number at `at` has, by its leading zeros; 9 where it is none. */
function vintBytes(bytes: Buffer, at: number): number {
  return Math.clz32(bytes[at] ?? 0) - 23;
}

function occurrences(bytes: Buffer, mark: string): number[] {
  const found: number[] = [];
  for (let at = bytes.indexOf(mark, 0, 'latin1'); at >= 0; at = bytes.indexOf(mark, at + 1, 'latin1'))
    found.push(at);
  return found;
}

/** What the field says, as far as a double holds it. */
export function lengthAt(bytes: Buffer, { at, bytes: count, order }: LengthField): number {
  if (order === 'be') return uintBE(bytes, at, count);
  if (order === 'le') return uintBE(Buffer.from(bytes.subarray(at, at + count)).reverse(), 0, count);
  const first = (bytes[at] ?? 0) & (0xff >> count);
  return first * 256 ** (count - 1) + uintBE(bytes, at + 1, count - 1);
}

/** 0 where the file ends before. */
function uintBE(bytes: Buffer, at: number, length: number): number {
  if (at + length > bytes.length) return 0;
  return bytes.subarray(at, at + length).reduce((value, byte) => value * 256 + byte, 0);
}

function evenSize(bytes: Buffer, at: number): number {
  const size = at + 4 <= bytes.length ? bytes.readUInt32LE(at) : 0;
  return size + (size % 2);
}
