import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';
import { ServiceError } from '../errors.ts';
import { asFile, flatImage, inTemporaryFolder, sniffedAs, tone, transcode } from '../testing/media.ts';
import { bytesMissingFromLastOggPage, decodeAudio } from './audio.ts';
import { channelsOf, decodePcm, secondsOf } from './ffmpeg.ts';
import { FfmpegError, type FfmpegExit } from './media-program.ts';
import { sniffMedia } from './sniff.ts';
import { noMemory, Spool, type SpoolMemory, spoolMemory } from './spool.ts';

const hasCode =
  (code: string, message = /./) =>
  (error: unknown) =>
    error instanceof ServiceError && error.code === code && message.test(error.message);

/** Decodes as a request does. */
async function decodeUpload(path: string, maxSeconds = 60, signal = new AbortController().signal) {
  const exits: FfmpegExit[] = [];
  const media = await sniffMedia({ path });
  assert.ok(media.kind === 'audio', JSON.stringify(media));
  const onExit = (exit: FfmpegExit) => exits.push(exit);
  const audio = await decodeAudio({ path, ...media, sampleRateHz: 16_000, maxSeconds, signal, onExit });
  return { ...audio, exits };
}

const half = (bytes: Buffer) => bytes.subarray(0, Math.floor(bytes.length / 2));
const speech = tone({ seconds: 6, sampleRate: 24_000, channels: 2 });
const formats = ['wav', 'flac', 'mp3', 'ogg', 'opus', 'm4a'] as const;
const encoded = Object.fromEntries(
  await Promise.all(
    formats.map(
      async (format) => [format, format === 'wav' ? speech : await transcode(speech, format)] as const,
    ),
  ),
);

describe('sniffing', () => {
  const rows: { name: string; bytes: () => Promise<Buffer> | Buffer; found: object }[] = [
    {
      name: 'JPEG',
      bytes: () => flatImage({ width: 8, height: 8, level: 9, format: 'jpeg' }),
      found: { kind: 'image', mime: 'image/jpeg' },
    },
    {
      name: 'WebP',
      bytes: () => flatImage({ width: 8, height: 8, level: 9, format: 'webp' }),
      found: { kind: 'image', mime: 'image/webp' },
    },
    {
      name: 'AVIF',
      bytes: () => flatImage({ width: 8, height: 8, level: 9, format: 'avif' }),
      found: { kind: 'image', mime: 'image/avif' },
    },
    {
      name: 'HEIC',
      bytes: () => Buffer.from('\0\0\0\x18ftypheic\0\0\0\0mif1heic'),
      found: {
        kind: 'unsupported',
        found: 'image/heic, for which there is no decoder here: convert it to JPEG or PNG',
      },
    },
    { name: 'WAV', bytes: () => speech, found: { kind: 'audio', mime: 'audio/wav', demuxer: 'wav' } },
    {
      name: 'Opus',
      bytes: () => encoded['opus'] ?? speech,
      found: { kind: 'audio', mime: 'audio/ogg', demuxer: 'ogg' },
    },
    {
      name: 'M4A',
      bytes: () => encoded['m4a'] ?? speech,
      found: { kind: 'audio', mime: 'audio/x-m4a', demuxer: 'mov' },
    },
    {
      name: 'sound in a general MP4',
      bytes: () => transcode(speech, 'mp4'),
      found: { kind: 'audio', mime: 'audio/mp4', demuxer: 'mov' },
    },
    {
      name: 'video in an MP4',
      bytes: () =>
        transcode(speech, 'mp4', ['-f', 'lavfi', '-i', 'color=size=32x32:duration=1', '-c:v', 'mpeg4']),
      found: { kind: 'video', mime: 'video/mp4', demuxer: 'mov' },
    },
    {
      name: 'a PDF',
      bytes: () => Buffer.from('%PDF-1.7\n%âãÏÓ\n'),
      found: { kind: 'unsupported', found: 'application/pdf' },
    },
    {
      name: 'text',
      bytes: () => Buffer.from('hello there'),
      found: {
        kind: 'unsupported',
        found: 'of no known media type (it begins with the bytes 68 65 6c 6c 6f 20 74 68)',
      },
    },
  ];
  for (const { name, bytes, found } of rows) {
    test(`knows ${name} by its content`, async () => assert.deepEqual(await sniffedAs(await bytes()), found));
  }
});

