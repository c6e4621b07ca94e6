import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import sharp from 'sharp';
import { flatImage, tone, transcode } from '../../../inference/testing/media.ts';
import { box, latin1, riffChunk, seededRandom, u16be, u32be } from '../../../test/hostile/bytes.ts';
import {
  type Container,
  type LengthField,
  lengthAt,
  lengthFieldsOf,
} from '../../../test/hostile/structure.ts';
import {
  MAX_GROWN_BYTES,
  MUTATIONS,
  type MutationName,
  type Subject,
  withLength,
  withOggChecksums,
  withPngChecksums,
} from './mutations.ts';

const names = Object.keys(MUTATIONS) as MutationName[];
const containers: Container[] = ['jpeg', 'png', 'gif', 'riff', 'iso', 'ogg', 'flac', 'matroska', 'mp3'];
const rounds = 200;

/** Every byte another value, as far as there are enough, in four chunks. */
const riff: Subject = {
  container: 'riff',
  bytes: Buffer.concat([
    latin1('RIFF\xff\0\0\0WAVE'),
    ...[0, 1, 2, 3].map((part) =>
      riffChunk(`par${part}`, Buffer.from(Uint8Array.from({ length: 60 }, (_, at) => 60 * part + at))),
    ),
  ]),
};
const donor: Subject = {
  container: 'iso',
  bytes: Buffer.concat([box('ftyp', latin1('isom')), box('moov', box('mvhd', Buffer.alloc(90, 0xee)))]),
};

/** Results of the mutation of the file under different numbers. */
function results(name: MutationName, subject = riff): Buffer[] {
  return Array.from({ length: rounds }, (_, seed) => MUTATIONS[name](subject, seededRandom(seed), donor));
}

function commonHead(a: Buffer, b: Buffer): number {
  let length = 0;
  while (length < Math.min(a.length, b.length) && a[length] === b[length]) length += 1;
  return length;
}

function commonTail(a: Buffer, b: Buffer): number {
  return commonHead(Buffer.from(a).reverse(), Buffer.from(b).reverse());
}

const differing = (a: Buffer, b: Buffer) => [...a.keys()].filter((at) => a[at] !== b[at]);

describe('mutations', () => {
  test('give the same for the same numbers, other files for others, and leave the file that came in', () => {
    for (const name of names) {
      const before = Buffer.from(riff.bytes);
      const [first, again] = [results(name), results(name)];
      assert.deepEqual(first, again, name);
      assert.ok(new Set(first.map((bytes) => bytes.toString('hex'))).size > 20, name);
      assert.deepEqual(riff.bytes, before, name);
    }
  });

  test('take any file for any container, and none grows beyond the limit', () => {
    const subject = fc.record({
      container: fc.constantFrom(...containers),
      bytes: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    });
    fc.assert(
      fc.property(fc.constantFrom(...names), subject, subject, fc.nat(), (name, file, other, seed) => {
        const bytes = MUTATIONS[name](file, seededRandom(seed), other);
        assert.ok(bytes.length <= MAX_GROWN_BYTES);
      }),
      { seed: 1, numRuns: 3000 },
    );
  });

  test('flip-bits changes up to 16 bits and no length', () => {
    for (const bytes of results('flip-bits')) {
      assert.equal(bytes.length, riff.bytes.length);
      const bits = differing(bytes, riff.bytes)
        .map((at) => ((bytes[at] ?? 0) ^ (riff.bytes[at] ?? 0)).toString(2).replaceAll('0', '').length)
        .reduce((a, b) => a + b, 0);
      assert.ok(bits <= 16, `${bits} bits`);
    }
  });

  test('overwrite-bytes writes one of the values that lie at limits over up to 8 bytes', () => {
    for (const bytes of results('overwrite-bytes')) {
      assert.equal(bytes.length, riff.bytes.length);
      const changed = differing(bytes, riff.bytes);
      assert.ok((changed.at(-1) ?? 0) - (changed[0] ?? 0) < 8);
      const values = new Set(changed.map((at) => bytes[at] ?? -1));
      assert.ok(values.size <= 1 && [...values].every((value) => [0, 1, 0x7f, 0x80, 0xff].includes(value)));
    }
  });

  test('edit-length changes a length and nothing else', () => {
    const fields = lengthFieldsOf(riff.bytes, 'riff');
    assert.deepEqual(
      fields.map(({ at }) => at),
      [4, 16, 84, 152, 220],
    );
    const edited = new Set<number>();
    for (const bytes of results('edit-length')) {
      const changed = differing(bytes, riff.bytes);
      if (changed.length === 0) continue;
      const field = fields.find(({ at }) => changed.every((offset) => offset >= at && offset < at + 4));
      assert.ok(field, `changed at ${changed}`);
      edited.add(field.at);
    }
    assert.equal(edited.size, fields.length);
  });

  test('truncate leaves a beginning', () => {
    for (const bytes of results('truncate')) {
      assert.deepEqual(bytes, riff.bytes.subarray(0, bytes.length));
    }
  });

  test('remove-block leaves what is around a block', () => {
    for (const bytes of results('remove-block')) {
      assert.ok(bytes.length < riff.bytes.length);
      assert.ok(commonHead(bytes, riff.bytes) + commonTail(bytes, riff.bytes) >= bytes.length);
    }
  });

  test('duplicate-block inserts copies of a block', () => {
    for (const bytes of results('duplicate-block')) {
      const head = commonHead(bytes, riff.bytes);
      assert.ok(bytes.length > riff.bytes.length);
      assert.ok(head + commonTail(bytes, riff.bytes) >= riff.bytes.length);
    }
  });

  test('duplicate-block makes no copy that would exceed the limit', () => {
    const large = { container: 'riff', bytes: Buffer.alloc(MAX_GROWN_BYTES) } as const;
    for (const bytes of results('duplicate-block', large)) assert.equal(bytes.length, MAX_GROWN_BYTES);
  });

  test('swap-blocks keeps every byte in another order', () => {
    const sorted = (bytes: Buffer) => Buffer.from(bytes).sort();
    for (const bytes of results('swap-blocks')) assert.deepEqual(sorted(bytes), sorted(riff.bytes));
  });

  test('splice puts the beginning of one file before the end of the other', () => {
    for (const bytes of results('splice')) {
      assert.ok(commonHead(bytes, riff.bytes) + commonTail(bytes, donor.bytes) >= bytes.length);
    }
  });
});

