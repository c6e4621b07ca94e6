/** What a JPEG file says of itself before its pixels. Read from its markers; nothing is decoded. */
import type { ByteReader } from '../media/source.ts';

export interface JpegFacts {
  /** By the file's number of the table: 64 steps, row by row (not in zigzag order). */
  readonly tables: ReadonlyMap<number, readonly number[]>;
  /** Number of the table of the first component, which is luma in all but exotic files. */
  readonly lumaTable: number;
  readonly components: number;
  /** As it is written of subsampling: 4:4:4, 4:2:2, 4:2:0, …; null where the file has no chroma or a factor of 0. */
  readonly subsampling: string | null;
  readonly isProgressive: boolean;
  /** Segments that carry C2PA or other JUMBF boxes (APP11), in order; their bytes behind the length. */
  readonly boxSegments: readonly Buffer[];
}

/** A file has a few dozen segments; a thumbnail or credentials of megabytes are hundreds. */
const maxSegments = 2048;
/** Of a box's segment: the head of the first boxes is enough. */
const boxHeadBytes = 256;

/** @returns undefined where the markers do not lead to the pixels: the file is damaged, or no JPEG */
export async function readJpegFacts(file: ByteReader): Promise<JpegFacts | undefined> {
  const tables = new Map<number, readonly number[]>();
  const boxSegments: Buffer[] = [];
  let frame: Frame | undefined;
  for await (const { code, at, bytes } of segmentsOf(file)) {
    if (code === startOfScan)
      return frame && tables.has(frame.lumaTable) ? { tables, boxSegments, ...frame } : undefined;
    if (code === 0xdb) readTables(await file.read(at, bytes), tables);
    if (code === 0xeb) boxSegments.push(await file.read(at, Math.min(boxHeadBytes, bytes)));
    if (isFrame(code)) frame = frameOf(await file.read(at, bytes), code);
  }
  return undefined;
}

type Frame = Pick<JpegFacts, 'lumaTable' | 'components' | 'subsampling' | 'isProgressive'>;

interface Segment {
  readonly code: number;
  /** Of its bytes behind the length. */
  readonly at: number;
  readonly bytes: number;
}

const startOfScan = 0xda;

/** Up to the first scan, as far as the file can be followed. */
async function* segmentsOf(file: ByteReader): AsyncGenerator<Segment> {
  let at = 2;
  for (let segment = 0; segment < maxSegments; segment += 1) {
    const head = await file.read(at, 4);
    if (head.length < 4 || head[0] !== 0xff) return;
    const code = head[1] ?? 0;
    // A marker may be filled up in front.
    if (code === 0xff) at += 1;
    else {
      const length = head.readUInt16BE(2);
      if (length < 2) return;
      yield { code, at: at + 4, bytes: length - 2 };
      if (code === startOfScan) return;
      at += 2 + length;
    }
  }
}

/** SOF0 to SOF15, but not the Huffman tables, the extension and the arithmetic conditioning between them. */
function isFrame(code: number): boolean {
  return code >= 0xc0 && code <= 0xcf && code !== 0xc4 && code !== 0xc8 && code !== 0xcc;
}

/** Those that the segment holds whole. */
function readTables(body: Buffer, tables: Map<number, readonly number[]>): void {
  for (let at = 0; at < body.length; ) {
    const kind = body[at] ?? 0;
    const bytes = kind >> 4 === 0 ? 1 : 2;
    if (at + 1 + 64 * bytes > body.length) return;
    const steps = new Array<number>(64).fill(0);
    for (const [index, place] of zigzag.entries()) {
      const position = at + 1 + index * bytes;
      steps[place] = bytes === 1 ? (body[position] ?? 0) : body.readUInt16BE(position);
    }
    tables.set(kind & 15, steps);
    at += 1 + 64 * bytes;
  }
}

function frameOf(body: Buffer, code: number): Frame | undefined {
  const components = body[5] ?? 0;
  if (components === 0 || body.length < 6 + 3 * components) return undefined;
  const factors = Array.from({ length: components }, (_, index) => body[7 + 3 * index] ?? 0);
  return {
    lumaTable: body[8] ?? 0,
    components,
    subsampling: components < 3 ? null : subsamplingOf(factors[0] ?? 0, factors[1] ?? 0),
    isProgressive: code === 0xc2 || code === 0xc6 || code === 0xca || code === 0xce,
  };
}

/** Null where a factor is 0, which no encoder writes. */
function subsamplingOf(luma: number, chroma: number): string | null {
  if ([luma >> 4, luma & 15, chroma >> 4, chroma & 15].includes(0)) return null;
  const across = (luma >> 4) / (chroma >> 4);
  const down = (luma & 15) / (chroma & 15);
  const known: Readonly<Record<string, string>> = {
    '1x1': '4:4:4',
    '2x1': '4:2:2',
    '2x2': '4:2:0',
    '1x2': '4:4:0',
    '4x1': '4:1:1',
  };
  return known[`${across}x${down}`] ?? `${across}x${down}`;
}

/** Place in a row-by-row block of each number of a table in the file. */
const zigzag: readonly number[] = zigzagPlaces();

function zigzagPlaces(): number[] {
  const places: number[] = [];
  for (let diagonal = 0; diagonal < 15; diagonal += 1) {
    const rows = Array.from({ length: 8 }, (_, row) => row).filter(
      (row) => diagonal - row >= 0 && diagonal - row < 8,
    );
    for (const row of diagonal % 2 === 0 ? rows.toReversed() : rows) places.push(8 * row + diagonal - row);
  }
  return places;
}