/** A box of an ISO media file. */
function box(type: string, ...contents: readonly Buffer[]): Buffer {
  const body = Buffer.concat(contents);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(8 + body.length);
  head.write(type, 4, 'latin1');
  return Buffer.concat([head, body]);
}

const handler = (type: string) => Buffer.from(`\0\0\0\0\0\0\0\0${type}${'\0'.repeat(13)}`, 'latin1');
const track = (type: string) => box('trak', box('mdia', box('hdlr', handler(type))));
const brand = box('ftyp', Buffer.from('isom\0\0\0\0isom', 'latin1'));

describe('the track table of an MP4', () => {
  const rows = [
    { name: 'with sound alone', movie: box('moov', track('soun')), kind: 'audio' },
    { name: 'with a picture track', movie: box('moov', track('soun'), track('vide')), kind: 'video' },
    {
      name: 'behind the media',
      movie: Buffer.concat([box('mdat', Buffer.alloc(5000)), box('moov', track('soun'))]),
      kind: 'audio',
    },
    {
      name: 'with a name of a handler in a text',
      movie: box('moov', box('udta', box('hdlr', handler('vide'))), track('soun')),
      kind: 'audio',
    },
    {
      name: 'with boxes that have no size',
      movie: Buffer.concat([Buffer.from([0, 0, 0, 2]), track('soun')]),
      kind: 'video',
    },
  ];
  for (const { name, movie, kind } of rows) {
    test(`${name} makes it ${kind}`, async () =>
      assert.equal((await sniffedAs(Buffer.concat([brand, movie]))).kind, kind));
  }

  test('is not read beyond what a recorder writes', async () => {
    const fragments = Array.from({ length: 600 }, () => box('moof', Buffer.alloc(16)));
    const fragmented = Buffer.concat([brand, box('moov', track('soun')), ...fragments]);
    assert.equal((await sniffedAs(fragmented)).kind, 'audio');
    const endless = Buffer.alloc(100_000 * track('soun').length, track('soun'));
    const bytes = [Buffer.alloc(16 * 1024 * 1024, 'hdlr'), endless].map((content) =>
      Buffer.concat([brand, box('moov', content)]),
    );
    for (const hostile of bytes) {
      await asFile(hostile, async (path) => {
        const before = performance.eventLoopUtilization();
        assert.equal((await sniffMedia({ path })).kind, 'video');
        const { active } = performance.eventLoopUtilization(before);
        assert.ok(active < 300, `the thread was busy for ${active} ms`);
      });
    }
  });
});

