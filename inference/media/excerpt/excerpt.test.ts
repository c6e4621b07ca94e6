import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { clip, inTemporaryFolder } from '../../testing/media.ts';
import { type Sampling, stretchesOf } from '../sampling.ts';
import { sniffMedia } from '../sniff.ts';
import { framesOf, type OpenedVideo, openVideo, type VideoRequest } from '../video.ts';
import { excerptOf, type NoExcerpt } from './excerpt.ts';

const shape = { width: 64, height: 48, fit: 'fill', interpolation: 'area' } as const;
const wholeFile: NoExcerpt = { reason: 'the test wants the whole file' };

async function withVideo<T>(
  bytes: Uint8Array,
  use: (video: OpenedVideo, request: VideoRequest) => Promise<T>,
) {
  return inTemporaryFolder(async (folder) => {
    const path = join(folder, 'upload');
    await writeFile(path, bytes);
    const media = await sniffMedia(path);
    assert.ok(media.kind === 'video', JSON.stringify(media));
    const limits = { maxSeconds: 60, maxPixels: 1e6, decoderThreads: 1 };
    const request = { path, ...media, limits, signal: new AbortController().signal, onExit: () => undefined };
    const video = await openVideo(request);
    assert.ok(video !== undefined);
    return use(video, request);
  });
}

interface Look {
  readonly sampling: Sampling;
  readonly keyframesOnly?: boolean;
}

function selectionOf(video: OpenedVideo, { sampling, keyframesOnly = false }: Look) {
  const stretches = stretchesOf(sampling, video.durationSeconds, video.frameCount);
  return { stretches, shape, keyframesOnly, reachesEnd: true };
}

/** Digests of the frames. */
async function digests(video: OpenedVideo, look: Look, request: VideoRequest): Promise<string[]> {
  const found: string[] = [];
  for await (const { raster } of framesOf(video, selectionOf(video, look), request))
    found.push(createHash('sha256').update(raster.data).digest('hex').slice(0, 8));
  return found;
}

const looks = {
  'sixteen frames': { sampling: { mode: 'uniform', frames: 16 } },
  'five frames': { sampling: { mode: 'uniform', frames: 5 } },
  'a frame per second': { sampling: { mode: 'fps', rate: 1, maxFrames: 100 } },
  'key frames': { sampling: { mode: 'uniform', frames: 5 }, keyframesOnly: true },
  'key frames far apart': { sampling: { mode: 'uniform', frames: 4 }, keyframesOnly: true },
  'frames far apart': { sampling: { mode: 'uniform', frames: 4 } },
  windows: {
    sampling: { mode: 'windows', startSeconds: 1, seconds: 1, count: 3, framesPerWindow: 4 },
  },
} as const satisfies Readonly<Record<string, Look>>;
type LookName = keyof typeof looks;

const pictures = (seconds: number, rate = 25) =>
  `testsrc2=size=160x120:rate=${rate}:duration=${seconds},noise=alls=8:allf=t`;
