import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { clip, inTemporaryFolder } from '../../testing/media.ts';
import { type Box, box, boxesIn, Unusual } from './boxes.ts';
import { readMovieIndex } from './movie-file.ts';
import { type SampleTable, sampleTableOf } from './sample-table.ts';

const source = 'testsrc2=size=64x48:rate=25:duration=2';
const options = ['-c:v', 'libx264', '-preset', 'veryfast', '-pix_fmt', 'yuv420p', '-g', '10', '-bf', '2'];
const bytes = await clip({ source, extension: 'mp4', options: [...options, '-c:a', 'aac'], soundSeconds: 2 });

const indexOf = (content: Uint8Array) =>
  inTemporaryFolder(async (folder) => {
    const path = join(folder, 'upload');
    await writeFile(path, content);
    return readMovieIndex(path);
  });

const { moov } = await indexOf(bytes);

/** The table of the pictures, with numbers changed `at` bytes behind the name of the first box of a type. */
function tableWith(...changes: readonly (readonly [type: string, at: number, value: number])[]): SampleTable {
  const copy = Buffer.from(moov);
  for (const [type, at, value] of changes) copy.writeUInt32BE(value, copy.indexOf(type) + type.length + at);
  return sampleTableOf(copy, bytes.length);
}

/** A number of the index as it is. */
const numberAt = (type: string, at: number) => moov.readUInt32BE(moov.indexOf(type) + type.length + at);

describe('the table of samples', () => {
  test('says where, when and how each is', () => {
    const table = tableWith();
    assert.deepEqual(
      [table.codec, table.width, table.height, table.count, table.ticksPerSecond, table.lastTicks],
      ['h264', 64, 48, 50, 12_800, 512],
    );
    assert.deepEqual(
      [...table.isSync].flatMap((isSync, sample) => (isSync ? [sample] : [])),
      [0, 10, 20, 30, 40],
    );
    assert.deepEqual(
      [...table.displayOrder].map((sample) => (table.shownAt[sample] ?? 0) + table.editTicks),
      Array.from({ length: 50 }, (_, place) => place * 512),
    );
    for (const [sample, offset] of table.offsets.entries()) {
      const length = bytes.readUInt32BE(offset);
      assert.ok(length > 0 && length < (table.sizes[sample] ?? 0), `${sample} begins with a NAL unit`);
    }
  });

  test('is the same with positions of 64 bits', () => {
    const long = (stco: Box) => {
      const body = Buffer.alloc(8 + 2 * (stco.body.length - 8));
      stco.body.copy(body, 0, 0, 8);
      for (let at = 8; at < stco.body.length; at += 4)
        body.writeUInt32BE(stco.body.readUInt32BE(at), 2 * at - 4);
      return box('co64', body);
    };
    const table = sampleTableOf(replaced(moov, 'stco', long), bytes.length);
    assert.deepEqual(table.offsets, tableWith().offsets);
  });

  const million = 1_000_000;
  const hostile: readonly (readonly [string, RegExp, () => SampleTable])[] = [
    ['of sound alone', /no track of pictures/, () => tableWith(['hdlr', 8, 0x736f756e])],
    ['of nothing', /no mvhd/, () => sampleTableOf(Buffer.alloc(0), 100)],
    ['of boxes without end', /do not fit/, () => sampleTableOf(Buffer.alloc(16 * million), 100)],
    ['of more boxes than anyone writes', /do not fit/, () => sampleTableOf(emptyBoxes(million), 100)],
    [
      'of samples behind the end of the file',
      /larger than the file|behind the end/,
      () => sampleTableOf(moov, 9000),
    ],
    [
      'of four thousand million equal samples',
      /samples/,
      () => tableWith(['stsz', 4, 1], ['stsz', 8, 0xffffffff]),
    ],
    ['of equal samples larger than the file', /larger than the file/, () => tableWith(['stsz', 4, million])],
    ['of more sizes than it holds', /stsz holds less/, () => tableWith(['stsz', 8, 0xffffffff])],
    ['of an empty sample', /empty/, () => tableWith(['stsz', 20, 0])],
    ['of one sample less', /too many samples/, () => tableWith(['stsz', 8, 49])],
    ['of more times than samples', /stts has too many/, () => tableWith(['stts', 8, 0xffffffff])],
    ['of fewer times than samples', /stts has too few/, () => tableWith(['stts', 8, 49])],
    ['of a time that stands still', /stands still/, () => tableWith(['stts', 12, 0])],
    ['of a time that runs backwards', /stands still/, () => tableWith(['stts', 12, 0xffffff00])],
    ['of more runs of time than it holds', /stts holds less/, () => tableWith(['stts', 4, million])],
    ['of too many differences', /ctts has too many/, () => tableWith(['ctts', 8, 0xffffffff])],
    ['of a difference without measure', /long after/, () => tableWith(['ctts', 12, 0x7fffffff])],
    [
      'of two pictures at the same time',
      /not clear/,
      () => tableWith(['ctts', 12, numberAt('ctts', 12) + 1536]),
    ],
    [
      'of a picture shown long before its turn',
      /not clear/,
      () => tableWith(['ctts', 8 * numberAt('ctts', 4) + 4, -40 * 512 + 2 ** 32]),
    ],
    ['of a clock that stands', /no clock/, () => tableWith(['mdhd', 12, 0])],
    ['of key frames out of order', /out of order/, () => tableWith(['stss', 12, 1])],
    ['of key frames behind the end', /out of order/, () => tableWith(['stss', 24, 51])],
    ['of chunks that begin late', /out of order/, () => tableWith(['stsc', 8, 2])],
    ['of chunks without samples', /out of order/, () => tableWith(['stsc', 12, 0])],
    ['of chunks with too many samples', /too many samples/, () => tableWith(['stsc', 12, 0xffffffff])],
    ['of chunks of another description', /several descriptions/, () => tableWith(['stsc', 16, 2])],
    ['of a chunk behind the end of the file', /behind the end/, () => tableWith(['stco', 8, 0xfffffff0])],
    ['of more chunks than it holds', /stco holds less/, () => tableWith(['stco', 4, million])],
    ['of several descriptions', /several descriptions|holds less/, () => tableWith(['stsd', 4, 2])],
    ['of another codec', /neither H.264 nor HEVC/, () => tableWith(['stsd', 12, 0x656e6376])],
    ['of pictures in another file', /another file/, () => tableWith(['url ', 0, 0])],
    ['of several edits', /holds less|several parts/, () => tableWith(['elst', 4, 3])],
    ['of an edit that shows nothing', /several parts/, () => tableWith(['elst', 12, 0xffffffff])],
    ['of fragments', /mvex/, () => sampleTableOf(Buffer.concat([moov, box('mvex')]), bytes.length)],
  ];
  for (const [name, reason, table] of hostile) {
    test(`${name} is not used`, () => {
      assert.throws(table, (error) => error instanceof Unusual && reason.test(error.message));
    });
  }

  test('of a changed index keeps within the file or is not used', () => {
    const change = fc.tuple(fc.nat(moov.length - 1), fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
        const copy = Buffer.from(moov);
        for (const [at, value] of changes) copy[at] = value;
        const table = unlessUnusual(() => sampleTableOf(copy, bytes.length));
        for (const [sample, offset] of table?.offsets.entries() ?? [])
          assert.ok(offset >= 0 && offset + (table?.sizes[sample] ?? NaN) <= bytes.length);
      }),
      { numRuns: 3000 },
    );
  });
});

