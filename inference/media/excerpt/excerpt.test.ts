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
    const media = await sniffMedia({ path });
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
  'every frame': { sampling: { mode: 'fps', rate: 25, maxFrames: 1000 } },
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
    name: 'that begins after its sound',
    options: x264('bframes=3', '-c:a', 'aac'),
    filter: 'setpts=PTS+0.4/TB',
    soundSeconds: 10.4,
    looks: ['sixteen frames', 'windows', 'key frames'],
  },
  {
    name: 'to be turned',
    options: x264('bframes=3', '-metadata:s:v', 'rotate=90'),
    looks: ['sixteen frames'],
  },
  {
    name: 'with its colours described',
    options: x264(
      'bframes=3',
      ...['-vf', 'scale=out_range=pc:out_color_matrix=bt709', '-color_range', 'pc', '-colorspace', 'bt709'],
      ...['-color_primaries', 'bt709', '-color_trc', 'bt709', '-movflags', '+write_colr'],
    ),
    looks: ['sixteen frames'],
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

test('the sound beside an excerpt is that of the file', async () => {
  const bytes = await clip({
    source: pictures(10),
    extension: 'mp4',
    options: x264('bframes=3', '-c:a', 'aac'),
    soundSeconds: 10,
  });
  await withVideo(bytes, async (video, request) => {
    const soundOf = async (opened: OpenedVideo) => {
      const heard: Float32Array[] = [];
      const onSamples = (samples: Float32Array) => void heard.push(samples);
      const sound = { track: 1, sampleRateHz: 16_000, maxSeconds: 60, onSamples };
      const selection = { ...selectionOf(opened, looks['five frames']), sound };
      for await (const _ of framesOf(opened, selection, request));
      return heard;
    };
    assert.ok(
      'stream' in (await excerptOf(video.index, { ...video, ...selectionOf(video, looks['five frames']) })),
    );
    const [samples] = await soundOf(video);
    assert.ok(samples !== undefined && Math.abs(samples.length / 16_000 - 10) < 0.1);
    assert.deepEqual(samples, (await soundOf({ ...video, index: wholeFile }))[0]);
  });
});

/** Changes a number behind the name of a box, `at` bytes after the name. */
function changed(bytes: Buffer, type: string, at: number, change: (value: number) => number): Buffer {
  const copy = Buffer.from(bytes);
  const position = copy.indexOf(type) + type.length + at;
  copy.writeUInt32BE(change(copy.readUInt32BE(position)) >>> 0, position);
  return copy;
}

const common = await clip({ source: pictures(4), extension: 'mp4', options: x264('bframes=3') });
const encrypted = [
  ...['-encryption_scheme', 'cenc-aes-ctr', '-encryption_key', '76a6c65c5ea762046bd749a2e632ccbb'],
  ...['-encryption_kid', 'a7e61c373e219033c21091fa607bf3b8'],
];
const coded = (options: readonly string[], extension = 'mp4') =>
  clip({ source: pictures(4), extension, options });

const refusals: readonly {
  readonly name: string;
  readonly bytes: () => Buffer | Promise<Buffer>;
  readonly look?: LookName;
  readonly reason: RegExp;
}[] = [
  { name: 'of what is no MP4 file', bytes: () => coded(x264(''), 'mkv'), reason: /no MP4 file/ },
  { name: 'of another codec', bytes: () => coded(['-c:v', 'mpeg4']), reason: /neither H.264 nor HEVC/ },
  {
    name: 'of fragments',
    bytes: () => coded(x264('', '-movflags', 'frag_keyframe+empty_moov')),
    reason: /comes in fragments/,
  },
  { name: 'of what is coded by fields', bytes: () => coded(x264('tff=1')), reason: /coded by fields/ },
  {
    name: 'of colours in full resolution',
    bytes: () => coded(x264('', '-pix_fmt', 'yuv444p')),
    reason: /4:4:4/,
  },
  {
    name: 'of pictures that are renewed bit by bit',
    bytes: () => coded(x264('intra-refresh=1:bframes=0')),
    reason: /nearly all/,
  },
  {
    name: 'of key frames that others reach over',
    bytes: () => coded(x264('open-gop=1:bframes=3', '-g', '25')),
    look: 'key frames',
    reason: /not every key frame stands alone/,
  },
  {
    name: 'of a moment next to a key frame that would be jumped to',
    bytes: () => clip({ source: pictures(40, 10), extension: 'mp4', options: x264('bframes=3') }),
    look: 'key frames far apart',
    reason: /very close to a key frame/,
  },
  { name: 'of all frames', bytes: () => common, look: 'every frame', reason: /nearly all/ },
  {
    name: 'of what is encrypted',
    bytes: () => coded(x264('', ...encrypted)),
    reason: /sinf|saiz|senc|neither/,
  },
  {
    name: 'where an edit leaves the beginning out',
    bytes: () => changed(common, 'elst', 12, (from) => from + 5120),
    reason: /edit list leaves pictures out/,
  },
  {
    name: 'where an edit leaves the end out',
    bytes: () => changed(common, 'elst', 8, (lasts) => lasts - 500),
    reason: /edit list leaves pictures out/,
  },
  {
    name: 'where an edit changes the speed',
    bytes: () => changed(common, 'elst', 16, (rate) => rate / 2),
    reason: /changes the speed/,
  },
  {
    name: 'where the size in the index is not that of the pictures',
    bytes: () => changed(common, 'stsd', 40, (size) => size + 1),
    reason: /disagree/,
  },
  {
    name: 'where samples last longer than the track',
    bytes: () =>
      ['mvhd', 'mdhd'].reduce((bytes, type) => changed(bytes, type, 16, (ticks) => ticks / 2), common),
    reason: /do not last as long/,
  },
];

describe('there is no excerpt', () => {
  for (const { name, bytes, look = 'five frames', reason } of refusals) {
    test(name, async () => {
      await withVideo(await bytes(), async (video) => {
        const excerpt = await excerptOf(video.index, { ...video, ...selectionOf(video, looks[look]) });
        assert.match('reason' in excerpt ? excerpt.reason : `${excerpt.samples} samples`, reason);
      });
    });
  }
});
