import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import sharp from 'sharp';
import { withBytes } from '../media/source.ts';
import { asFile, clip, flatImage, tone } from '../testing/media.ts';
import { hasC2pa } from './c2pa.ts';
import { containerFacts, factsIn } from './container.ts';
import { exifFacts } from './exif.ts';

const jpeg = await flatImage({ width: 64, height: 64, level: 9, format: 'jpeg' });
const png = await flatImage({ width: 64, height: 64, level: 9, format: 'png' });
const webp = await flatImage({ width: 64, height: 64, level: 9, format: 'webp' });
const film = await clip({ source: 'color=white:size=32x32:rate=10:duration=1', extension: 'mp4' });

function number(value: number, bytes: 2 | 4): Buffer {
  const buffer = Buffer.alloc(bytes);
  buffer.writeUIntBE(value, 0, bytes);
  return buffer;
}

const storeType = Buffer.from('6332706100110010800000aa00389b71', 'hex');

/** A JUMBF superbox with nothing but its description. */
function superbox(type: Buffer): Buffer {
  const description = Buffer.concat([
    number(8 + type.length + 6, 4),
    Buffer.from('jumd'),
    type,
    Buffer.from('\x03c2pa\0', 'latin1'),
  ]);
  return Buffer.concat([number(8 + description.length, 4), Buffer.from('jumb'), description]);
}

/** The JPEG file with a segment behind its first marker. */
function withBoxSegment(box: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from('JP'), number(1, 2), number(1, 4), box]);
  const segment = Buffer.concat([Buffer.from([0xff, 0xeb]), number(2 + body.length, 2), body]);
  return Buffer.concat([jpeg.subarray(0, 2), segment, jpeg.subarray(2)]);
}

/** The PNG file with a chunk behind its header. */
function withChunk(type: string): Buffer {
  const chunk = Buffer.concat([number(4, 4), Buffer.from(type), Buffer.from('test'), number(0, 4)]);
  return Buffer.concat([png.subarray(0, 33), chunk, png.subarray(33)]);
}

function withBox(id: string): Buffer {
  return Buffer.concat([film, number(28, 4), Buffer.from('uuid'), Buffer.from(id, 'hex'), Buffer.alloc(4)]);
}

describe('Content Credentials', () => {
  const rows: { name: string; mime: string; content: Buffer; present: boolean | undefined }[] = [
    {
      name: 'of a JPEG file are seen',
      mime: 'image/jpeg',
      content: withBoxSegment(superbox(storeType)),
      present: true,
    },
    {
      name: 'are no other box of a JPEG file',
      mime: 'image/jpeg',
      content: withBoxSegment(superbox(Buffer.alloc(16, 7))),
      present: false,
    },
    {
      name: 'are not an empty box',
      mime: 'image/jpeg',
      content: withBoxSegment(Buffer.alloc(0)),
      present: false,
    },
    { name: 'are not in every JPEG file', mime: 'image/jpeg', content: jpeg, present: false },
    { name: 'of a PNG file are seen', mime: 'image/png', content: withChunk('caBX'), present: true },
    {
      name: 'are no other chunk of a PNG file',
      mime: 'image/png',
      content: withChunk('teSt'),
      present: false,
    },
    {
      name: 'of a WebP file are seen',
      mime: 'image/webp',
      content: Buffer.concat([webp, Buffer.from('C2PA\x04\0\0\0test', 'latin1')]),
      present: true,
    },
    { name: 'are not in every WebP file', mime: 'image/webp', content: webp, present: false },
    {
      name: 'are not behind a last chunk without its padding',
      mime: 'audio/wav',
      content: Buffer.from('RIFF\x0d\0\0\0WAVEdata\x01\0\0\0x', 'latin1'),
      present: false,
    },
    {
      name: 'of an MP4 file are seen',
      mime: 'video/mp4',
      content: withBox('d8fec3d61b0e483c92975828877ec481'),
      present: true,
    },
    {
      name: 'are no other box of an MP4 file',
      mime: 'video/mp4',
      content: withBox('00'.repeat(16)),
      present: false,
    },
    {
      name: 'are not looked for in FLAC',
      mime: 'audio/flac',
      content: Buffer.from('fLaC'),
      present: undefined,
    },
  ];
  for (const { name, mime, content, present } of rows)
    test(name, async () =>
      assert.equal(await withBytes({ path: 'file', content }, (file) => hasC2pa(file, mime)), present),
    );

  const lost = [
    { name: 'JPEG', mime: 'image/jpeg', content: jpeg.subarray(0, 30) },
    { name: 'PNG', mime: 'image/png', content: png.subarray(0, 35) },
    { name: 'cut WebP', mime: 'image/webp', content: webp.subarray(0, -2) },
    {
      name: 'WAV',
      mime: 'audio/wav',
      content: Buffer.from('RIFF\x10\0\0\0WAVEdata\xff\0\0\0test', 'latin1'),
    },
    { name: 'cut MP4', mime: 'video/mp4', content: film.subarray(0, -1) },
    {
      name: 'MP4',
      mime: 'video/mp4',
      content: Buffer.concat([film, Buffer.from('\0\0\0\x04free', 'latin1')]),
    },
  ];
  for (const { name, mime, content } of lost)
    test(`are not told of a ${name} file that cannot be followed`, () =>
      assert.rejects(withBytes({ path: 'file', content }, (file) => hasC2pa(file, mime))));
});

