/** Images that lie, explode or are something else besides. */
import { crc32, deflateSync } from 'node:zlib';
import sharp from 'sharp';
import { flatImage } from '../../inference/testing/media.ts';
import { zipArchive } from '../../inference/testing/zip.ts';
import {
  type HostileFile,
  inserted,
  latin1,
  patched,
  patchedBehind,
  riffChunk,
  u16be,
  u32be,
  u32le,
} from './bytes.ts';
import { boundariesOf } from './structure.ts';
import type { ValidFiles } from './valid-files.ts';

const pngSignature = latin1('\x89PNG\r\n\x1a\n');

export async function hostileImages(valid: ValidFiles): Promise<HostileFile[]> {
  return [
    ...lyingPngs(valid.png.bytes),
    ...lyingJpegs(valid.jpeg.bytes),
    ...otherLies(valid),
    ...(await bombs(valid)),
    ...(await extremeShapes()),
    ...metadata(valid),
    ...polyglots(valid),
  ];
}

function pngChunk(type: string, content: Buffer): Buffer {
  const body = Buffer.concat([latin1(type), content]);
  return Buffer.concat([u32be(content.length), body, u32be(crc32(body))]);
}

interface PngHeader {
  readonly width: number;
  readonly height: number;
  readonly depth?: number;
  readonly colour?: number;
  readonly interlace?: number;
}

function pngHeader({ width, height, depth = 8, colour = 2, interlace = 0 }: PngHeader): Buffer {
  return pngChunk(
    'IHDR',
    Buffer.concat([u32be(width), u32be(height), Buffer.of(depth, colour, 0, 0, interlace)]),
  );
}

/** A PNG whose checksums are right and whose pixels are `data`. */
function png(header: PngHeader, data: Buffer, ...before: readonly Buffer[]): Buffer {
  return Buffer.concat([
    pngSignature,
    pngHeader(header),
    ...before,
    pngChunk('IDAT', data),
    pngChunk('IEND', Buffer.alloc(0)),
  ]);
}

function lyingPngs(valid: Buffer): HostileFile[] {
  const headers: [string, PngHeader][] = [
    ['no width', { width: 0, height: 10 }],
    ['no height', { width: 10, height: 0 }],
    ['the largest sides', { width: 0x7fffffff, height: 0x7fffffff }],
    ['sides beyond the standard', { width: 0xffffffff, height: 1 }],
    ['65535 by 65535 pixels', { width: 65_535, height: 65_535 }],
    ['a million columns', { width: 1_000_000, height: 1 }],
    ['a million rows', { width: 1, height: 1_000_000 }],
    ['three bits', { width: 160, height: 160, depth: 3 }],
    ['a colour type that does not exist', { width: 160, height: 160, colour: 7 }],
    ['a palette that is missing', { width: 160, height: 160, colour: 3 }],
    ['an interlacing that does not exist', { width: 160, height: 160, interlace: 9 }],
    ['interlaced rows that are not', { width: 160, height: 160, interlace: 1 }],
    ['more rows than pixels', { width: 160, height: 5000 }],
    ['fewer rows than pixels', { width: 160, height: 3 }],
  ];
  const pixels = deflateSync(Buffer.alloc(160 * (160 * 3 + 1), 1));
  const chunks = boundariesOf(valid, 'png').slice(1);
  return [
    ...headers.map(([says, header]) => ({
      name: `PNG that says it has ${says}`,
      bytes: png(header, pixels),
    })),
    ...chunks.map((at) => ({
      name: `PNG with a wrong length at ${at}`,
      bytes: patched(valid, at, u32be(0x7fffffff)),
    })),
    ...chunks.map((at) => ({
      name: `PNG with a wrong checksum before ${at}`,
      bytes: patched(valid, at - 4, u32be(0)),
    })),
    { name: 'PNG without pixels', bytes: Buffer.concat([pngSignature, pngHeader({ width: 9, height: 9 })]) },
    {
      name: 'PNG whose pixels are no zlib stream',
      bytes: png({ width: 160, height: 160 }, Buffer.alloc(900, 0x55)),
    },
    {
      name: 'PNG with filters that do not exist',
      bytes: png({ width: 160, height: 160 }, deflateSync(Buffer.alloc(160 * 481, 0x77))),
    },
    { name: 'PNG with two headers', bytes: inserted(valid, 33, pngHeader({ width: 9000, height: 9000 })) },
    {
      name: 'PNG with thousands of empty chunks',
      bytes: inserted(valid, 33, Buffer.concat(Array(60_000).fill(pngChunk('teSt', Buffer.alloc(0))))),
    },
  ];
}