const containers = new Set(['trak', 'mdia', 'minf', 'stbl']);

/** The boxes with all of one type made anew. */
function replaced(content: Buffer, type: string, make: (box: Box) => Buffer): Buffer {
  return Buffer.concat(
    boxesIn(content).map((found) => {
      if (found.type === type) return make(found);
      return containers.has(found.type) ? box(found.type, replaced(found.body, type, make)) : found.whole;
    }),
  );
}

function unlessUnusual<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof Unusual) return undefined;
    throw error;
  }
}

const emptyBoxes = (count: number) => Buffer.concat(Array(count).fill(box('free')));

describe('the index of a file', () => {
  const rows: readonly (readonly [string, Uint8Array, RegExp])[] = [
    ['that is cut', bytes.subarray(0, -10), /do not fit/],
    ['that goes on after its last box', Buffer.concat([bytes, Buffer.alloc(9)]), /do not fit/],
    ['that has none', box('ftyp', Buffer.alloc(8)), /has no index/],
    ['of two indices', Buffer.concat([bytes, box('moov')]), /fragments/],
    ['with a fragment', Buffer.concat([bytes, box('moof')]), /fragments/],
    ['of a huge index', box('moov', Buffer.alloc(17 * 1024 * 1024)), /too large/],
    ['of boxes without number', emptyBoxes(10_000), /do not fit/],
  ];
  for (const [name, content, reason] of rows) {
    test(`${name} is not used`, async () => {
      await assert.rejects(
        indexOf(content),
        (error) => error instanceof Unusual && reason.test(error.message),
      );
    });
  }
});
