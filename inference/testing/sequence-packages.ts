/** Builds small, valid packages of the families with several graphs. */
import { clip } from './media.ts';
import { type PackageOverrides, writePackage } from './packages.ts';
import { brightnessEncoderGraph, jointHeadGraph, loudnessGraph, meanHeadGraph } from './sequence-graphs.ts';

type Overrides = PackageOverrides & { readonly pipeline?: Readonly<Record<string, unknown>> };

const side = 16;
const width = 3;
const pictures = {
  frame: { width: side, height: side, fit: 'fill', interpolation: 'area' },
  pixels: { channels: 'rgb', layout: 'nchw', mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
};
const encoder = { bytes: brightnessEncoderGraph(side, width), input: 'frames', output: 'features' };
const sequence = 4;

/** The score rises with the brightness of the four frames that are judged together: black is REAL (0.02), white is FAKE (0.98). */
export async function writeTemporalPackage(directory: string, overrides: Overrides = {}): Promise<string> {
  const golden = await clip({ source: 'color=white:size=64x64:rate=10:duration=1', extension: 'mp4' });
  return writePackage(
    directory,
    overrides,
    {
      graph: meanHeadGraph(sequence, width, 4),
      others: { encoder },
      golden,
      goldenFile: 'golden/white.mp4',
      goldenScore: 0.982,
    },
    {
      modality: 'video',
      pipeline: {
        type: 'video-temporal',
        sampling: { mode: 'uniform', frames: 64 },
        ...pictures,
        sequence,
        windows: 5,
        rollingWindows: 2,
        minFrames: 3,
        ...overrides.pipeline,
      },
      input: 'features',
    },
  );
}

/**
 * The logit is four times the brightness (-1 to 1) where there are pictures, four times the loudness (0 to 1) where there is sound, and 0.5
 * less for each of both that is there.
 */
export async function writeVideoAudioPackage(directory: string, overrides: Overrides = {}): Promise<string> {
  const golden = await clip({
    source: 'color=white:size=64x64:rate=10:duration=1',
    extension: 'mkv',
    options: ['-c:v', 'libx264', '-c:a', 'pcm_s16le', '-af', 'volume=0'],
    soundSeconds: 1,
  });
  const windows = 2;
  const graph = jointHeadGraph({
    frames: [sequence, width],
    sound: [windows, 2],
    gains: { frames: 4, sound: 4, presence: [-0.5, -0.5] },
  });
  return writePackage(
    directory,
    { ...overrides, graph: { joint: { sound: 'sound', presence: 'presence' }, ...overrides.graph } },
    {
      graph,
      others: {
        encoder,
        audio: { bytes: loudnessGraph(4000, 2), input: 'samples', output: 'loudness' },
      },
      golden,
      goldenFile: 'golden/white.mkv',
      // 4 - 0.5 - 0.5: silence counts nothing.
      goldenScore: 0.953,
    },
    {
      modality: 'video',
      pipeline: {
        type: 'video-audio',
        frames: sequence,
        ...pictures,
        sound: { sampleRate: 8000, windowSeconds: 0.5, windows, maxSeconds: 60 },
        requires: [],
        ...overrides.pipeline,
      },
      input: 'frames',
    },
  );
}