function jpegSegment(marker: number, content: Buffer): Buffer {
  return Buffer.concat([Buffer.of(0xff, marker), u16be(content.length + 2), content]);
}

function lyingJpegs(valid: Buffer): HostileFile[] {
  const frame = valid.indexOf(Buffer.of(0xff, 0xc0));
  const scan = valid.indexOf(Buffer.of(0xff, 0xda));
  const segments = boundariesOf(valid, 'jpeg').slice(1);
  const sizes: [number, number][] = [
    [65_535, 65_535],
    [0, 160],
    [160, 0],
    [65_500, 1],
    [1, 65_500],
    [60_000, 800],
  ];
  return [
    ...sizes.map(([width, height]) => ({
      name: `JPEG that says it has ${width} by ${height} pixels`,
      bytes: patched(valid, frame + 5, Buffer.concat([u16be(height), u16be(width)])),
    })),
    ...[0, 2, 4, 255].map((count) => ({
      name: `JPEG with ${count} components`,
      bytes: patched(valid, frame + 9, Buffer.of(count)),
    })),
    ...[0, 12, 16].map((bits) => ({
      name: `JPEG with ${bits} bits`,
      bytes: patched(valid, frame + 4, Buffer.of(bits)),
    })),
    ...[0x00, 0x44, 0xff].map((sampling) => ({
      name: `JPEG with the sampling ${sampling}`,
      bytes: patched(valid, frame + 11, Buffer.of(sampling)),
    })),
    ...[0xc1, 0xc3, 0xc5, 0xc9, 0xcb].map((type) => ({
      name: `JPEG of the process ${type}`,
      bytes: patched(valid, frame + 1, Buffer.of(type)),
    })),
    ...segments.flatMap((at) =>
      [0, 1, 65_535].map((length) => ({
        name: `JPEG with the length ${length} at ${at}`,
        bytes: patched(valid, at + 2, u16be(length)),
      })),
    ),
    { name: 'JPEG of a beginning and an end', bytes: Buffer.of(0xff, 0xd8, 0xff, 0xd9) },
    { name: 'JPEG of beginnings', bytes: Buffer.concat(Array(5000).fill(Buffer.of(0xff, 0xd8, 0xff))) },
    {
      name: 'JPEG that is filled with 0xff',
      bytes: Buffer.concat([valid.subarray(0, scan), Buffer.alloc(200_000, 0xff)]),
    },
    {
      name: 'JPEG of nothing but restarts',
      bytes: Buffer.concat([
        valid.subarray(0, scan + 14),
        Buffer.concat(Array(50_000).fill(Buffer.of(0xff, 0xd0))),
      ]),
    },
    {
      name: 'JPEG with a scan before its frame',
      bytes: Buffer.concat([valid.subarray(0, 2), valid.subarray(scan), valid.subarray(2, scan)]),
    },
    { name: 'JPEG within a JPEG', bytes: inserted(valid, scan, valid) },
  ];
}