const blockOf = async (bytes: Uint8Array) => (await sharp(bytes).metadata()).exif;
const full = await sharp(jpeg)
  .withExif({
    IFD0: { Make: 'Maker', Model: 'Model 1', Software: 'Editor\u0007 2\n', DateTime: '2024:05:01 12:30:00' },
    IFD3: { GPSLatitudeRef: 'N', GPSLatitude: '51/1 30/1 0/1' },
  })
  .jpeg()
  .toBuffer();

describe('EXIF', () => {
  test('is told, but not where it was', async () => {
    const facts = exifFacts(await blockOf(full));
    assert.deepEqual(facts, {
      present: true,
      make: 'Maker',
      model: 'Model 1',
      software: 'Editor  2',
      date_time: '2024-05-01T12:30:00',
      has_position: true,
    });
    assert.doesNotMatch(JSON.stringify(facts), /51/);
  });

  test('that is not there is told as that', async () =>
    assert.equal(exifFacts(await blockOf(jpeg)).present, false));

  test('of any length is told in few words', async () => {
    const long = await sharp(jpeg)
      .withExif({ IFD0: { Software: 'x'.repeat(9000) } })
      .jpeg()
      .toBuffer();
    assert.equal(exifFacts(await blockOf(long)).software?.length, 100);
  });

  test('that is damaged is an error', () => {
    assert.throws(() => exifFacts(Buffer.from('Exif\0\0nonsense', 'latin1')));
    assert.throws(() => exifFacts(Buffer.from('MM\0*\0\0\0\x08\xff\xff', 'latin1')), /65535 entries/);
  });

  test('that is cut anywhere is an error or less is told', async () => {
    const block = (await blockOf(full)) ?? Buffer.alloc(0);
    for (let length = 0; length < block.length; length += 1) {
      try {
        assert.equal(exifFacts(block.subarray(0, length)).present, true);
      } catch (error) {
        assert.match(String(error), /EXIF block/);
      }
    }
  });

  test('of either byte order is read', () => {
    for (const order of ['II', 'MM']) {
      const numbers = (value: number, bytes: number) => {
        const big = Buffer.from(value.toString(16).padStart(2 * bytes, '0'), 'hex');
        return order === 'MM' ? big : big.toReversed();
      };
      const entry = [numbers(0x010f, 2), numbers(2, 2), numbers(3, 4), Buffer.from('Me\0\0')];
      const head = [Buffer.from(order), numbers(42, 2), numbers(8, 4), numbers(1, 2)];
      assert.equal(exifFacts(Buffer.concat([...head, ...entry])).make, 'Me');
    }
  });
});

describe('a container', () => {
  const run = { signal: new AbortController().signal, onExit: () => undefined };

  test('tells its program, its brand and when it was made, but not where', async () => {
    const made = await clip({
      source: 'color=white:size=32x32:rate=10:duration=1',
      extension: 'mp4',
      options: ['-metadata', 'creation_time=2024-05-01T12:30:00Z', '-metadata', 'location=+51.5-000.1/'],
    });
    const facts = await asFile(made, (path) =>
      containerFacts({ path, mime: 'video/mp4', demuxer: 'mov' }, run),
    );
    assert.match(facts.encoder ?? '', /^Lavf/);
    assert.equal(facts.brand, 'isom');
    assert.equal(facts.creation_time, '2024-05-01T12:30:00.000000Z');
    assert.equal(facts.has_position, true);
    assert.doesNotMatch(JSON.stringify(facts), /51\.5/);
  });

  test('that says nothing has nothing to tell', async () => {
    const facts = await asFile(tone({ seconds: 1 }), (path) =>
      containerFacts({ path, mime: 'audio/wav', demuxer: 'wav' }, run),
    );
    assert.deepEqual(facts, { encoder: null, brand: null, creation_time: null, has_position: false });
  });

  test('is asked in any case, and its tracks after it', () =>
    assert.equal(factsIn({ streams: [{}, { tags: { ENCODER: 'of a track' } }] }).encoder, 'of a track'));
});