describe('sound', () => {
  for (const format of formats) {
    const bytes = encoded[format] ?? Buffer.alloc(0);

    test(`of ${format} becomes mono at the wanted rate`, async () => {
      const { samples, source, decodedSeconds, cut, exits } = await asFile(bytes, (path) =>
        decodeUpload(path),
      );
      assert.ok(Math.abs(decodedSeconds - 6) < 0.15, `${decodedSeconds}`);
      assert.equal(source.channels, 2);
      assert.equal(source.sampleRateHz, format === 'opus' ? 48_000 : 24_000);
      assert.equal(cut, false);
      assert.deepEqual(exits, ['ok']);
      const peak = samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
      assert.ok(peak > 0.6 && peak < 0.8, `${peak}`);
    });

    test(`of ${format} that is cut in half is called corrupt`, async () => {
      await assert.rejects(
        asFile(half(bytes), (path) => decodeUpload(path)),
        hasCode('corrupt_media', /corrupt or truncated: ./),
      );
    });
  }

  test('is only read as far as wanted', async () => {
    const { decodedSeconds, cut } = await asFile(speech, (path) => decodeUpload(path, 2));
    assert.deepEqual([decodedSeconds, cut], [2, true]);
  });

  test('of a header that lies about its length is called corrupt', async () => {
    const liar = Buffer.from(speech);
    liar.writeUInt32LE(3_000_000_000, 40);
    await assert.rejects(
      asFile(liar, (path) => decodeUpload(path)),
      hasCode('corrupt_media'),
    );
  });

  test('without a single sample is called corrupt', async () => {
    await assert.rejects(
      asFile(tone({ seconds: 0 }), (path) => decodeUpload(path)),
      hasCode('corrupt_media'),
    );
  });

  test('stops with the reason of its request', async () => {
    const leaving = new AbortController();
    const decoding = asFile(tone({ seconds: 60, sampleRate: 48_000, channels: 2 }), (path) =>
      decodeUpload(path, 60, leaving.signal),
    );
    setTimeout(() => leaving.abort(new Error('gone')), 15);
    await assert.rejects(decoding, /gone/);
  });

  test('never reaches a file that the upload names', async () => {
    await inTemporaryFolder(async (folder) => {
      const secret = join(folder, 'secret.wav');
      const path = join(folder, 'upload');
      await writeFile(secret, speech);
      await writeFile(path, `ffconcat version 1.0\nfile '${secret}'\n`);
      const signal = new AbortController().signal;
      const request = {
        path,
        sampleRateHz: 16_000,
        maxSeconds: 10,
        strict: true,
        signal,
        onExit: () => undefined,
      };
      for (const demuxer of ['wav', 'flac', 'mp3', 'ogg', 'mov', 'matroska', 'avi'] as const) {
        await assert.rejects(decodePcm({ ...request, demuxer }), FfmpegError);
      }
    });
  });

  test('has the channels and the length that ffmpeg prints', () => {
    assert.deepEqual(
      ['mono', 'stereo', '5.1(side)', '7.1', '4 channels', '3 channels (FL+FR+LFE)', '?'].map(channelsOf),
      [1, 2, 6, 8, 4, 3, 0],
    );
    assert.equal(secondsOf('01:02:03.50'), 3723.5);
    assert.equal(secondsOf('N/A'), undefined);
  });

  test('of a whole Ogg page lacks nothing, and of a cut one the rest', () => {
    const page = Buffer.concat([
      Buffer.from('OggS'),
      Buffer.alloc(22),
      Buffer.of(2, 255, 10),
      Buffer.alloc(265),
    ]);
    assert.equal(bytesMissingFromLastOggPage(page), 0);
    assert.equal(bytesMissingFromLastOggPage(page.subarray(0, -5)), 5);
    assert.equal(bytesMissingFromLastOggPage(page.subarray(0, 28)), 1);
    assert.equal(bytesMissingFromLastOggPage(Buffer.alloc(10)), 0);
  });
});

