/**
 * Whether a file carries Content Credentials (C2PA), found by the box that holds them. They are not opened: no signature and no hash is
 * checked, so that their presence proves nothing, and neither does their absence or a box that cannot be read.
 */
import type { ByteReader } from '../media/source.ts';
import { readJpegFacts } from './jpeg-segments.ts';

/** The type of a `uuid` box of ISO media that holds a manifest store. */
const boxId = Buffer.from('d8fec3d61b0e483c92975828877ec481', 'hex');
/** The type of a JUMBF description that says so: "c2pa" and the end of all such types. */
const contentType = Buffer.from('6332706100110010800000aa00389b71', 'hex');

const maxSteps = 1024;

/**
 * @returns undefined for a format of which it is not known here where its credentials are
 * @throws Error where the file cannot be followed to where they would be
 */
export async function hasC2pa(file: ByteReader, mime: string): Promise<boolean | undefined> {
  switch (mime) {
    case 'image/jpeg':
      return inJpeg(file);
    case 'image/png':
    case 'image/apng':
      return inPng(file);
    case 'image/webp':
    case 'audio/wav':
      return inRiff(file);
    case 'image/avif':
    case 'video/mp4':
    case 'video/quicktime':
    case 'audio/mp4':
    case 'audio/x-m4a':
      return inBoxes(file);
    default:
      return undefined;
  }
}

async function inJpeg(file: ByteReader): Promise<boolean> {
  const facts = await readJpegFacts(file);
  if (facts === undefined) throw lost();
  // JPEG XT: "JP", the number of the box, the number of the segment, the box.
  return facts.boxSegments.some(
    (segment) => segment.toString('latin1', 0, 2) === 'JP' && isStore(segment.subarray(8)),
  );
}

/** A superbox whose description says that it is a manifest store. */
function isStore(box: Buffer): boolean {
  return (
    box.toString('latin1', 4, 8) === 'jumb' &&
    box.toString('latin1', 12, 16) === 'jumd' &&
    box.subarray(16, 32).equals(contentType)
  );
}

async function inPng(file: ByteReader): Promise<boolean> {
  let at = 8;
  for (let step = 0; step < maxSteps; step += 1) {
    const head = await file.read(at, 8);
    if (head.length < 8) throw lost();
    const type = head.toString('latin1', 4);
    if (type === 'caBX') return true;
    // The specification puts it before the pixels.
    if (type === 'IDAT' || type === 'IEND') return false;
    at += 12 + head.readUInt32BE(0);
  }
  throw lost();
}

async function inRiff(file: ByteReader): Promise<boolean> {
  let at = 12;
  for (let step = 0; step < maxSteps; step += 1) {
    if (at === file.size) return false;
    const head = await file.read(at, 8);
    if (head.length < 8) throw lost();
    if (head.toString('latin1', 0, 4) === 'C2PA') return true;
    const bytes = head.readUInt32LE(4);
    const end = at + 8 + bytes;
    // Some programs leave out the padding of the last chunk.
    at = end === file.size ? end : end + (bytes % 2);
  }
  throw lost();
}

/** Boxes of the top level. */
async function inBoxes(file: ByteReader): Promise<boolean> {
  let at = 0;
  for (let step = 0; step < maxSteps && at < file.size; step += 1) {
    const head = await file.read(at, 32);
    if (head.length < 8) throw lost();
    const short = head.readUInt32BE(0);
    const isLong = short === 1 && head.length >= 16;
    const bytes = isLong ? Number(head.readBigUInt64BE(8)) : short === 0 ? file.size - at : short;
    const start = isLong ? 16 : 8;
    if (head.toString('latin1', 4, 8) === 'uuid' && head.subarray(start, start + 16).equals(boxId))
      return true;
    if (bytes < start) throw lost();
    at += bytes;
  }
  if (at !== file.size) throw lost();
  return false;
}

function lost(): Error {
  return new Error('the parts of the file do not lead to its end');
}
