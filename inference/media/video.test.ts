import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ServiceError } from '../errors.ts';
import { clip, inTemporaryFolder, remuxed, tone, transcode } from '../testing/media.ts';
import type { FfmpegExit } from './media-program.ts';
import { type Sampling, stretchesOf } from './sampling.ts';
import { sniffMedia } from './sniff.ts';
import { type Frame, type FrameSelection, framesOf, type OpenedVideo, openVideo } from './video.ts';

const hasCode =
  (code: string, message = /./) =>
  (error: unknown) =>
    error instanceof ServiceError && error.code === code && message.test(error.message);

interface Reading {
  readonly sampling?: Sampling;
  readonly selection?: Partial<FrameSelection>;
  readonly maxSeconds?: number;
  readonly maxPixels?: number;
  readonly signal?: AbortSignal;
  readonly onFrame?: (frame: Frame) => void;
}

interface Watched {
  readonly video: OpenedVideo | undefined;
  readonly frames: readonly Frame[];
  readonly exits: readonly FfmpegExit[];
}

const shape = { width: 16, height: 16, fit: 'fill', interpolation: 'area' } as const;
const uniform = (frames: number): Sampling => ({ mode: 'uniform', frames });

/** Decodes as a request does. `exits` is filled whatever happens. */
async function read(bytes: Uint8Array, reading: Reading = {}, exits: FfmpegExit[] = []): Promise<Watched> {
  const { sampling = uniform(4), maxSeconds = 60, maxPixels = 1e6, selection } = reading;
  const { signal = new AbortController().signal } = reading;
  return inTemporaryFolder(async (folder) => {
    const path = join(folder, 'upload');
    await writeFile(path, bytes);
    const media = await sniffMedia({ path });
    assert.ok(media.kind === 'video', JSON.stringify(media));
    const limits = { maxSeconds, maxPixels, decoderThreads: 1 };
    const onExit = (exit: FfmpegExit) => void exits.push(exit);
    const request = { path, ...media, limits, signal, onExit };
    const video = await openVideo(request);
    const frames: Frame[] = [];
    if (video === undefined) return { video, frames, exits };
    const stretches = stretchesOf(sampling, video.durationSeconds, video.frameCount);
    const chosen = { stretches, shape, keyframesOnly: false, reachesEnd: true, ...selection };
    for await (const frame of framesOf(video, chosen, request)) {
      frames.push(frame);
      reading.onFrame?.(frame);
    }
    assert.deepEqual(await readdir(folder), ['upload'], 'nothing but the upload is written');
    return { video, frames, exits };
  });
}

/** Red, green and blue at a relative position of a frame. */
function colourAt({ raster: { data, width, height } }: Frame, x: number, y: number): readonly number[] {
  const at = 3 * (Math.floor(y * height) * width + Math.floor(x * width));
  return [...data.subarray(at, at + 3)];
}

function assertClose(actual: readonly number[], expected: readonly number[], tolerance: number): void {
  assert.ok(
    actual.length === expected.length &&
      actual.every((value, index) => Math.abs(value - (expected[index] ?? NaN)) <= tolerance),
    `${actual} is not ${expected} +- ${tolerance}`,
  );
}

/** Black that becomes white over `seconds`: brightness tells the time of a frame. */
const ramp = (seconds: number, rate = 25) =>
  `color=black:size=64x48:rate=${rate}:duration=${seconds},format=gray,geq=lum='255*T/${seconds}'`;
const momentOf = (frame: Frame, seconds: number) => ((colourAt(frame, 0.5, 0.5)[0] ?? 0) / 255) * seconds;
const noRange = ['-pix_fmt', 'yuv420p'];
const mp4 = ['-c:v', 'libx264', '-preset', 'ultrafast', ...noRange];

const smooth = await clip({ source: ramp(8), extension: 'mp4', options: mp4, soundSeconds: 8 });
const containers = [
  { extension: 'mp4', mime: 'video/mp4', options: mp4, processes: 1 },
  { extension: 'mov', mime: 'video/quicktime', options: mp4 },
  { extension: 'mkv', mime: 'video/matroska', options: mp4 },
  { extension: 'webm', mime: 'video/webm', options: ['-c:v', 'libvpx', '-b:v', '1M', ...noRange] },
  { extension: 'avi', mime: 'video/vnd.avi', options: ['-c:v', 'mpeg4', '-q:v', '2', ...noRange] },
];