const x264 = (parameters: string, ...options: readonly string[]) => [
  ...['-c:v', 'libx264', '-preset', 'veryfast', '-pix_fmt', 'yuv420p', '-g', '50'],
  ...['-x264-params', `scenecut=0:${parameters}`, ...options],
];
const x265 = (parameters: string, ...options: readonly string[]) => [
  ...['-c:v', 'libx265', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p'],
  ...['-x265-params', `log-level=none:keyint=50:scenecut=0:pools=1:${parameters}`, ...options],
];

interface Encoding {
  readonly name: string;
  readonly options: readonly string[];
  readonly extension?: string;
  readonly seconds?: number;
  readonly rate?: number;
  readonly filter?: string;
  readonly soundSeconds?: number;
  readonly looks: readonly LookName[];
}

const manyFrames = ['sixteen frames', 'a frame per second', 'key frames', 'windows'] as const;

const encodings: readonly Encoding[] = [
  {
    name: 'without B-frames',
    options: x264('bframes=0', '-g', '25'),
    looks: ['sixteen frames', 'five frames'],
  },
  { name: 'in the baseline profile', options: x264('', '-profile:v', 'baseline'), looks: ['five frames'] },
  { name: 'with B-frames that nothing needs', options: x264('bframes=3:b-pyramid=none'), looks: manyFrames },
  {
    name: 'with B-frames that B-frames need',
    options: x264('bframes=3:b-pyramid=normal'),
    looks: manyFrames,
  },
  {
    name: 'with eight B-frames',
    options: x264('bframes=8:b-adapt=2:ref=5:b-pyramid=strict'),
    looks: ['sixteen frames', 'key frames'],
  },
  {
    name: 'with weights and many references',
    options: x264('bframes=3:ref=8:weightp=2:direct=temporal'),
    looks: ['sixteen frames'],
  },
  { name: 'in several slices', options: x264('slices=4:bframes=2'), looks: ['sixteen frames'] },
  {
    name: 'with open groups of pictures',
    options: x264('open-gop=1:bframes=3', '-g', '25'),
    looks: ['five frames'],
    seconds: 4,
  },
  { name: 'with 10 bits', options: x264('bframes=3', '-pix_fmt', 'yuv420p10le'), looks: ['sixteen frames'] },
  {
    name: 'with repeated parameter sets',
    options: x264('repeat-headers=1:aud=1'),
    looks: ['sixteen frames'],
  },
  {
    name: 'at a variable rate',
    options: x264('bframes=3', '-vsync', 'vfr'),
    filter: "select='lt(t,2)+gt(mod(n,7),4)*lt(t,6)+gt(t,7)'",
    looks: ['sixteen frames', 'a frame per second'],
  },
  {
    name: 'at 29.97 frames per second',
    options: x264('bframes=3'),
    rate: 30000 / 1001,
    looks: ['sixteen frames'],
  },
  {
    name: 'with its index in front',
    options: x264('bframes=3', '-movflags', '+faststart'),
    looks: ['sixteen frames'],
  },
  {
    name: 'with differences of time below zero',
    options: x264('bframes=3', '-movflags', '+negative_cts_offsets'),
    looks: ['sixteen frames'],
  },
  {
    name: 'without an edit list',
    options: x264('bframes=3', '-use_editlist', '0'),
    looks: ['sixteen frames'],
  },
  {
    name: 'with sound',
    options: x264('bframes=3', '-c:a', 'aac'),
    soundSeconds: 10,
    looks: ['sixteen frames', 'windows'],
  },
  {
    name: 'with a clock of 1000 per second',
    options: x264('bframes=3', '-video_track_timescale', '1000'),
    looks: ['sixteen frames'],
    rate: 30,
  },
  {
    name: 'with a clock of 90000 per second',
    options: x264('bframes=3', '-video_track_timescale', '90000'),
    looks: ['sixteen frames'],
  },
  {
    name: 'with a clock of 600 per second',
    options: x264('bframes=3', '-video_track_timescale', '600'),
    looks: ['sixteen frames'],
  },
  {
    name: 'with times beyond 32 bits',
    options: x264('bframes=3', '-video_track_timescale', '1000000000'),
    looks: ['sixteen frames'],
  },
  {
    name: 'in a QuickTime file',
    extension: 'mov',
    options: x264('bframes=3'),
    looks: ['sixteen frames', 'key frames'],
  },
  {
    name: 'in a QuickTime file with sound',
    extension: 'mov',
    options: x264('bframes=3', '-c:a', 'aac'),
    soundSeconds: 10,
    looks: ['sixteen frames'],
  },
  { name: 'in HEVC', options: x265('bframes=3'), looks: ['sixteen frames', 'five frames'] },
  {
    name: 'in HEVC as phones name it',
    options: x265('bframes=3:open-gop=0', '-tag:v', 'hvc1'),
    looks: ['five frames', 'key frames'],
  },
  {
    name: 'in HEVC with leading pictures',
    options: x265('bframes=3:open-gop=0:radl=2'),
    looks: ['sixteen frames', 'five frames'],
  },
  {
    name: 'in HEVC with 10 bits',
    extension: 'mov',
    options: x265('bframes=3', '-pix_fmt', 'yuv420p10le'),
    looks: ['five frames'],
  },
  {
    name: 'of 40 s',
    options: x264('bframes=3', '-g', '40'),
    seconds: 40,
    rate: 10,
    looks: ['frames far apart', 'key frames far apart', 'windows'],
  },
  {
    name: 'of 40 s in HEVC',
    options: x265('bframes=3:keyint=40:open-gop=0'),
    seconds: 40,
    rate: 10,
    looks: ['frames far apart', 'key frames far apart'],
  },
];

describe('an excerpt', () => {
  for (const encoding of encodings) {
    const { name, options, seconds = 10, rate = 25, filter, soundSeconds, extension = 'mp4' } = encoding;
    test(`${name} gives the frames of the whole file`, async () => {
      const source = [pictures(seconds, rate), ...(filter === undefined ? [] : [filter])].join(',');
      const sound = soundSeconds === undefined ? {} : { soundSeconds };
      await withVideo(await clip({ source, extension, options, ...sound }), async (video, request) => {
        for (const lookName of encoding.looks) {
          const look: Look = looks[lookName];
          const excerpt = await excerptOf(video.index, { ...video, ...selectionOf(video, look) });
          assert.ok('stream' in excerpt, `${lookName}: ${JSON.stringify(excerpt)}`);
          assert.ok(excerpt.samples < excerpt.samplesOfFile, lookName);
          const expected = await digests({ ...video, index: wholeFile }, look, request);
          assert.deepEqual(await digests(video, look, request), expected, lookName);
        }
      });
    });
  }
});
