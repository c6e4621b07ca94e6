/** Ways to spoil a media file. Pure: what comes out depends on the bytes and the numbers drawn, and the bytes that came in stay. */
import { crc32 } from 'node:zlib';
import {
  boundariesOf,
  type Container,
  type LengthField,
  lengthAt,
  lengthFieldsOf,
} from '../../../test/hostile/structure.ts';

export interface Subject {
  readonly bytes: Buffer;
  /** Of the file that it was made from, which tells where its parts begin. */
  readonly container: Container;
}

/** Numbers in [0, 1). */
export type Random = () => number;

/** @param donor another file, for what is put together of two */
type Mutation = (subject: Subject, random: Random, donor: Subject) => Buffer;

/** A file with more bytes than this is not made any longer, so that mutations of mutations stay small. */
export const MAX_GROWN_BYTES = 256 * 1024;

const INTERESTING_BYTES = [0x00, 0x01, 0x7f, 0x80, 0xff];

export const MUTATIONS = {
  'flip-bits': flipBits,
  'overwrite-bytes': overwriteBytes,
  'edit-length': editLength,
  truncate,
  'duplicate-block': duplicateBlock,
  'remove-block': removeBlock,
  'swap-blocks': swapBlocks,
  splice,
} as const satisfies Readonly<Record<string, Mutation>>;

export type MutationName = keyof typeof MUTATIONS;

/** A whole number in [from, to). */
export function drawn(random: Random, from: number, to: number): number {
  return from + Math.floor(random() * Math.max(0, to - from));
}

/** @throws Error for an empty list */
export function oneOf<T>(random: Random, items: readonly T[]): T {
  const item = items[drawn(random, 0, items.length)];
  if (item === undefined) throw new Error('there is nothing to choose from');
  return item;
}

function flipBits({ bytes }: Subject, random: Random): Buffer {
  const copy = Buffer.from(bytes);
  for (let left = drawn(random, 1, 17); left > 0 && copy.length > 0; left -= 1) {
    const at = drawn(random, 0, copy.length);
    copy[at] = (copy[at] ?? 0) ^ (1 << drawn(random, 0, 8));
  }
  return copy;
}

function overwriteBytes({ bytes }: Subject, random: Random): Buffer {
  const copy = Buffer.from(bytes);
  const at = drawn(random, 0, copy.length);
  return copy.fill(oneOf(random, INTERESTING_BYTES), at, Math.min(copy.length, at + drawn(random, 1, 9)));
}

function editLength(subject: Subject, random: Random): Buffer {
  const fields = lengthFieldsOf(subject.bytes, subject.container);
  if (fields.length === 0) return overwriteBytes(subject, random);
  const field = oneOf(random, fields);
  const value = lengthAt(subject.bytes, field);
  const limit = largestIn(field);
  const wanted = oneOf(random, [
    ...[0, 1, value - 1, value + 1, Math.floor(value / 2), value * 2],
    ...[limit, Math.floor(limit / 2), subject.bytes.length, subject.bytes.length - field.at],
  ]);
  return withLength(subject.bytes, field, Math.min(limit, Math.max(0, wanted)));
}

/** As far as a double counts. */
function largestIn({ bytes, order }: LengthField): number {
  return Math.min(2 ** (order === 'vint' ? 7 * bytes : 8 * bytes) - 1, Number.MAX_SAFE_INTEGER);
}