function otherLies({ webp, lossless, animation, gif, avif }: ValidFiles): HostileFile[] {
  const canvas = (width: number) => {
    const extent = Buffer.alloc(6);
    extent.writeUIntLE(width - 1, 0, 3);
    extent.writeUIntLE(width - 1, 3, 3);
    return patchedBehind(animation.bytes, 'VP8X', 8, extent);
  };
  return [
    {
      name: 'WebP that says it has 16383 by 16383 pixels',
      bytes: patchedBehind(webp.bytes, '\x9d\x01\x2a', 0, Buffer.of(0xff, 0x3f, 0xff, 0x3f)),
    },
    {
      name: 'WebP that says it has no pixels',
      bytes: patchedBehind(webp.bytes, '\x9d\x01\x2a', 0, Buffer.alloc(4)),
    },
    {
      name: 'lossless WebP that says it has 16384 by 16384 pixels',
      bytes: patchedBehind(lossless.bytes, 'VP8L', 5, Buffer.alloc(4, 0xff)),
    },
    ...[1, 7000, 2 ** 24].map((width) => ({
      name: `WebP animation on a canvas of ${width} pixels`,
      bytes: canvas(width),
    })),
    {
      name: 'WebP whose frame lies beside the canvas',
      bytes: patchedBehind(animation.bytes, 'ANMF', 4, Buffer.alloc(6, 0xff)),
    },
    ...[0, 0xffffffff].map((size) => ({
      name: `WebP that says it has ${size} bytes`,
      bytes: patched(webp.bytes, 4, u32le(size)),
    })),
    { name: 'WebP with a chunk of 4 GB', bytes: patched(webp.bytes, 16, u32le(0xfffffff0)) },
    {
      name: 'WebP with an animation in an animation',
      bytes: patchedBehind(animation.bytes, 'ANMF', 20, latin1('ANMF')),
    },
    ...[0, 65_535].map((side) => ({
      name: `GIF of ${side} by ${side} pixels`,
      bytes: patched(gif.bytes, 6, Buffer.concat([u16be(side), u16be(side)])),
    })),
    {
      name: 'GIF with an impossible code size',
      bytes: patchedBehind(gif.bytes, '\x21\xf9\x04', 16, Buffer.of(0xff)),
    },
    {
      name: 'GIF of thousands of extensions',
      bytes: inserted(gif.bytes, 13 + 3 * 256, Buffer.concat(Array(30_000).fill(latin1('\x21\xfe\x01a\0')))),
    },
    {
      name: 'AVIF that says it has 2^31 pixels in a row',
      bytes: patchedBehind(avif.bytes, 'ispe', 4, u32be(0x80000000)),
    },
    { name: 'AVIF that says it has no pixels', bytes: patchedBehind(avif.bytes, 'ispe', 4, Buffer.alloc(8)) },
    {
      name: 'AVIF that says it has other sides than its image',
      bytes: patchedBehind(avif.bytes, 'ispe', 4, Buffer.concat([u32be(5000), u32be(5000)])),
    },
    {
      name: 'AVIF whose items lie behind the file',
      bytes: patchedBehind(avif.bytes, 'iloc', 14, u32be(0x7fffffff)),
    },
    { name: 'AVIF with a box that has no end', bytes: patchedBehind(avif.bytes, 'ftypavif', -12, u32be(0)) },
    { name: 'AVIF without an image', bytes: avif.bytes.subarray(0, avif.bytes.readUInt32BE(0)) },
  ];
}