describe('video', () => {
  for (const { extension, mime, options, processes = 2 } of containers) {
    test(`of ${extension} gives frames of the moments that were asked for`, async () => {
      const bytes = await clip({ source: ramp(4), extension, options, soundSeconds: 4 });
      await inTemporaryFolder(async (folder) => {
        await writeFile(join(folder, 'x'), bytes);
        assert.equal(((await sniffMedia({ path: join(folder, 'x') })) as { mime: string }).mime, mime);
      });
      const { video, frames, exits } = await read(bytes);
      assert.ok(video !== undefined);
      assertClose(
        [video.durationSeconds, video.frameCount, video.picture.framesPerSecond],
        [4, 100, 25],
        1.5,
      );
      assert.equal(video.sound?.channels, 1);
      assert.deepEqual(
        frames.map(({ index, raster }) => [index, raster.data.length]),
        [0, 1, 2, 3].map((index) => [index, 768]),
      );
      assertClose(
        frames.map((frame) => momentOf(frame, 4)),
        frames.map(({ seconds }) => seconds),
        0.15,
      );
      assert.deepEqual(exits, Array(processes).fill('ok'));
    });

    test(`of ${extension} that is cut in half is called corrupt`, async () => {
      const source = 'testsrc2=size=320x240:rate=25:duration=4';
      const bytes = await clip({ source, extension, options, soundSeconds: 4 });
      await assert.rejects(read(bytes.subarray(0, bytes.length / 2)), hasCode('corrupt_media'));
    });
  }

  test('with its index in front that is cut is called corrupt', async () => {
    const source = 'testsrc2=size=320x240:rate=25:duration=4';
    const bytes = await clip({ source, extension: 'mp4', options: [...mp4, '-movflags', '+faststart'] });
    for (const part of [0.3, 0.6, 0.85]) {
      await assert.rejects(
        read(bytes.subarray(0, bytes.length * part), { sampling: uniform(16) }),
        hasCode('corrupt_media'),
        `${part}`,
      );
    }
  });

  const samplings: { name: string; sampling: Sampling; moments: number[] }[] = [
    { name: 'the middles of equal parts', sampling: uniform(4), moments: [1, 3, 5, 7] },
    {
      name: 'two frames per second',
      sampling: { mode: 'fps', rate: 2, maxFrames: 5 },
      moments: [0, 0.5, 1, 1.5, 2],
    },
    {
      name: 'two windows',
      sampling: { mode: 'windows', startSeconds: 1, seconds: 1, count: 2, framesPerWindow: 2 },
      moments: [1, 1.5, 7, 7.5],
    },
    {
      name: 'frames far apart, which are jumped to',
      sampling: { mode: 'fps', rate: 0.16, maxFrames: 2 },
      moments: [0, 6.25],
    },
  ];
  for (const { name, sampling, moments } of samplings) {
    test(`is looked at in ${name}`, async () => {
      const { frames } = await read(smooth, { sampling });
      assertClose(
        frames.map(({ seconds }) => seconds),
        moments,
        0.02,
      );
      assertClose(
        frames.map((frame) => momentOf(frame, 8)),
        moments,
        0.15,
      );
    });
  }

  test('gives key frames where these are enough', async () => {
    const keyed = await clip({ source: ramp(8), extension: 'mp4', options: [...mp4, '-g', '50'] });
    const { frames } = await read(keyed, { selection: { keyframesOnly: true } });
    assertClose(
      frames.map((frame) => momentOf(frame, 8)),
      [0, 2, 4, 6],
      0.15,
    );
  });

  test('of few frames gives each once', async () => {
    const bytes = await clip({ source: ramp(0.2), extension: 'mp4', options: mp4 });
    const { frames } = await read(bytes, { sampling: uniform(16) });
    assert.equal(frames.length, 5);
    assertClose(
      frames.map((frame) => momentOf(frame, 0.2)),
      [0, 0.04, 0.08, 0.12, 0.16],
      0.01,
    );
  });

  test('of a single frame gives it', async () => {
    const bytes = await clip({ source: ramp(0.04), extension: 'mp4', options: mp4 });
    assert.equal((await read(bytes)).frames.length, 1);
  });

  test('of a variable frame rate gives what is on display', async () => {
    const source = `${ramp(8)},select='lt(t,2)+eq(n,100)+gt(t,6)'`;
    const bytes = await clip({ source, extension: 'mp4', options: [...mp4, '-vsync', 'vfr'] });
    const { frames } = await read(bytes, { sampling: { mode: 'fps', rate: 1, maxFrames: 8 } });
    assertClose(
      frames.map((frame) => momentOf(frame, 8)),
      [0, 1, 1.96, 1.96, 4, 4, 4, 7],
      0.2,
    );
  });

  test('without a declared length is measured', async () => {
    const options = ['-c:v', 'libvpx', '-b:v', '1M', ...noRange, '-live', '1'];
    const { video, frames } = await read(await clip({ source: ramp(4), extension: 'webm', options }));
    assertClose([video?.durationSeconds ?? 0], [4], 0.1);
    assertClose(
      frames.map((frame) => momentOf(frame, 4)),
      [0.5, 1.5, 2.5, 3.5],
      0.15,
    );
  });

  const quadrants = `color=red:size=64x32:rate=10:duration=1,drawbox=x=32:w=32:h=32:color=blue:t=fill`;
  for (const degrees of [0, 90, 180, 270] as const) {
    test(`that is to be turned by ${degrees} degrees is upright`, async () => {
      const stored = await clip({ source: quadrants, extension: 'mp4', options: mp4 });
      const { video, frames } = await read(await turned(stored, degrees));
      const lies = degrees % 180 === 90;
      assert.deepEqual(video && [video.picture.rotation, video.picture.width], [degrees, lies ? 32 : 64]);
      const [frame] = frames;
      assert.ok(frame !== undefined);
      const redAt = { 0: [0.2, 0.5], 90: [0.5, 0.2], 180: [0.8, 0.5], 270: [0.5, 0.8] }[degrees];
      assertClose(colourAt(frame, redAt[0] ?? 0, redAt[1] ?? 0), [254, 0, 0], 6);
    });
  }

  for (const range of ['tv', 'pc'] as const) {
    test(`of the colour range "${range}" has black at 0 and white at 255`, async () => {
      const source = `color=black:size=64x32:rate=10:duration=1,drawbox=x=32:w=32:h=32:color=white:t=fill,scale=out_range=${range},format=yuv420p`;
      const { video, frames } = await read(
        await clip({ source, extension: 'mp4', options: [...mp4, '-color_range', range] }),
      );
      assert.equal(video?.picture.colourRange, range === 'pc' ? 'full' : 'unspecified');
      const [frame] = frames;
      assert.ok(frame !== undefined);
      assertClose([...colourAt(frame, 0.1, 0.5), ...colourAt(frame, 0.9, 0.5)], [0, 0, 0, 255, 255, 255], 2);
    });
  }

  const fits = [
    { fit: 'fill', edge: [254, 0, 0], corner: [254, 0, 0] },
    { fit: 'cover', edge: [254, 0, 0], corner: [254, 0, 0] },
    { fit: 'contain', edge: [254, 0, 0], corner: [0, 0, 0] },
  ] as const;
  for (const { fit, edge, corner } of fits) {
    test(`gets its size by "${fit}"`, async () => {
      const bytes = await clip({ source: quadrants, extension: 'mp4', options: mp4 });
      const { frames } = await read(bytes, { selection: { shape: { ...shape, fit } } });
      const [frame] = frames;
      assert.ok(frame !== undefined);
      assertClose(colourAt(frame, 0.1, 0.5), edge, 6);
      assertClose(colourAt(frame, 0.1, 0.05), corner, 6);
    });
  }

  test('hands its sound over from the same process', async () => {
    let samples = new Float32Array();
    const sound = {
      track: 1,
      sampleRateHz: 16_000,
      maxSeconds: 60,
      onSamples: (all: Float32Array) => {
        samples = Float32Array.from(all);
      },
    };
    const { frames, exits } = await read(smooth, { selection: { sound } });
    assert.equal(frames.length, 4);
    assert.deepEqual(exits, ['ok']);
    assertClose(
      [samples.length / 16_000, samples.reduce((most, sample) => Math.max(most, sample), 0)],
      [8, 0.125],
      0.1,
    );
  });

  test('of Matroska may end long before its sound', async () => {
    const bytes = await clip({ source: ramp(0.2), extension: 'mkv', options: mp4, soundSeconds: 3 });
    const { video, frames } = await read(bytes, { sampling: uniform(2) });
    assertClose([video?.durationSeconds ?? NaN], [0.2], 0.1);
    assert.equal(frames.length, 2);
  });

  test('without pictures has no frames', async () => {
    const { video } = await read(await transcode(tone({ seconds: 1 }), 'mkv'));
    assert.equal(video, undefined);
  });
});