describe('uploads', () => {
  const calm = new AbortController().signal;
  const maxBytes = 10;

  test('are hashed on the way and removed on request', async () => {
    await inTemporaryFolder(async (folder) => {
      const spool = await Spool.open({ maxBytes, parent: folder, memory: spoolMemory(maxBytes) });
      const file = await spool.receive(Readable.from([Buffer.from('ab'), Buffer.from('c')]), 3, calm);
      assert.equal(file.bytes, 3);
      assert.equal(file.sha256, 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
      await spool.remove(file.path);
      await spool.close();
      assert.deepEqual(await readdir(folder), []);
    });
  });

  const three = () => Readable.from([Buffer.from('ab'), Buffer.from('c')]);
  /** Names in the only folder of a spool. */
  const namesIn = async (folder: string) => readdir(join(folder, (await readdir(folder))[0] ?? ''));

  const memories: readonly { name: string; memory: SpoolMemory; inMemory: readonly boolean[] }[] = [
    { name: 'none may stay in memory', memory: noMemory, inMemory: [false, false] },
    { name: 'each is too large for it', memory: { perFile: 2, together: 9 }, inMemory: [false, false] },
    { name: 'there is room for one', memory: { perFile: 3, together: 5 }, inMemory: [true, false] },
    { name: 'there is room for both', memory: { perFile: 3, together: 6 }, inMemory: [true, true] },
  ];
  for (const { name, memory, inMemory } of memories)
    test(`are in memory or on disk, and whole: ${name}`, async () => {
      await inTemporaryFolder(async (folder) => {
        const spool = await Spool.open({ maxBytes, parent: folder, memory });
        const files = [await spool.receive(three(), 3, calm), await spool.receive(three(), 3, calm)];
        assert.deepEqual(
          files.map(({ content }) => content !== undefined),
          inMemory,
        );
        assert.equal((await namesIn(folder)).length, inMemory.filter((kept) => !kept).length);
        for (const file of files) {
          assert.equal(String(file.content ?? (await readFile(file.path))), 'abc');
          assert.deepEqual(await spool.onDisk(file), { path: file.path });
          assert.equal(await readFile(file.path, 'utf8'), 'abc');
          await spool.remove(file.path);
          assert.equal(file.content?.length ?? 0, 0, 'its memory is given back at once');
        }
        assert.deepEqual(await namesIn(folder), []);
        const [first = false] = inMemory;
        const later = await spool.receive(three(), 3, calm);
        assert.equal(later.content !== undefined, first, 'the room of removed ones is free again');
      });
    });

  test('go to disk in pieces, in the order in which they came', async () => {
    await inTemporaryFolder(async (folder) => {
      const chunks = Array.from({ length: 40 }, (_, index) => Buffer.alloc(100_000, index));
      const spool = await Spool.open({ maxBytes: 8e6, parent: folder, memory: spoolMemory(250_000) });
      const file = await spool.receive(Readable.from(chunks), 8e6, calm);
      assert.equal(file.content, undefined);
      assert.ok((await readFile(file.path)).equals(Buffer.concat(chunks)));
      await spool.close();
    });
  });

  test('that are removed while they are written to disk are gone', async () => {
    await inTemporaryFolder(async (folder) => {
      const spool = await Spool.open({ maxBytes, parent: folder, memory: spoolMemory(maxBytes) });
      const file = await spool.receive(three(), 3, calm);
      await Promise.all([spool.onDisk(file), spool.onDisk(file), spool.remove(file.path)]);
      assert.deepEqual(await namesIn(folder), []);
    });
  });

  test('whose client leaves end with it', async () => {
    await inTemporaryFolder(async (folder) => {
      const spool = await Spool.open({ maxBytes, parent: folder, memory: noMemory });
      const leaving = new AbortController();
      const stalled = new Readable({ read: () => undefined });
      stalled.push('ab');
      const receiving = spool.receive(stalled, 3, leaving.signal);
      setImmediate(() => leaving.abort());
      await assert.rejects(receiving, { name: 'AbortError' });
      assert.ok(stalled.destroyed);
      assert.deepEqual(await namesIn(folder), []);
    });
  });

  test('that are too large or break off leave nothing behind', async () => {
    await inTemporaryFolder(async (folder) => {
      const spool = await Spool.open({ maxBytes, parent: folder, memory: noMemory });
      await assert.rejects(
        spool.receive(Readable.from([Buffer.alloc(4)]), 3, calm),
        hasCode('upload_too_large'),
      );
      const breaking = Readable.from(
        (function* () {
          yield Buffer.alloc(2);
          throw new Error('connection lost');
        })(),
      );
      await assert.rejects(spool.receive(breaking, 3, calm), /connection lost/);
      assert.deepEqual(await namesIn(folder), []);
    });
  });

  test('have a common limit, from which removed ones are taken off', async () => {
    await inTemporaryFolder(async (folder) => {
      const spool = await Spool.open({ maxBytes, parent: folder, memory: spoolMemory(maxBytes) });
      const six = () => spool.receive(Readable.from([Buffer.alloc(3), Buffer.alloc(3)]), 6, calm);
      const first = await six();
      await assert.rejects(six(), hasCode('storage_failed', /the space for uploads is full/));
      await spool.remove(first.path);
      assert.equal((await six()).bytes, 6);
    });
  });

  test('that the disk does not take are called so, and not malformed', async () => {
    await inTemporaryFolder(async (folder) => {
      const spool = await Spool.open({ maxBytes, parent: folder, memory: spoolMemory(maxBytes) });
      const file = await spool.receive(three(), 4, calm);
      await spool.close();
      await assert.rejects(spool.receive(three(), 4, calm, noMemory), hasCode('storage_failed', /ENOENT/));
      await assert.rejects(spool.onDisk(file), hasCode('storage_failed', /ENOENT/));
    });
  });

  test('of a crashed predecessor are removed, those of a living process stay', async () => {
    await inTemporaryFolder(async (folder) => {
      for (const pid of [process.pid, process.ppid, 2 ** 22 - 1])
        await mkdir(join(folder, `deepfake-uploads-${pid}-x`));
      const first = await Spool.open({ maxBytes, parent: folder, memory: spoolMemory(maxBytes) });
      await Spool.open({ maxBytes, parent: folder, memory: spoolMemory(maxBytes) });
      const names = await readdir(folder);
      assert.deepEqual(
        names.filter((name) => name.endsWith('-x')),
        [`deepfake-uploads-${process.ppid}-x`],
      );
      assert.equal(names.length, 3);
      await first.close();
    });
  });
});
