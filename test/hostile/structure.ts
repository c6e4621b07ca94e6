/** Where the parts of a media file begin, as far as that is needed to cut or spoil it there. */

export type Container = 'jpeg' | 'png' | 'gif' | 'riff' | 'iso' | 'ogg' | 'flac' | 'matroska' | 'mp3';

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
      return walk(bytes, 12, (at) => 8 + evenSize(bytes, at + 4));
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

const ascending = (a: number, b: number) => a - b;
const nested = new Set(['moov', 'trak', 'mdia', 'minf', 'stbl', 'dinf', 'iprp', 'ipco']);

function walk(bytes: Buffer, first: number, lengthAt: (at: number) => number): number[] {
  const found = [0];
  let length = 1;
  for (let at = first; at + 8 <= bytes.length && length > 0; at += length) {
    found.push(at);
    length = lengthAt(at);
  }
  return found;
}

function isoBoundaries(bytes: Buffer, start = 0, end = bytes.length): number[] {
  const found: number[] = [];
  for (let at = start; at + 8 <= end; ) {
    found.push(at);
    const size = Math.max(8, uintBE(bytes, at, 4));
    if (nested.has(bytes.toString('latin1', at + 4, at + 8)))
      found.push(...isoBoundaries(bytes, at + 8, at + size));
    at += size;
  }
  return found;
}

function occurrences(bytes: Buffer, mark: string): number[] {
  const found: number[] = [];
  for (let at = bytes.indexOf(mark, 0, 'latin1'); at >= 0; at = bytes.indexOf(mark, at + 1, 'latin1'))
    found.push(at);
  return found;
}

function uintBE(bytes: Buffer, at: number, length: number): number {
  return at + length <= bytes.length ? bytes.readUIntBE(at, length) : 0;
}

function evenSize(bytes: Buffer, at: number): number {
  const size = at + 4 <= bytes.length ? bytes.readUInt32LE(at) : 0;
  return size + (size % 2);
}