/** A copy in which the field says another length. */
export function withLength(bytes: Buffer, { at, bytes: count, order }: LengthField, value: number): Buffer {
  const copy = Buffer.from(bytes);
  let rest = value;
  for (let index = 0; index < count; index += 1) {
    copy[order === 'le' ? at + index : at + count - 1 - index] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  if (order === 'vint') copy[at] = (copy[at] ?? 0) | (0x100 >> count);
  return copy;
}

function truncate(subject: Subject, random: Random): Buffer {
  return subject.bytes.subarray(0, cutIn(subject, random));
}

/** Anywhere, or a few bytes around the beginning of a part. */
function cutIn({ bytes, container }: Subject, random: Random): number {
  if (random() < 0.5) return drawn(random, 0, bytes.length);
  const at = oneOf(random, [0, ...boundariesOf(bytes, container)]) + drawn(random, -2, 9);
  return Math.min(bytes.length, Math.max(0, at));
}

interface Block {
  readonly start: number;
  readonly end: number;
}

/** A part of the file, or any few hundred bytes of it. */
function blockIn({ bytes, container }: Subject, random: Random): Block {
  const starts = [...new Set(boundariesOf(bytes, container))].sort((a, b) => a - b);
  if (random() < 0.5 && starts.length > 1) {
    const index = drawn(random, 0, starts.length);
    return { start: starts[index] ?? 0, end: starts[index + 1] ?? bytes.length };
  }
  const start = drawn(random, 0, bytes.length);
  return { start, end: Math.min(bytes.length, start + drawn(random, 1, 513)) };
}

/** Once or up to 16 times, behind itself or anywhere. */
function duplicateBlock(subject: Subject, random: Random): Buffer {
  const { bytes } = subject;
  const { start, end } = blockIn(subject, random);
  const block = bytes.subarray(start, end);
  const wanted = random() < 0.7 ? 1 : drawn(random, 2, 17);
  const room = Math.floor(Math.max(0, MAX_GROWN_BYTES - bytes.length) / Math.max(1, block.length));
  const copies = Array<Buffer>(Math.min(wanted, room)).fill(block);
  const at = random() < 0.5 ? end : cutIn(subject, random);
  return Buffer.concat([bytes.subarray(0, at), ...copies, bytes.subarray(at)]);
}

function removeBlock(subject: Subject, random: Random): Buffer {
  const { start, end } = blockIn(subject, random);
  return Buffer.concat([subject.bytes.subarray(0, start), subject.bytes.subarray(end)]);
}

function swapBlocks(subject: Subject, random: Random): Buffer {
  const { bytes } = subject;
  const [first, second] = [blockIn(subject, random), blockIn(subject, random)].sort(
    (a, b) => a.start - b.start,
  ) as [Block, Block];
  const middle = Math.max(first.end, second.start);
  return Buffer.concat([
    bytes.subarray(0, first.start),
    bytes.subarray(middle, Math.max(middle, second.end)),
    bytes.subarray(first.end, middle),
    bytes.subarray(first.start, first.end),
    bytes.subarray(Math.max(middle, second.end)),
  ]);
}

/** The beginning of the file and the end of another one. */
function splice(subject: Subject, random: Random, donor: Subject): Buffer {
  const head = subject.bytes.subarray(0, cutIn(subject, random));
  const tail = donor.bytes.subarray(cutIn(donor, random));
  return Buffer.concat([head, tail.subarray(0, Math.max(0, MAX_GROWN_BYTES - head.length))]);
}

/**
 * A PNG whose chunks have the checksums of what is in them, as far as its lengths can be followed: without them a reader looks at
 * nothing that was changed.
 */
export function withPngChecksums(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  for (const at of boundariesOf(copy, 'png').slice(1)) {
    const end = at + 8 + copy.readUInt32BE(at);
    if (end + 4 <= copy.length) copy.writeUInt32BE(crc32(copy.subarray(at + 4, end)), end);
  }
  return copy;
}

/** The checksum of Ogg: CRC-32 with the polynomial 0x04c11db7, neither reflected nor inverted. */
const oggTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte << 24;
  for (let bit = 0; bit < 8; bit += 1) value = (value << 1) ^ (value < 0 ? 0x04c11db7 : 0);
  return value;
});

/** The same for the pages of an Ogg file, each of which reaches to the next one. */
export function withOggChecksums(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  const pages = boundariesOf(copy, 'ogg');
  for (const [index, at] of pages.entries()) {
    const page = copy.subarray(at, pages[index + 1] ?? copy.length);
    if (page.length < 27) continue;
    page.fill(0, 22, 26);
    page.writeUInt32LE(oggChecksum(page), 22);
  }
  return copy;
}

function oggChecksum(page: Buffer): number {
  return page.reduce((crc, byte) => ((crc << 8) ^ (oggTable[(crc >>> 24) ^ byte] ?? 0)) >>> 0, 0);
}
