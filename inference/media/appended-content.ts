/**
 * What hides behind an image. A decoder stops at the end of the image, other programs read on or begin at the end of the file: an archive, a
 * page or a program that is also an image is no upload in good faith. Second images and films behind the first one are left alone, because
 * cameras put them there (gain maps, motion photos), and so are bytes that nobody knows.
 */
import { fileTypeFromBuffer } from 'file-type';
import { type ByteReader, type MediaSource, withBytes } from './source.ts';

/** The end-of-central-directory record of a ZIP archive and the longest comment behind it, in bytes. */
const zipRecordBytes = 22;
const zipTailBytes = zipRecordBytes + 0xffff;
const zipSignature = Buffer.from('PK\x05\x06', 'latin1');

/** Enough of what is behind the image to know it by. */
const knownByBytes = 4100;
const windowBytes = 256 * 1024;
/** Chunks, segments and blocks that are followed to the end of an image; a file has thousands at most. */
const maxSteps = 65_536;

/** @returns what lies behind the image or around it, in words; undefined where there is nothing of the kind */
export async function appendedContent(source: MediaSource, mime: string): Promise<string | undefined> {
  return withBytes(source, async (file) => {
    const reader = new WindowReader(file);
    if (await endsAsZip(reader, file.size)) return 'a ZIP archive';
    const end = await endOfImage(reader, mime);
    if (end === undefined || end >= file.size) return undefined;
    return describe(await reader.read(end, knownByBytes));
  });
}

async function endsAsZip(reader: WindowReader, size: number): Promise<boolean> {
  const tail = await reader.read(Math.max(0, size - zipTailBytes), zipTailBytes);
  for (let at = tail.lastIndexOf(zipSignature); at >= 0; at = tail.lastIndexOf(zipSignature, at - 1)) {
    const commentAt = at + zipRecordBytes;
    if (commentAt <= tail.length && commentAt + tail.readUInt16LE(commentAt - 2) === tail.length) return true;
    if (at === 0) break;
  }
  return false;
}

async function describe(bytes: Buffer): Promise<string | undefined> {
  const text = bytes.toString('latin1').replace(/^[\s\0]+/, '');
  if (/^(<|#!)/.test(text)) return 'a page or a script';
  const type = await fileTypeFromBuffer(bytes);
  if (type === undefined || /^(image|video)\//.test(type.mime)) return undefined;
  return `content of the type ${type.mime}`;
}

/** Position behind the last byte of the image; undefined where the file ends before, or where its format does not tell. */
async function endOfImage(reader: WindowReader, mime: string): Promise<number | undefined> {
  switch (mime) {
    case 'image/jpeg':
      return endOfJpeg(reader);
    case 'image/png':
    case 'image/apng':
      return endOfPng(reader);
    case 'image/webp':
      return endOfRiff(reader);
    case 'image/gif':
      return endOfGif(reader);
    default:
      return undefined;
  }
}

async function endOfJpeg(reader: WindowReader): Promise<number | undefined> {
  let at = 2;
  for (let step = 0; step < maxSteps; step += 1) {
    const marker = await markerFrom(reader, at);
    if (marker === undefined || marker.code === 0xd9) return marker?.end;
    const length = await reader.read(marker.end, 2);
    if (length.length < 2) return undefined;
    at = marker.end + length.readUInt16BE(0);
  }
  return undefined;
}

/** The next marker that begins a segment or ends the image: not stuffing, filling or a restart. */
async function markerFrom(
  reader: WindowReader,
  start: number,
): Promise<{ code: number; end: number } | undefined> {
  for (let at = start; ; ) {
    const bytes = await reader.rest(at);
    if (bytes.length < 2) return undefined;
    const { code, end } = markerIn(bytes);
    at += end;
    if (code !== undefined) return { code, end: at };
  }
}

/** Coded pixels have a stuffed byte in every few hundred: they are passed without a turn of the event loop for each. */
function markerIn(bytes: Buffer): { code: number | undefined; end: number } {
  for (let from = 0; ; ) {
    const found = bytes.indexOf(0xff, from);
    if (found < 0) return { code: undefined, end: bytes.length };
    const code = bytes[found + 1];
    if (code === undefined) return { code, end: found };
    if (code > 1 && code < 0xff && (code < 0xd0 || code > 0xd7)) return { code, end: found + 2 };
    from = found + (code === 0xff ? 1 : 2);
  }
}

async function endOfPng(reader: WindowReader): Promise<number | undefined> {
  let at = 8;
  for (let step = 0; step < maxSteps; step += 1) {
    const head = await reader.read(at, 8);
    if (head.length < 8) return undefined;
    at += 12 + head.readUInt32BE(0);
    if (head.toString('latin1', 4) === 'IEND') return at;
  }
  return undefined;
}

async function endOfRiff(reader: WindowReader): Promise<number | undefined> {
  const head = await reader.read(0, 8);
  if (head.length < 8) return undefined;
  return 8 + head.readUInt32LE(4) + (head.readUInt32LE(4) % 2);
}

async function endOfGif(reader: WindowReader): Promise<number | undefined> {
  const [flags = 0] = await reader.read(10, 1);
  let at = 13 + colourTableBytes(flags);
  for (let step = 0; step < maxSteps; step += 1) {
    const [kind] = await reader.read(at, 1);
    if (kind === 0x3b) return at + 1;
    if (kind === 0x21) at = await endOfSubBlocks(reader, at + 2);
    else if (kind === 0x2c) {
      const [imageFlags = 0] = await reader.read(at + 9, 1);
      at = await endOfSubBlocks(reader, at + 11 + colourTableBytes(imageFlags));
    } else return undefined;
  }
  return undefined;
}

function colourTableBytes(flags: number): number {
  return flags & 0x80 ? 3 * 2 ** ((flags & 7) + 1) : 0;
}

/** Behind the empty sub-block that ends a row of them, or behind the file. */
async function endOfSubBlocks(reader: WindowReader, start: number): Promise<number> {
  let at = start;
  for (;;) {
    const [length] = await reader.read(at, 1);
    if (length === undefined) return at;
    at += 1 + length;
    if (length === 0) return at;
  }
}

/** A file of any size through a window that moves with its reader. */
class WindowReader {
  readonly #file: ByteReader;
  #start = 0;
  #window: Buffer = Buffer.alloc(0);

  constructor(file: ByteReader) {
    this.#file = file;
  }

  /** `length` bytes from `position`, at most a window; fewer at the end of the file. */
  async read(position: number, length: number): Promise<Buffer> {
    const begins = position >= this.#start;
    if (!begins || position + length > this.#start + this.#window.length) await this.#moveTo(position);
    return this.#window.subarray(position - this.#start, position - this.#start + length);
  }

  /** What the window holds from `position`: at least two bytes unless the file ends. */
  async rest(position: number): Promise<Buffer> {
    await this.read(position, 2);
    return this.#window.subarray(position - this.#start);
  }

  async #moveTo(position: number): Promise<void> {
    this.#window = await this.#file.read(position, windowBytes);
    this.#start = position;
  }
}