/** A few bytes for many: within the limit of pixels where nothing else is said. */
async function bombs({ gif, progressive }: ValidFiles): Promise<HostileFile[]> {
  const nothing = (bytes: number) => deflateSync(Buffer.alloc(bytes), { level: 9 });
  const create = { width: 7000, height: 7000, channels: 3, background: '#123' } as const;
  const scan = progressive.bytes.lastIndexOf(Buffer.of(0xff, 0xda));
  const frame = gif.bytes.indexOf(latin1('\x21\xf9\x04'));
  const tiny = { width: 1, height: 1 };
  const profile = (size: number) => pngChunk('iCCP', Buffer.concat([latin1('p\0\0'), nothing(size)]));
  return [
    {
      name: 'PNG of 49 million equal pixels',
      bytes: png({ width: 7000, height: 7000 }, nothing(7000 * 21_001)),
    },
    {
      name: 'PNG of 49 million pixels of 16 bits',
      bytes: png({ width: 7000, height: 7000, depth: 16, colour: 6 }, nothing(1000)),
    },
    {
      name: 'PNG of 49 million interlaced pixels',
      bytes: png({ width: 7000, height: 7000, interlace: 1 }, nothing(7000 * 21_001)),
    },
    {
      name: 'PNG of 400 million pixels',
      bytes: png({ width: 20_000, height: 20_000, depth: 1, colour: 0 }, nothing(20_000 * 2501)),
    },
    { name: 'PNG whose pixels go on for 300 MB', bytes: png({ width: 200, height: 200 }, nothing(300e6)) },
    { name: 'PNG with a profile of 200 MB', bytes: png(tiny, nothing(4), profile(200e6)) },
    {
      name: 'PNG with a text of 200 MB',
      bytes: png(tiny, nothing(4), pngChunk('zTXt', Buffer.concat([latin1('t\0\0'), nothing(200e6)]))),
    },
    {
      name: 'WebP of 49 million equal pixels',
      bytes: await sharp({ create }).webp({ lossless: true, effort: 0 }).toBuffer(),
    },
    {
      name: 'JPEG of 49 million equal pixels',
      bytes: await sharp({ create }).jpeg({ quality: 1 }).toBuffer(),
    },
    {
      name: 'JPEG of 25,000 scans',
      bytes: Buffer.concat([
        progressive.bytes.subarray(0, scan),
        Buffer.concat(Array(25_000).fill(progressive.bytes.subarray(scan, scan + 40))),
      ]),
    },
    {
      name: 'GIF of 60,000 frames',
      bytes: Buffer.concat([
        gif.bytes.subarray(0, frame),
        Buffer.concat(
          Array(60_000).fill(latin1('\x21\xf9\x04\0\0\0\0\0\x2c\0\0\0\0\xff\xff\xff\xff\0\x02\x01\x44\0')),
        ),
        latin1(';'),
      ]),
    },
  ];
}

async function extremeShapes(): Promise<HostileFile[]> {
  const shapes: [number, number][] = [
    [1, 1],
    [65_500, 1],
    [1, 65_500],
    [16_383, 1],
    [1, 16_383],
  ];
  const formats = ['png', 'jpeg', 'webp', 'gif', 'avif'] as const;
  const possible = formats.flatMap((format) =>
    shapes
      .filter(([width, height]) => Math.max(width, height) < 16_384 || format === 'png' || format === 'jpeg')
      .filter(([width, height]) => format !== 'avif' || width * height === 1)
      .map(([width, height]) => ({ format, width, height })),
  );
  return Promise.all(
    possible.map(async ({ format, width, height }) => ({
      name: `${format} of ${width} by ${height} pixels`,
      bytes: await flatImage({ width, height, level: 80, format }),
    })),
  );
}

/** Orientation, and a directory of EXIF that points where it should not. */
function exif(orientation: number, nextDirectory: number): Buffer {
  const entry = Buffer.concat([u16be(0x0112), u16be(3), u32be(1), u16be(orientation), u16be(0)]);
  return Buffer.concat([latin1('Exif\0\0MM\0\x2a'), u32be(8), u16be(1), entry, u32be(nextDirectory)]);
}

