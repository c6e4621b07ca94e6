/** Reads an MP4 or QuickTime file: its index into memory, and samples as a stream. Nothing is held beyond fixed sizes. */
import { type FileHandle, open } from 'node:fs/promises';
import { boxHead, Unusual } from './boxes.ts';
import type { ReadAt } from './sample-kinds.ts';
import type { SampleTable } from './sample-table.ts';

export interface MovieIndex {
  readonly fileBytes: number;
  /** The whole box, or nothing where the file has none. */
  readonly ftyp: Buffer;
  /** The body of the box. */
  readonly moov: Buffer;
}

const maxIndexBytes = 16 * 1024 * 1024;
const maxTypeBytes = 4096;
const maxTopLevelBoxes = 256;

/** @throws Unusual for files in fragments, without or with several indices, with too large a one, and for what does not end with its last box */
export async function readMovieIndex(path: string): Promise<MovieIndex> {
  const file = await open(path);
  try {
    const fileBytes = (await file.stat()).size;
    const found = new Map<string, Buffer>();
    let at = 0;
    for (let boxes = 0; at < fileBytes; boxes += 1) {
      const head = boxHead(await readExactly(file, at, Math.min(16, fileBytes - at)));
      if (head === undefined || at + head.size > fileBytes || boxes >= maxTopLevelBoxes)
        throw new Unusual('its boxes do not fit into the file');
      const { type, size, headBytes } = head;
      if (type === 'moof' || found.has(type)) throw new Unusual('it comes in fragments');
      if (type === 'ftyp') found.set(type, await readExactly(file, at, sizeWithin(size, maxTypeBytes)));
      if (type === 'moov')
        found.set(type, await readExactly(file, at + headBytes, sizeWithin(size, maxIndexBytes) - headBytes));
      at += size;
    }
    const moov = found.get('moov');
    if (moov === undefined) throw new Unusual('it has no index');
    return { fileBytes, ftyp: found.get('ftyp') ?? Buffer.alloc(0), moov };
  } finally {
    await file.close();
  }
}

function sizeWithin(size: number, limit: number): number {
  if (size > limit) throw new Unusual('its index is too large');
  return size;
}

async function readExactly(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(length), 0, length, position);
  if (bytesRead < length) throw new Unusual('it ends early');
  return buffer;
}

/** As long as small reads do not go far from each other, one call reads them all. */
const windowBytes = 16 * 1024;

/** Hands `use` a function that reads a few bytes anywhere in the file. */
export async function withReader<T>(path: string, use: (readAt: ReadAt) => Promise<T>): Promise<T> {
  const file = await open(path);
  try {
    let window: Buffer = Buffer.alloc(0);
    let windowAt = 0;
    return await use((position, length) => {
      const from = position - windowAt;
      if (from >= 0 && from + length <= window.length) return window.subarray(from, from + length);
      return file
        .read(Buffer.allocUnsafe(Math.max(windowBytes, length)), 0, Math.max(windowBytes, length), position)
        .then(({ buffer, bytesRead }) => {
          window = buffer.subarray(0, bytesRead);
          windowAt = position;
          return window.subarray(0, length);
        });
    });
  } finally {
    await file.close();
  }
}

const chunkBytes = 256 * 1024;
/** Reading over so much that is not wanted is cheaper than another call. */
const maxGapBytes = 16 * 1024;

/** A piece of the file; `parts` of it are wanted. */
interface Span {
  readonly from: number;
  to: number;
  readonly parts: { readonly from: number; readonly to: number }[];
}

/**
 * The bytes of samples, one after the other, read no faster than they are taken.
 * @param samples indices
 * @throws Unusual where the file has become shorter
 */
export async function* sampleBytes(
  path: string,
  table: Pick<SampleTable, 'offsets' | 'sizes'>,
  samples: readonly number[],
): AsyncGenerator<Buffer> {
  const file = await open(path);
  try {
    for (const { from, to, parts } of spansOf(table, samples)) {
      const bytes = await readExactly(file, from, to - from);
      let filled = 0;
      for (const part of parts) filled += bytes.copy(bytes, filled, part.from - from, part.to - from);
      yield bytes.subarray(0, filled);
    }
  } finally {
    await file.close();
  }
}

function* spansOf(
  { offsets, sizes }: Pick<SampleTable, 'offsets' | 'sizes'>,
  samples: readonly number[],
): Generator<Span> {
  let span: Span | undefined;
  for (const sample of samples) {
    const end = (offsets[sample] ?? 0) + (sizes[sample] ?? 0);
    for (let from = offsets[sample] ?? 0; from < end; ) {
      const to = Math.min(end, from + chunkBytes);
      const joins =
        span !== undefined &&
        from >= span.to &&
        from - span.to <= maxGapBytes &&
        to - span.from <= chunkBytes;
      if (span !== undefined && joins) {
        span.parts.push({ from, to });
        span.to = to;
      } else {
        if (span !== undefined) yield span;
        span = { from, to, parts: [{ from, to }] };
      }
      from = to;
    }
  }
  if (span !== undefined) yield span;
}