describe('lengths', () => {
  const written: { name: string; field: LengthField; value: number; hex: string }[] = [
    { name: 'of a PNG chunk', field: { at: 1, bytes: 4, order: 'be' }, value: 0x1234, hex: 'ff00001234ff' },
    { name: 'of a RIFF chunk', field: { at: 1, bytes: 4, order: 'le' }, value: 0x1234, hex: 'ff34120000ff' },
    { name: 'of EBML in one byte', field: { at: 1, bytes: 1, order: 'vint' }, value: 5, hex: 'ff85ffffffff' },
    {
      name: 'of EBML in three',
      field: { at: 1, bytes: 3, order: 'vint' },
      value: 0x1234,
      hex: 'ff201234ffff',
    },
  ];
  for (const { name, field, value, hex } of written) {
    test(`${name} are written as they are read`, () => {
      const bytes = withLength(Buffer.alloc(6, 0xff), field, value);
      assert.equal(bytes.toString('hex'), hex);
      assert.equal(lengthAt(bytes, field), value);
    });
  }

  const found: { container: Container; bytes: Buffer; at: number[] }[] = [
    {
      container: 'jpeg',
      bytes: Buffer.concat([latin1('\xff\xd8\xff\xe0'), u16be(9), Buffer.alloc(7)]),
      at: [4],
    },
    {
      container: 'iso',
      bytes: box('moov', box('trak', box('tkhd', Buffer.alloc(4))), box('udta')),
      at: [0, 8, 16, 28],
    },
    { container: 'flac', bytes: Buffer.concat([latin1('fLaC\x80\0\0\x04'), u32be(0)]), at: [5] },
    // A segment of unknown size, in eight bytes, holds an empty cluster and one of three bytes.
    {
      container: 'matroska',
      bytes: Buffer.from('1853806701ffffffffffffff1f43b675801f43b67583e78101', 'hex'),
      at: [4, 16, 21, 23],
    },
  ];
  for (const { container, bytes, at } of found) {
    test(`are found in ${container}`, () => {
      assert.deepEqual(
        lengthFieldsOf(bytes, container).map((field) => field.at),
        at,
      );
    });
  }
});

describe('checksums', () => {
  test('of a valid PNG stay, and that of a changed header becomes right', async () => {
    const valid = await flatImage({ width: 9, height: 9, level: 80, format: 'png' });
    assert.deepEqual(withPngChecksums(valid), valid);
    const mended = withPngChecksums(Buffer.from(valid).fill(200, 19, 20));
    assert.equal((await sharp(mended).metadata()).width, 200);
    assert.equal(mended.readUInt32BE(29), crc32(mended.subarray(12, 29)));
    assert.notEqual(mended.readUInt32BE(29), valid.readUInt32BE(29));
  });

  test('of a valid Ogg file stay, and wrong ones are mended', async () => {
    const valid = await transcode(tone({ seconds: 0.5 }), 'ogg');
    assert.deepEqual(withOggChecksums(valid), valid);
    assert.deepEqual(withOggChecksums(Buffer.from(valid).fill(0, 22, 26)), valid);
  });

  test('of rubbish leave its length', () => {
    const piece = fc.constantFrom('OggS', '\x89PNG\r\n\x1a\n', '\0\0\0\x09IDAT', 'x', '\0'.repeat(24));
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const rubbish = latin1(pieces.join(''));
        assert.equal(withOggChecksums(rubbish).length, rubbish.length);
        assert.equal(withPngChecksums(rubbish).length, rubbish.length);
      }),
      { seed: 1, numRuns: 2000 },
    );
  });
});
