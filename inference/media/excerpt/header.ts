/** The head of an excerpt: an MP4 file whose samples are some of those of another one, with their times and in the same order. */
import { box, Unusual } from './boxes.ts';
import type { SampleTable } from './sample-table.ts';

export interface ExcerptHeader {
  /** Everything before the first sample. */
  readonly bytes: Buffer;
  /** To be added to the excerpt's times for those of the track, ticks. */
  readonly laterTicks: number;
}

const maxInt32 = 2 ** 31 - 1;

/**
 * @param samples indices in order of decoding, at least one
 * @throws Unusual for pauses that the format cannot say
 */
export function excerptHeader(
  ftyp: Buffer,
  table: Pick<SampleTable, 'decodedAt' | 'shownAt' | 'sizes' | 'isSync' | 'lastTicks' | 'verbatim'>,
  samples: readonly number[],
): ExcerptHeader {
  const decoded = samples.map((sample) => table.decodedAt[sample] ?? 0);
  const waits = samples.map((sample, index) => (table.shownAt[sample] ?? 0) - (decoded[index] ?? 0));
  // Differences below zero need another version of the table, which demuxers read differently.
  const shift = -waits.reduce((least, wait) => Math.min(least, wait), 0);
  const lasts = decoded.map((ticks, index) => (decoded[index + 1] ?? ticks + table.lastTicks) - ticks);
  if (lasts.some((ticks) => ticks > maxInt32))
    throw new Unusual('there is too much time between its pictures');
  const sizes = samples.map((sample) => table.sizes[sample] ?? 0);
  const sync = samples.flatMap((sample, index) => (table.isSync[sample] === 1 ? [index + 1] : []));
  const moov = (mediaAt: number) =>
    movie(table.verbatim, [
      tableBox('stts', runsOf(lasts)),
      tableBox('ctts', runsOf(waits.map((wait) => wait + shift))),
      tableBox(
        'stss',
        sync.map((sample) => [sample]),
      ),
      box('stsz', numbers([0, 0, sizes.length]), numbers(sizes)),
      tableBox('stsc', [[1, samples.length, 1]]),
      tableBox('stco', [[mediaAt]]),
    ]);
  const media = mediaHead(sizes.reduce((sum, size) => sum + size, 0));
  const mediaAt = ftyp.length + moov(0).length + media.length;
  return { bytes: Buffer.concat([ftyp, moov(mediaAt), media]), laterTicks: (decoded[0] ?? 0) - shift };
}

function movie(verbatim: SampleTable['verbatim'], tables: readonly Buffer[]): Buffer {
  const { mvhd, tkhd, mdhd, hdlr, vmhd, dinf, stsd } = verbatim;
  const minf = box('minf', vmhd, dinf, box('stbl', stsd, ...tables));
  return box('moov', mvhd, box('trak', tkhd, box('mdia', mdhd, hdlr, minf)));
}

function mediaHead(bytes: number): Buffer {
  if (bytes + 8 < 2 ** 32) return Buffer.concat([numbers([bytes + 8]), Buffer.from('mdat')]);
  const size = Buffer.alloc(8);
  size.writeBigUInt64BE(BigInt(bytes) + 16n);
  return Buffer.concat([numbers([1]), Buffer.from('mdat'), size]);
}

/** Version and flags, the number of rows, the rows. */
function tableBox(type: string, rows: readonly (readonly number[])[]): Buffer {
  return box(type, numbers([0, rows.length]), numbers(rows.flat()));
}

/** `[how often, what]` for equal values in a row. */
function runsOf(values: readonly number[]): (readonly [number, number])[] {
  const runs: [number, number][] = [];
  for (const value of values) {
    const last = runs.at(-1);
    if (last?.[1] === value) last[0] += 1;
    else runs.push([1, value]);
  }
  return runs;
}

function numbers(values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value, 4 * index);
  return bytes;
}
