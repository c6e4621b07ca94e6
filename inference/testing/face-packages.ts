/** Builds small, valid packages of the families that judge faces, and videos in which faces move. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { clip } from './media.ts';
import { meanGraph } from './onnx.ts';
import { type PackageOverrides, writePackage } from './packages.ts';

type Overrides = PackageOverrides & { readonly pipeline?: Readonly<Record<string, unknown>> };

/** A portrait: 512 x 512 px, with one face of about 105 px around (226, 119). */
export const portrait = fileURLToPath(
  new URL('../../test/fixtures/media/photograph-real.jpg', import.meta.url),
);

export interface MovingFace {
  /** Of the portrait's upper left corner, in pixels of the video; expressions of ffmpeg, which know the time as `t`. */
  readonly x: string;
  readonly y: string;
  /** Of the portrait in pixels; its face has a fifth of it. */
  readonly side: number;
  /** When it is there; default: always. */
  readonly when?: string;
  /** Added to its brightness, -1..1. */
  readonly brightness?: number;
}

/** A gray video of 640 x 360 px, 2 s at 10 frames a second, with portraits on it. */
export async function faceClip(faces: readonly MovingFace[], extension = 'mp4'): Promise<Buffer> {
  const background = 'color=gray:size=640x360:rate=10:duration=2[picture0]';
  const layers = faces.map(({ x, y, side, when = '1', brightness = 0 }, index) =>
    [
      `movie='${portrait}',scale=${side}:${side},eq=brightness=${brightness}[face${index}]`,
      `[picture${index}][face${index}]overlay=x='${x}':y='${y}':enable='${when}':eof_action=repeat[picture${index + 1}]`,
    ].join(';'),
  );
  const source = [background, ...layers, `[picture${faces.length}]format=yuv420p`].join(';');
  return clip({ source, extension, options: ['-c:v', 'libx264', '-preset', 'ultrafast'] });
}

const crops = {
  faces: { max: 4, minSide: 20 },
  crop: { width: 32, height: 32, margin: 0, fit: 'stretch' },
  pixels: { channels: 'rgb', layout: 'nchw', mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
} as const;

function brightnessGraph(): Uint8Array {
  return meanGraph({ input: 'faces', itemShape: [3, 32, 32], centre: 0, gain: 8 });
}

/** A package whose score rises with the brightness of the faces in a video. */
export async function writeVideoFacesPackage(directory: string, overrides: Overrides = {}): Promise<string> {
  return writePackage(
    directory,
    overrides,
    {
      graph: brightnessGraph(),
      golden: await faceClip([{ x: '100', y: '40', side: 300 }]),
      goldenFile: 'golden/face.mp4',
      goldenScore: 0.738,
    },
    {
      modality: 'video',
      pipeline: {
        type: 'video-faces',
        sampling: { mode: 'uniform', frames: 5 },
        maxFrameSide: 1280,
        ...crops,
        minFrames: 2,
        aggregation: 'mean-logit',
        ...overrides.pipeline,
      },
      input: 'faces',
    },
  );
}

/** A package whose score rises with the brightness of the brightest face of an image. */
export async function writeImageFacesPackage(directory: string, overrides: Overrides = {}): Promise<string> {
  return writePackage(
    directory,
    overrides,
    {
      graph: brightnessGraph(),
      golden: await readFile(portrait),
      goldenFile: 'golden/face.jpg',
      goldenScore: 0.762,
    },
    {
      modality: 'image',
      pipeline: { type: 'image-faces', ...crops, ...overrides.pipeline },
      input: 'faces',
    },
  );
}
