/** Makes media files in memory for tests. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import sharp from 'sharp';
import { type SniffedMedia, sniffMedia } from '../media/sniff.ts';

const run = promisify(execFile);

export interface FlatImage {
  readonly width: number;
  readonly height: number;
  /** 0 is black, 255 is white. */
  readonly level: number;
  readonly format: 'png' | 'jpeg' | 'webp' | 'gif' | 'avif';
}

/** An image of one gray. */
export async function flatImage({ width, height, level, format }: FlatImage): Promise<Buffer> {
  const background = { r: level, g: level, b: level };
  return sharp({ create: { width, height, channels: 3, background } })
    .toFormat(format)
    .toBuffer();
}

/** An image of noise, whose file is about as large as its pixels. */
export async function noiseImage(
  width: number,
  height: number,
  format: FlatImage['format'],
): Promise<Buffer> {
  const noise = { type: 'gaussian', mean: 128, sigma: 30 } as const;
  return sharp({ create: { width, height, channels: 3, background: '#000', noise } })
    .toFormat(format)
    .toBuffer();
}

export interface Tone {
  readonly seconds: number;
  readonly shape?: 'sine' | 'square' | 'silence';
  readonly sampleRate?: number;
  readonly channels?: number;
  /** Silence before and after, in seconds. */
  readonly padding?: number;
}

/** A 16-bit WAV file with a 200 Hz tone at half of full scale. */
export function tone({
  seconds,
  shape = 'sine',
  sampleRate = 16_000,
  channels = 1,
  padding = 0,
}: Tone): Buffer {
  const pad = Math.round(padding * sampleRate);
  const frames = Math.round(seconds * sampleRate);
  const data = Buffer.alloc((frames + 2 * pad) * channels * 2);
  for (let frame = 0; frame < frames; frame += 1) {
    const sample = Math.round(16_384 * amplitude(shape, (200 * frame) / sampleRate));
    for (let channel = 0; channel < channels; channel += 1)
      data.writeInt16LE(sample, ((pad + frame) * channels + channel) * 2);
  }
  return Buffer.concat([wavHeader(data.length, sampleRate, channels), data]);
}

/** A mono 16-bit WAV file of samples in [-1, 1]. */
export function wavOf(samples: Float32Array, sampleRate: number): Buffer {
  const data = Buffer.alloc(2 * samples.length);
  for (const [index, sample] of samples.entries())
    data.writeInt16LE(Math.max(-32_768, Math.min(32_767, Math.round(32_768 * sample))), 2 * index);
  return Buffer.concat([wavHeader(data.length, sampleRate, 1), data]);
}

function amplitude(shape: NonNullable<Tone['shape']>, cycles: number): number {
  if (shape === 'silence') return 0;
  return shape === 'sine' ? Math.sin(2 * Math.PI * cycles) : cycles % 1 < 0.5 ? 1 : -1;
}

function wavHeader(dataBytes: number, sampleRate: number, channels: number): Buffer {
  const header = Buffer.alloc(44);
  header.write('RIFF', 0);
  header.writeUInt32LE(36 + dataBytes, 4);
  header.write('WAVEfmt ', 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(channels, 22);
  header.writeUInt32LE(sampleRate, 24);
  header.writeUInt32LE(sampleRate * channels * 2, 28);
  header.writeUInt16LE(channels * 2, 32);
  header.writeUInt16LE(16, 34);
  header.write('data', 36);
  header.writeUInt32LE(dataBytes, 40);
  return header;
}

/** The same sound in another format, encoded by ffmpeg; the extension names the format. */
export async function transcode(
  wav: Buffer,
  extension: string,
  options: readonly string[] = [],
): Promise<Buffer> {
  return inTemporaryFolder(async (folder) => {
    const input = join(folder, 'in.wav');
    const output = join(folder, `out.${extension}`);
    await writeFile(input, wav);
    await run('ffmpeg', ['-v', 'error', '-nostdin', '-i', input, ...options, output]);
    return readFile(output);
  });
}

/** Writes the bytes under a name that says nothing and hands the path on. */
export function asFile<T>(bytes: Uint8Array, action: (path: string) => Promise<T>): Promise<T> {
  return inTemporaryFolder(async (folder) => {
    const path = join(folder, 'upload');
    await writeFile(path, bytes);
    return action(path);
  });
}

/** What the bytes are: the same on disk and in memory. */
export async function sniffedAs(bytes: Uint8Array): Promise<SniffedMedia> {
  const onDisk = await asFile(bytes, (path) => sniffMedia({ path }));
  assert.deepEqual(await sniffMedia({ path: '/nowhere', content: bytes }), onDisk);
  return onDisk;
}

export interface Clip {
  /** A source of ffmpeg's lavfi, such as `testsrc2=size=320x240:rate=30:duration=2`. */
  readonly source: string;
  /** Names the container. */
  readonly extension: string;
  /** Of the output. */
  readonly options?: readonly string[];
  /** Adds a tone of this many seconds. */
  readonly soundSeconds?: number;
}

/** A video, made by ffmpeg. */
export async function clip({ source, extension, options = [], soundSeconds }: Clip): Promise<Buffer> {
  const sound = soundSeconds === undefined ? [] : ['-f', 'lavfi', '-i', `sine=300:duration=${soundSeconds}`];
  return inTemporaryFolder(async (folder) => {
    const output = join(folder, `out.${extension}`);
    const inputs = ['-f', 'lavfi', '-i', source, ...sound];
    await run('ffmpeg', ['-v', 'error', '-nostdin', ...inputs, '-threads', '1', ...options, output]);
    return readFile(output);
  });
}

/** The packets of a file in another container, as they are. */
export async function remuxed(input: string, output: string): Promise<Buffer> {
  await run('ffmpeg', ['-v', 'error', '-nostdin', '-i', input, '-c', 'copy', output]);
  return readFile(output);
}

/** Hands a fresh folder to `action` and removes it afterwards. */
export async function inTemporaryFolder<T>(action: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'deepfake-test-'));
  try {
    return await action(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
