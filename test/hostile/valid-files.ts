/** Small valid files of every format that the pod reads: what the hostile ones are made from. */
import sharp from 'sharp';
import { flatImage, noiseImage, tone, transcode } from '../../inference/testing/media.ts';
import type { Container } from './structure.ts';

export interface ValidFile {
  readonly bytes: Buffer;
  readonly container: Container;
  readonly kind: 'image' | 'audio' | 'video';
}

export type ValidFiles = Readonly<Record<keyof Awaited<ReturnType<typeof makeImages>>, ValidFile>> &
  Readonly<Record<keyof Awaited<ReturnType<typeof makeSounds>>, ValidFile>> &
  Readonly<Record<keyof Awaited<ReturnType<typeof makeVideos>>, ValidFile>>;

const speech = tone({ seconds: 2, shape: 'square', sampleRate: 16_000 });
const pictures = [
  '-f',
  'lavfi',
  '-i',
  'testsrc=size=160x160:rate=10:duration=1',
  '-pix_fmt',
  'yuv420p',
  '-shortest',
];

export async function validFiles(): Promise<ValidFiles> {
  return { ...(await makeImages()), ...(await makeSounds()), ...(await makeVideos()) };
}

async function makeImages() {
  const noise = await noiseImage(160, 160, 'png');
  const image = (bytes: Buffer, container: Container) => ({ bytes, container, kind: 'image' }) as const;
  const frames = sharp(await sharp(noise).raw().toBuffer(), {
    raw: { width: 160, height: 160, channels: 3, pageHeight: 80 },
  });
  return {
    jpeg: image(await sharp(noise).withMetadata({ orientation: 6 }).jpeg().toBuffer(), 'jpeg'),
    progressive: image(await sharp(noise).jpeg({ progressive: true }).toBuffer(), 'jpeg'),
    png: image(noise, 'png'),
    palette: image(await sharp(noise).png({ palette: true, colours: 16 }).toBuffer(), 'png'),
    webp: image(await sharp(noise).webp().toBuffer(), 'riff'),
    lossless: image(await sharp(noise).webp({ lossless: true }).toBuffer(), 'riff'),
    animation: image(
      await frames
        .clone()
        .webp({ delay: [50, 50] })
        .toBuffer(),
      'riff',
    ),
    gif: image(
      await frames
        .clone()
        .gif({ delay: [50, 50] })
        .toBuffer(),
      'gif',
    ),
    avif: image(await flatImage({ width: 160, height: 160, level: 90, format: 'avif' }), 'iso'),
  };
}

async function makeSounds() {
  const sound = (bytes: Buffer, container: Container) => ({ bytes, container, kind: 'audio' }) as const;
  return {
    wav: sound(speech, 'riff'),
    flac: sound(await transcode(speech, 'flac'), 'flac'),
    mp3: sound(await transcode(speech, 'mp3'), 'mp3'),
    ogg: sound(await transcode(speech, 'ogg'), 'ogg'),
    opus: sound(await transcode(speech, 'opus'), 'ogg'),
    m4a: sound(await transcode(speech, 'm4a'), 'iso'),
  };
}

async function makeVideos() {
  const video = (bytes: Buffer, container: Container) => ({ bytes, container, kind: 'video' }) as const;
  return {
    mp4: video(await transcode(speech, 'mp4', [...pictures, '-c:v', 'libx264']), 'iso'),
    mov: video(await transcode(speech, 'mov', [...pictures, '-c:v', 'mpeg4']), 'iso'),
    mkv: video(await transcode(speech, 'mkv', [...pictures, '-c:v', 'libx264']), 'matroska'),
    webm: video(await transcode(speech, 'webm', [...pictures, '-c:v', 'libvpx']), 'matroska'),
    avi: video(await transcode(speech, 'avi', [...pictures, '-c:v', 'mpeg4']), 'riff'),
  };
}
