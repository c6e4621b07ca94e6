/** Builds small, valid packages of the families that follow the main face of a video. */
import { faceClip } from './face-packages.ts';
import { meanGraph } from './onnx.ts';
import { type PackageOverrides, writePackage } from './packages.ts';

type Overrides = PackageOverrides & { readonly pipeline?: Readonly<Record<string, unknown>> };

const golden = () => faceClip([{ x: '100', y: '40', side: 300 }]);

/** A package whose score rises with the number of colours that a face has: 0.5 where the mean of the histograms is 8. */
export async function writeColourCuesPackage(directory: string, overrides: Overrides = {}): Promise<string> {
  return writePackage(
    directory,
    overrides,
    {
      graph: meanGraph({ input: 'histograms', itemShape: [4, 8, 8], centre: 8, gain: 0.5 }),
      golden: await golden(),
      goldenFile: 'golden/face.mp4',
      goldenScore: 0.229,
    },
    {
      modality: 'video',
      pipeline: {
        type: 'video-colour-cues',
        sampling: { mode: 'uniform', frames: 8 },
        maxFrameSide: 640,
        minFaceSide: 20,
        margin: 5,
        bins: 8,
        sequence: 4,
        stride: 1,
        maxWindows: 64,
        rollingWindows: 2,
        aggregation: 'mean-logit',
        ...overrides.pipeline,
      },
      input: 'histograms',
    },
  );
}

/** A package whose score rises with the brightness around eyes: white is FAKE (0.98). All eyes of the test's faces count as closed. */
export async function writeEyeBlinkPackage(directory: string, overrides: Overrides = {}): Promise<string> {
  return writePackage(
    directory,
    overrides,
    {
      graph: meanGraph({ input: 'eyes', itemShape: [4, 3, 16, 16], centre: 0, gain: 4 }),
      golden: await golden(),
      goldenFile: 'golden/face.mp4',
      goldenScore: 0.767,
    },
    {
      modality: 'video',
      pipeline: {
        type: 'video-eye-blink',
        sampling: { mode: 'fps', rate: 15, maxFrames: 150 },
        maxFrameSide: 640,
        minFaceSide: 20,
        blinks: { threshold: { mode: 'fixed', ear: 0.6 }, minFrames: 2 },
        eyes: { size: 16, margin: 5 },
        pixels: { channels: 'rgb', layout: 'nchw', mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
        sequence: 4,
        stride: 1,
        maxWindows: 64,
        aggregation: 'mean-logit',
        ...overrides.pipeline,
      },
      input: 'eyes',
    },
  );
}
