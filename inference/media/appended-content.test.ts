import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import sharp from 'sharp';
import { flatImage, noiseImage, sniffedAs } from '../testing/media.ts';
import { zipArchive } from '../testing/zip.ts';

const images = {
  jpeg: await noiseImage(700, 500, 'jpeg'),
  png: await noiseImage(700, 500, 'png'),
  webp: await noiseImage(700, 500, 'webp'),
  gif: await noiseImage(700, 500, 'gif'),
};
const formats = ['jpeg', 'png', 'webp', 'gif'] as const;
const zip = zipArchive('payload.html', Buffer.from('<script>alert(1)</script>'));
const sniffed = (...parts: Uint8Array[]) => sniffedAs(Buffer.concat(parts));

describe('an image', () => {
  for (const format of formats) {
    const mime = `image/${format}`;
    const accepted: { name: string; behind: Uint8Array }[] = [
      { name: 'alone', behind: Buffer.alloc(0) },
      { name: 'with padding', behind: Buffer.alloc(5000) },
      { name: 'with a second image, as cameras write it', behind: images.jpeg },
      { name: 'with bytes that nobody knows', behind: Buffer.from('SEFHk\0\x01vendor data') },
    ];
    for (const { name, behind } of accepted) {
      test(`of ${format} ${name} is read`, async () => {
        assert.deepEqual(await sniffed(images[format], behind), { kind: 'image', mime });
      });
    }

    const refused: { name: string; behind: Uint8Array; found: RegExp }[] = [
      { name: 'a ZIP archive', behind: zip, found: /with a ZIP archive behind it: send the image alone/ },
      {
        name: 'a ZIP archive and its comment',
        behind: zipArchive('a', Buffer.from('a'), 'x'.repeat(300)),
        found: /a ZIP archive/,
      },
      {
        name: 'a page',
        behind: Buffer.from('\n <html><script src=x></script>'),
        found: /a page or a script/,
      },
      { name: 'a script', behind: Buffer.from('#!/bin/sh\nid\n'), found: /a page or a script/ },
      { name: 'a document', behind: Buffer.from('%PDF-1.7\n1 0 obj\n'), found: /application\/pdf/ },
      {
        name: 'a program',
        behind: Buffer.concat([Buffer.from('\x7fELF\x02\x01\x01', 'latin1'), Buffer.alloc(64)]),
        found: /application\/x-elf/,
      },
      {
        name: 'a RAR archive',
        behind: Buffer.from('Rar!\x1a\x07\x01\0', 'latin1'),
        found: /application\/x-rar/,
      },
    ];
    for (const { name, behind, found } of refused) {
      test(`of ${format} with ${name} behind it is refused`, async () => {
        const media = await sniffed(images[format], behind);
        assert.ok(media.kind === 'unsupported', JSON.stringify(media));
        assert.match(media.found, found);
      });
    }

    test(`of ${format} that ends early is left to the decoder`, async () => {
      const media = await sniffed(images[format].subarray(0, images[format].length / 2));
      assert.deepEqual(media, { kind: 'image', mime });
    });
  }

  test('with an archive in its comment is refused', async () => {
    const jpeg = await flatImage({ width: 8, height: 8, level: 9, format: 'jpeg' });
    const rest = jpeg.subarray(2);
    const archive = zipArchive('a', Buffer.from('a'), '\0'.repeat(rest.length));
    const inside = archive.subarray(0, archive.length - rest.length);
    const comment = Buffer.from([0xff, 0xfe, (inside.length + 2) >> 8, (inside.length + 2) & 0xff]);
    const media = await sniffed(jpeg.subarray(0, 2), comment, inside, rest);
    assert.ok(media.kind === 'unsupported' && /a ZIP archive/.test(media.found), JSON.stringify(media));
  });

  test('of several scans and restarts is followed to its end', async () => {
    const progressive = await sharp(await noiseImage(300, 300, 'png'))
      .jpeg({ progressive: true })
      .toBuffer();
    const media = await sniffed(progressive, Buffer.from('<html>'));
    assert.equal(media.kind, 'unsupported');
  });
});