/** The same pictures with a note that a player has to turn them. */
async function turned(bytes: Buffer, degrees: number): Promise<Buffer> {
  const rotated = Buffer.from(bytes);
  const header = rotated.indexOf('tkhd');
  const matrix =
    { 0: [1, 0, 0, 1], 90: [0, 1, -1, 0], 180: [-1, 0, 0, -1], 270: [0, -1, 1, 0] }[degrees] ?? [];
  for (const [order, at] of [0, 4, 12, 16].entries())
    rotated.writeInt32BE((matrix[order] ?? 0) * 65_536, header + 44 + at);
  return rotated;
}

/** Writes a length in the header's own units (ms) into the boxes that declare it. */
function declaring(bytes: Buffer, factor: number): Buffer {
  const liar = Buffer.from(bytes);
  for (const [box, at] of [
    ['mvhd', 20],
    ['tkhd', 24],
    ['mdhd', 20],
  ] as const) {
    const field = liar.indexOf(box) + at;
    liar.writeUInt32BE(Math.round(liar.readUInt32BE(field) * factor), field);
  }
  return liar;
}

describe('hostile video', () => {
  test('of too many pixels is refused before it is decoded', async () => {
    const exits: FfmpegExit[] = [];
    await assert.rejects(
      read(smooth, { maxPixels: 3000 }, exits),
      hasCode('video_too_large', /64x48 pixels; the limit is 3000/),
    );
    assert.deepEqual(exits, []);
  });

  test('that is too long is refused before it is decoded', async () => {
    await assert.rejects(
      read(smooth, { maxSeconds: 5 }),
      hasCode('media_too_long', /lasts 8\.0 s; the limit is 5 s/),
    );
  });

  test('of no declared length that is too long is refused', async () => {
    const options = ['-c:v', 'libvpx', '-b:v', '1M', ...noRange, '-live', '1'];
    const endless = await clip({ source: ramp(4), extension: 'webm', options });
    await assert.rejects(read(endless, { maxSeconds: 2 }), hasCode('media_too_long', /limit is 2 s/));
  });

  test('that ends before its declared end is called corrupt', async () => {
    const bytes = await clip({ source: ramp(2), extension: 'mkv', options: mp4 });
    const at = bytes.indexOf(Buffer.from('00:00:02.'));
    bytes.write('00:00:20.', at);
    await assert.rejects(read(bytes), hasCode('corrupt_media', /there is no frame at .* declares 20/));
  });

  test('that goes on after its declared end is called corrupt', async () => {
    const keyed = await clip({ source: ramp(8), extension: 'mp4', options: [...mp4, '-g', '25'] });
    await assert.rejects(read(declaring(keyed, 0.25)), hasCode('corrupt_media', /goes on after the 2\.0 s/));
  });

  test('whose pictures change their size is called corrupt, with and without the limit', async () => {
    const small = await clip({
      source: 'testsrc2=size=64x48:rate=10:duration=1',
      extension: 'h264',
      options: mp4,
    });
    const large = await clip({
      source: 'testsrc2=size=640x480:rate=10:duration=1',
      extension: 'h264',
      options: mp4,
    });
    const grown = await inTemporaryFolder(async (folder) => {
      await writeFile(join(folder, 'in.h264'), Buffer.concat([small, large]));
      return remuxed(join(folder, 'in.h264'), join(folder, 'out.mp4'));
    });
    await assert.rejects(read(grown, { maxPixels: 100_000 }), hasCode('corrupt_media'));
    await assert.rejects(read(grown), hasCode('corrupt_media', /size of its pictures changes/));
  });

  test('of a codec that is not on the list is called unsupported', async () => {
    const source = 'testsrc2=size=64x48:rate=10:duration=1';
    await assert.rejects(
      read(await clip({ source, extension: 'avi', options: ['-c:v', 'wmv2'] })),
      hasCode('unsupported_media', /codec that is not decoded here .*whitelist/),
    );
  });

  test('is left alone in the middle when its request goes', async () => {
    const leaving = new AbortController();
    const exits: FfmpegExit[] = [];
    const reading = { signal: leaving.signal, onFrame: () => leaving.abort(new Error('gone')) };
    const sampling = { mode: 'fps', rate: 25, maxFrames: 200 } as const;
    const large = { ...shape, width: 512, height: 512 };
    await assert.rejects(read(smooth, { ...reading, sampling, selection: { shape: large } }, exits), /gone/);
    assert.deepEqual(exits, ['aborted']);
    assert.deepEqual(await runningDecoders(), []);
  });

  test('costs no process when its request is gone before', async () => {
    const exits: FfmpegExit[] = [];
    await assert.rejects(read(smooth, { signal: AbortSignal.abort(new Error('gone')) }, exits), /gone/);
    assert.deepEqual(exits, []);
  });

  test('leaves no process behind when its frames are no longer wanted', async () => {
    const onFrame = () => {
      throw new Error('enough');
    };
    const exits: FfmpegExit[] = [];
    await assert.rejects(read(smooth, { onFrame }, exits), /enough/);
    assert.deepEqual(exits, ['aborted']);
    assert.deepEqual(await runningDecoders(), []);
  });
});

/** Command lines of ffmpeg processes that this process has started and that are still there. */
async function runningDecoders(): Promise<string[]> {
  const children = await readFile(`/proc/self/task/${process.pid}/children`, 'utf8').catch(() => '');
  const lines = await Promise.all(
    children.split(' ').map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
  );
  return lines.filter((line) => line.includes('ffmpeg'));
}
