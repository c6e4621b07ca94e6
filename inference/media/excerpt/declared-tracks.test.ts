import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { clip, inTemporaryFolder } from '../../testing/media.ts';
import { type ProbedMedia, probeMedia } from '../probe.ts';
import { type NoExcerpt, sampleIndexOf } from './excerpt.ts';

interface TestClip {
  readonly options: readonly string[];
  readonly extension?: string;
  readonly source?: string;
  readonly soundSeconds?: number;
  /** Of the finished file. */
  readonly change?: (bytes: Buffer) => Buffer;
}

async function tracksOf(made: TestClip): Promise<{ declared: ProbedMedia | NoExcerpt; probed: ProbedMedia }> {
  const { source = 'testsrc2=size=160x120:rate=25:duration=3', extension = 'mp4', options, change } = made;
  const sound = made.soundSeconds === undefined ? {} : { soundSeconds: made.soundSeconds };
  const bytes = await clip({ source, extension, options, ...sound });
  return inTemporaryFolder(async (folder) => {
    const path = join(folder, 'upload');
    await writeFile(path, change?.(bytes) ?? bytes);
    const file = { path, mime: 'video/mp4', demuxer: 'mov' } as const;
    const run = { signal: new AbortController().signal, onExit: () => undefined };
    const index = await sampleIndexOf(path);
    return {
      declared: 'reason' in index ? index : index.declared,
      probed: await probeMedia(file, run),
    };
  });
}

const h264 = ['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-bf', '2'];
const withAac = [...h264, '-c:a', 'aac'];

/** Changes the number that stands `at` bytes after the name of a box. */
function changed(bytes: Buffer, type: string, at: number, change: (value: number) => number): Buffer {
  const copy = Buffer.from(bytes);
  const position = copy.indexOf(type) + type.length + at;
  copy.writeUInt32BE(change(copy.readUInt32BE(position)) >>> 0, position);
  return copy;
}

function replaced(bytes: Buffer, found: Buffer, by: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  assert.ok(copy.includes(found));
  by.copy(copy, copy.indexOf(found));
  return copy;
}

/** The end of a configuration that says that the rate is not doubled (ISO/IEC 14496-3, 1.6.5.2). */
const aacDenial = Buffer.from([0x56, 0xe5, 0x00]);

describe('the index tells what ffprobe would', () => {
  const rows: readonly (TestClip & { readonly name: string })[] = [
    { name: 'of pictures alone', options: h264 },
    { name: 'of the baseline profile', options: [...h264, '-profile:v', 'baseline', '-bf', '0'] },
    {
      name: 'of a size that is no multiple of blocks',
      options: h264,
      source: 'testsrc2=size=162x118:rate=25:duration=2',
    },
    { name: 'of 4:2:2', options: [...h264, '-pix_fmt', 'yuv422p', '-vf', 'scale=162:118'] },
    { name: 'of 10 bits', options: [...h264, '-pix_fmt', 'yuv420p10le'] },
    { name: 'of grey', options: [...h264, '-pix_fmt', 'gray', '-vf', 'scale=162:118'] },
    { name: 'of full range', options: [...h264, '-x264-params', 'fullrange=on'] },
    {
      name: 'of limited range',
      options: [...h264, '-x264-params', 'colorprim=bt709:transfer=bt709:colormatrix=bt709'],
    },
    {
      name: 'of pixels that are not square',
      options: [...h264, '-vf', 'setsar=37/41', '-x264-params', 'fullrange=on'],
    },
    {
      name: 'of 29.97 frames per second',
      options: h264,
      source: 'testsrc2=size=160x120:rate=30000/1001:duration=3',
    },
    {
      name: 'of a variable rate',
      options: [...h264, '-vf', "select='not(mod(n,3))+lt(t,1)'", '-vsync', 'vfr'],
    },
    { name: 'without an edit list', options: [...h264, '-use_editlist', '0', '-bf', '0'] },
    { name: 'of a picture turned by 90', options: [...h264, '-metadata:s:v', 'rotate=90'] },
    { name: 'of a picture turned by 180', options: [...h264, '-metadata:s:v', 'rotate=180'] },
    { name: 'of a picture turned by 270', options: [...h264, '-metadata:s:v', 'rotate=270'] },
    { name: 'of AAC beside it', options: withAac, soundSeconds: 3 },
    { name: 'of longer AAC beside it', options: withAac, soundSeconds: 4 },
    { name: 'of stereo at 48 kHz', options: [...withAac, '-ac', '2', '-ar', '48000'], soundSeconds: 3 },
    { name: 'of a low rate that is not doubled', options: [...withAac, '-ar', '22050'], soundSeconds: 3 },
    { name: 'of six channels', options: [...withAac, '-ac', '6'], soundSeconds: 3 },
    { name: 'of a QuickTime file', options: h264, extension: 'mov' },
  ];
  for (const { name, ...made } of rows) {
    test(name, async () => {
      const { declared, probed } = await tracksOf(made);
      assert.deepEqual(declared, probed);
    });
  }
});

describe('ffprobe is asked', () => {
  const rows: readonly (TestClip & { readonly name: string; readonly reason: RegExp })[] = [
    {
      name: 'about HEVC',
      options: ['-c:v', 'libx265', '-preset', 'ultrafast', '-x265-params', 'log-level=none:pools=1'],
      reason: /only the decoder/,
    },
    {
      name: 'about sound that may be doubled in rate',
      options: [...withAac, '-ar', '22050'],
      soundSeconds: 3,
      change: (bytes) => replaced(bytes, aacDenial, Buffer.from([0x56, 0xe5, 0x80])),
      reason: /only the decoder/,
    },
    { name: 'about other sound', options: [...h264, '-c:a', 'mp3'], soundSeconds: 3, reason: /not AAC/ },
    {
      name: 'about sound in the second version of QuickTime',
      options: [...h264, '-c:a', 'pcm_s16le'],
      extension: 'mov',
      soundSeconds: 3,
      reason: /not AAC/,
    },
    {
      name: 'about further tracks',
      options: [...withAac, '-map', '0', '-map', '1', '-map', '1'],
      soundSeconds: 3,
      reason: /further tracks/,
    },
    {
      name: 'where pictures begin later',
      options: [...withAac, '-vf', 'setpts=PTS+0.4/TB'],
      soundSeconds: 3,
      reason: /begin at zero|several parts/,
    },
    {
      name: 'where the description states another size',
      options: h264,
      change: (bytes) => changed(bytes, 'stsd', 40, (size) => size + 1),
      reason: /differ in size/,
    },
    {
      name: 'where the pictures are mirrored',
      options: h264,
      change: (bytes) => changed(bytes, 'tkhd', 40, () => 0xffff_0000),
      reason: /not only turned/,
    },
    {
      name: 'where colours stand in the container alone',
      options: [...h264, '-vf', 'setsar=37/41'],
      change: (bytes) => replaced(bytes, Buffer.from('pasp'), Buffer.from('colr')),
      reason: /only its container describes its colours/,
    },
  ];
  for (const { name, reason, ...made } of rows) {
    test(name, async () => {
      const { declared } = await tracksOf(made);
      assert.match('reason' in declared ? declared.reason : JSON.stringify(declared), reason);
    });
  }
});
