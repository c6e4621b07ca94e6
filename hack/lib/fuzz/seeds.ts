/** Small valid files of every type that the pod reads, the same in every run of the same ffmpeg and libvips. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import sharp from 'sharp';
import { inTemporaryFolder, tone, transcode } from '../../../inference/testing/media.ts';
import { randomBytes, seededRandom } from '../../../test/hostile/bytes.ts';
import type { Container } from '../../../test/hostile/structure.ts';
import type { Kind, SeedFile } from './cases.ts';

const run = promisify(execFile);

/** No times, random numbers or names of programs in what ffmpeg writes. */
const reproducible = ['-fflags', '+bitexact', '-flags', '+bitexact', '-map_metadata', '-1', '-threads', '1'];
const width = 64;
const height = 48;

export async function seedFiles(): Promise<SeedFile[]> {
  return [...(await images()), ...(await sounds()), ...(await videos())];
}

/** Tells whether two runs began with the same files: 12 hexadecimal digits. */
export function digestOf(seeds: readonly SeedFile[]): string {
  const hash = createHash('sha256');
  for (const { name, bytes } of seeds) hash.update(`${name} ${bytes.length} `).update(bytes);
  return hash.digest('hex').slice(0, 12);
}

function fileOf(kind: Kind, name: string, container: Container, bytes: Buffer): SeedFile {
  return { kind, name, container, bytes };
}

async function images(): Promise<SeedFile[]> {
  const image = (name: string, container: Container, bytes: Buffer) =>
    fileOf('image', name, container, bytes);
  const picture = () => sharp(pixels(3), { raw: { width, height, channels: 3 } });
  const withAlpha = () => sharp(pixels(4), { raw: { width, height, channels: 4 } });
  const animation = () => sharp(pixels(3), { raw: { width, height, channels: 3, pageHeight: height / 2 } });
  const described = picture()
    .withExif({ IFD0: { Copyright: 'nobody' } })
    .withMetadata({ orientation: 6 });
  return [
    image('jpeg', 'jpeg', await picture().jpeg().toBuffer()),
    image('jpeg-exif', 'jpeg', await described.jpeg().toBuffer()),
    image('jpeg-icc', 'jpeg', await picture().withIccProfile('p3').jpeg().toBuffer()),
    image('jpeg-progressive', 'jpeg', await picture().jpeg({ progressive: true }).toBuffer()),
    image('jpeg-gray', 'jpeg', await picture().toColourspace('b-w').jpeg().toBuffer()),
    image('jpeg-cmyk', 'jpeg', await picture().toColourspace('cmyk').jpeg().toBuffer()),
    image('png', 'png', await picture().png().toBuffer()),
    image('png-alpha', 'png', await withAlpha().png().toBuffer()),
    image('png-palette', 'png', await picture().png({ palette: true, colours: 16 }).toBuffer()),
    image('png-interlaced', 'png', await picture().png({ progressive: true }).toBuffer()),
    image('png-16-bit', 'png', await picture().toColourspace('rgb16').png().toBuffer()),
    image('apng', 'png', await clip('apng', 'apng', ['-plays', '0'])),
    image('webp', 'riff', await picture().webp().toBuffer()),
    image('webp-alpha', 'riff', await withAlpha().webp().toBuffer()),
    image('webp-lossless', 'riff', await picture().webp({ lossless: true }).toBuffer()),
    image(
      'webp-animated',
      'riff',
      await animation()
        .webp({ delay: [50, 50] })
        .toBuffer(),
    ),
    image('gif', 'gif', await picture().gif().toBuffer()),
    image(
      'gif-animated',
      'gif',
      await animation()
        .gif({ delay: [50, 50] })
        .toBuffer(),
    ),
    image('avif', 'iso', await picture().avif({ effort: 0 }).toBuffer()),
    image('avif-alpha', 'iso', await withAlpha().avif({ effort: 0 }).toBuffer()),
  ];
}

/** Waves with noise, which every format keeps some of. */
function pixels(channels: number): Buffer {
  const noise = randomBytes(width * height * channels, seededRandom(channels));
  return Buffer.from(noise.map((value, at) => 96 + 64 * Math.sin(at / 90) + value / 4));
}

async function sounds(): Promise<SeedFile[]> {
  const wav = tone({ seconds: 1.3, shape: 'square', sampleRate: 16_000 });
  const stereo = tone({ seconds: 1.3, shape: 'square', sampleRate: 8000, channels: 2 });
  const formats: [name: string, extension: string, container: Container, options: readonly string[]][] = [
    ['wav-adpcm', 'wav', 'riff', ['-c:a', 'adpcm_ms']],
    ['flac', 'flac', 'flac', []],
    ['mp3', 'mp3', 'mp3', ['-b:a', '32k']],
    ['vorbis', 'ogg', 'ogg', []],
    ['opus', 'opus', 'ogg', ['-b:a', '24k']],
    ['m4a', 'm4a', 'iso', []],
    ['m4a-alac', 'm4a', 'iso', ['-c:a', 'alac']],
  ];
  const encoded = formats.map(async ([name, extension, container, options]) =>
    fileOf('audio', name, container, await transcode(wav, extension, [...options, ...reproducible])),
  );
  return [
    fileOf('audio', 'wav', 'riff', wav),
    fileOf('audio', 'wav-stereo', 'riff', stereo),
    ...(await Promise.all(encoded)),
  ];
}

async function videos(): Promise<SeedFile[]> {
  const h264 = ['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p'];
  const formats: [name: string, extension: string, container: Container, options: readonly string[]][] = [
    ['mp4', 'mp4', 'iso', h264],
    ['mp4-fragmented', 'mp4', 'iso', [...h264, '-movflags', 'frag_keyframe+empty_moov']],
    [
      'mp4-hevc',
      'mp4',
      'iso',
      ['-c:v', 'libx265', '-x265-params', 'log-level=none:pools=1', '-pix_fmt', 'yuv420p'],
    ],
    ['mov', 'mov', 'iso', ['-c:v', 'mpeg4']],
    ['mov-mjpeg', 'mov', 'iso', ['-c:v', 'mjpeg', '-pix_fmt', 'yuvj420p']],
    ['mkv', 'mkv', 'matroska', h264],
    ['webm', 'webm', 'matroska', ['-c:v', 'libvpx', '-deadline', 'realtime']],
    ['webm-vp9', 'webm', 'matroska', ['-c:v', 'libvpx-vp9', '-deadline', 'realtime', '-cpu-used', '8']],
    ['avi', 'avi', 'riff', ['-c:v', 'mpeg4']],
  ];
  const sound = ['-f', 'lavfi', '-i', 'sine=300:duration=1:sample_rate=16000'];
  return Promise.all(
    formats.map(async ([name, extension, container, options]) =>
      fileOf('video', name, container, await clip(extension, undefined, options, sound)),
    ),
  );
}

/** A second of moving pictures. */
function clip(
  extension: string,
  format: string | undefined,
  options: readonly string[],
  sound: readonly string[] = [],
): Promise<Buffer> {
  const source = `testsrc=size=${width}x${height}:rate=8:duration=1`;
  return inTemporaryFolder(async (folder) => {
    const output = join(folder, `out.${extension}`);
    const container = format === undefined ? [] : ['-f', format];
    const inputs = ['-f', 'lavfi', '-i', source, ...sound];
    const args = ['-v', 'error', '-nostdin', ...inputs, ...options, ...reproducible, ...container, output];
    await run('ffmpeg', args);
    return readFile(output);
  });
}