function metadata({ jpeg, png: plain, webp }: ValidFiles): HostileFile[] {
  const withSegment = (...segments: Buffer[]) => inserted(jpeg.bytes, 2, Buffer.concat(segments));
  const full = Buffer.alloc(65_533, 0x41);
  const entity =
    '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x:xmpmeta>&e;</x:xmpmeta>';
  return [
    ...[0, 9, 65_535].map((orientation) => ({
      name: `JPEG with the orientation ${orientation}`,
      bytes: withSegment(jpegSegment(0xe1, exif(orientation, 0))),
    })),
    { name: 'JPEG with a ring of EXIF directories', bytes: withSegment(jpegSegment(0xe1, exif(1, 8))) },
    {
      name: 'JPEG with an EXIF directory behind the file',
      bytes: withSegment(jpegSegment(0xe1, exif(1, 0xfffffff0))),
    },
    {
      name: 'JPEG with 20 MB of comments',
      bytes: withSegment(...Array<Buffer>(300).fill(jpegSegment(0xfe, full))),
    },
    {
      name: 'JPEG with 20 MB of EXIF',
      bytes: withSegment(...Array<Buffer>(300).fill(jpegSegment(0xe1, full))),
    },
    {
      name: 'JPEG with 255 parts of a profile',
      bytes: withSegment(
        ...Array.from({ length: 255 }, (_, part) =>
          jpegSegment(
            0xe2,
            Buffer.concat([latin1('ICC_PROFILE\0'), Buffer.of(part, 255), full.subarray(0, 60_000)]),
          ),
        ),
      ),
    },
    {
      name: 'JPEG with a profile that is none',
      bytes: withSegment(jpegSegment(0xe2, latin1('ICC_PROFILE\0\x01\x01garbage'))),
    },
    {
      name: 'JPEG with entities in its XMP',
      bytes: withSegment(jpegSegment(0xe1, latin1(`http://ns.adobe.com/xap/1.0/\0${entity}`))),
    },
    {
      name: 'JPEG of Adobe colours that it has not',
      bytes: withSegment(jpegSegment(0xee, latin1('Adobe\0\x64\0\0\0\0\x02'))),
    },
    {
      name: 'PNG with a text of 8 MB',
      bytes: inserted(
        plain.bytes,
        33,
        pngChunk('tEXt', Buffer.concat([latin1('t\0'), Buffer.alloc(8e6, 0x41)])),
      ),
    },
    {
      name: 'PNG with an EXIF that is none',
      bytes: inserted(plain.bytes, 33, pngChunk('eXIf', Buffer.alloc(100, 0xff))),
    },
    {
      name: 'WebP with 8 MB that nobody knows',
      bytes: Buffer.concat([webp.bytes, riffChunk('JUNK', Buffer.alloc(8e6, 0x41))]),
    },
  ];
}

function polyglots({ jpeg, png: plain, webp, gif, avif, m4a }: ValidFiles): HostileFile[] {
  const hosts = { JPEG: jpeg.bytes, PNG: plain.bytes, WebP: webp.bytes, GIF: gif.bytes, AVIF: avif.bytes };
  const guests: Readonly<Record<string, Buffer>> = {
    'an archive': zipArchive('evil.sh', Buffer.from('#!/bin/sh\nid\n')),
    'a page': Buffer.from('<html><script>alert(1)</script></html>'),
    'a document': Buffer.from('%PDF-1.7\n1 0 obj <</Type/Catalog>> endobj\n'),
    'a script': Buffer.from('<?php system($_GET["x"]); ?>'),
    'a picture that names files': Buffer.from(
      '<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    ),
    sound: m4a.bytes,
  };
  return [
    ...Object.entries(hosts).flatMap(([host, bytes]) =>
      Object.entries(guests).map(([guest, content]) => ({
        name: `${host} with ${guest} behind it`,
        bytes: Buffer.concat([bytes, content]),
      })),
    ),
    { name: 'page with a JPEG behind it', bytes: Buffer.concat([Buffer.from('<html><!--'), jpeg.bytes]) },
    { name: 'archive of a PNG', bytes: zipArchive('a.png', plain.bytes) },
    { name: 'JPEG that begins as a PNG', bytes: Buffer.concat([pngSignature, jpeg.bytes]) },
    {
      name: 'PNG that begins as a JPEG',
      bytes: Buffer.concat([Buffer.of(0xff, 0xd8, 0xff, 0xe0), plain.bytes]),
    },
    { name: 'WebP that is a WAV', bytes: patched(webp.bytes, 8, latin1('WAVE')) },
  ];
}
