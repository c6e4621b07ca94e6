/** Builds small, valid model packages for tests: brightness stands for fakeness of images, loudness of the waveform for that of sound. */
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { stringify } from 'yaml';
import { itemShapeOf } from '../dsp/normalise.ts';
import { clip, flatImage, tone } from './media.ts';
import { meanGraph } from './onnx.ts';

export interface PackageOverrides {
  /** Sines that slow every inference down. */
  readonly delays?: number;
  /** Merged over the classifier's entry. */
  readonly graph?: Readonly<Record<string, unknown>>;
  /** Merged over the top level of the manifest. */
  readonly manifest?: Readonly<Record<string, unknown>>;
  readonly version?: string;
}

const card = {
  license: 'Apache-2.0',
  status: 'demonstration',
  intendedUse: 'Tests.',
  limitations: 'Knows nothing.',
  trainingData: 'None.',
  evaluation: [
    { dataset: 'none', metric: 'AUC', value: 0.5, low: 0.4, high: 0.6, positives: 10, negatives: 10 },
  ],
};

/** A package whose score rises with the mean of the pixels: black is REAL (0.02), white is FAKE (0.98), middle gray 0.5. */
export async function writeImagePackage(
  directory: string,
  overrides: PackageOverrides = {},
): Promise<string> {
  const delays = overrides.delays ?? 0;
  const graph = meanGraph({
    input: 'pixels',
    itemShape: [3, 256, 256],
    centre: 127.5,
    gain: 4 / 127.5,
    delays,
  });
  const golden = await flatImage({ width: 256, height: 256, level: 255, format: 'png' });
  return writePackage(
    directory,
    overrides,
    { graph, golden, goldenFile: 'golden/white.png', goldenScore: 0.982 },
    {
      modality: 'image',
      pipeline: { type: 'image-residual', crop: 256, tiles: 9, minSide: 128, aggregation: 'mean-logit' },
      input: 'pixels',
    },
  );
}

/** As `writeImagePackage`, but of the family that sees the whole image at one size, 64 px; its heat map is the brightness. */
export async function writeClassifierPackage(
  directory: string,
  overrides: PackageOverrides & { readonly pipeline?: Readonly<Record<string, unknown>> } = {},
): Promise<string> {
  const pipeline = {
    type: 'image-classifier',
    size: { width: 64, height: 64 },
    fit: 'stretch',
    kernel: 'linear',
    decode: 'full',
    channels: 'rgb',
    layout: 'nchw',
    scale: 1 / 255,
    mean: [0.5, 0.5, 0.5],
    std: [0.5, 0.5, 0.5],
    minSide: 16,
    ...overrides.pipeline,
  };
  const itemShape = itemShapeOf(pipeline.size, pipeline.layout === 'nchw' ? 'nchw' : 'nhwc');
  const delays = overrides.delays ?? 0;
  const graph = meanGraph({ input: 'pixels', itemShape, centre: 0, gain: 4, cam: true, delays });
  const golden = await flatImage({ width: 256, height: 256, level: 255, format: 'png' });
  return writePackage(
    directory,
    { ...overrides, graph: { heatmap: 'cam', ...overrides.graph } },
    { graph, golden, goldenFile: 'golden/white.png', goldenScore: 0.982 },
    { modality: 'image', pipeline, input: 'pixels' },
  );
}

/** A package whose score is that of a full-scale square wave (0.98) or of something quieter on average; a sine has about 0.71. */
export async function writeAudioPackage(
  directory: string,
  overrides: PackageOverrides = {},
): Promise<string> {
  const graph = meanGraph({
    input: 'samples',
    itemShape: [32_000],
    centre: 0.475,
    gain: 4 / 0.475,
    absolute: true,
  });
  const golden = tone({ seconds: 3, shape: 'square' });
  return writePackage(
    directory,
    overrides,
    { graph, golden, goldenFile: 'golden/square.wav', goldenScore: 0.982 },
    {
      modality: 'audio',
      pipeline: {
        type: 'audio-spectrogram',
        sampleRate: 16_000,
        windowSeconds: 2,
        hopSeconds: 1,
        minSeconds: 1,
        maxSeconds: 60,
        aggregation: 'mean-logit',
      },
      input: 'samples',
    },
  );
}

/** A package whose score rises with the brightness of the frames: black is REAL (0.02), white is FAKE (0.98). */
export async function writeVideoPackage(
  directory: string,
  overrides: PackageOverrides & { readonly pipeline?: Readonly<Record<string, unknown>> } = {},
): Promise<string> {
  const graph = meanGraph({
    input: 'frames',
    itemShape: [3, 64, 64],
    centre: 0,
    gain: 4,
    delays: overrides.delays ?? 0,
  });
  const golden = await clip({ source: 'color=white:size=64x64:rate=10:duration=1', extension: 'mp4' });
  return writePackage(
    directory,
    overrides,
    { graph, golden, goldenFile: 'golden/white.mp4', goldenScore: 0.982 },
    {
      modality: 'video',
      pipeline: {
        type: 'video-frames',
        sampling: { mode: 'uniform', frames: 8 },
        frame: { width: 64, height: 64, fit: 'fill', interpolation: 'area' },
        pixels: { channels: 'rgb', layout: 'nchw', mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
        keyframesOnly: false,
        minFrames: 4,
        aggregation: 'mean-logit',
        ...overrides.pipeline,
      },
      input: 'frames',
    },
  );
}

export interface OtherGraph {
  readonly bytes: Uint8Array;
  readonly input: string;
  readonly output: string;
}

interface Contents {
  readonly graph: Uint8Array;
  /** Beside the classifier, by name. */
  readonly others?: Readonly<Record<string, OtherGraph>>;
  readonly golden: Uint8Array;
  readonly goldenFile: string;
  readonly goldenScore: number;
}

export async function writePackage(
  directory: string,
  overrides: PackageOverrides,
  contents: Contents,
  family: { modality: string; pipeline: object; input: string },
): Promise<string> {
  const manifest = {
    formatVersion: 1,
    name: `test-${family.modality}`,
    version: overrides.version ?? '1.2.3',
    modality: family.modality,
    description: `Judges ${family.modality} by its mean.`,
    pipeline: family.pipeline,
    graphs: {
      classifier: {
        file: 'classifier.onnx',
        sha256: sha256(contents.graph),
        input: family.input,
        output: 'logit',
        ...overrides.graph,
      },
      ...Object.fromEntries(
        Object.entries(contents.others ?? {}).map(([name, { bytes, input, output }]) => [
          name,
          { file: `${name}.onnx`, sha256: sha256(bytes), input, output },
        ]),
      ),
    },
    output: { positive: 'fake', activation: 'sigmoid' },
    calibration: { method: 'none' },
    thresholds: { low: 0.3, high: 0.7 },
    golden: [
      {
        file: contents.goldenFile,
        sha256: sha256(contents.golden),
        score: contents.goldenScore,
        tolerance: 0.02,
      },
    ],
    card,
    ...overrides.manifest,
  };
  await mkdir(dirname(join(directory, contents.goldenFile)), { recursive: true });
  await writeFile(join(directory, 'classifier.onnx'), contents.graph);
  for (const [name, { bytes }] of Object.entries(contents.others ?? {}))
    await writeFile(join(directory, `${name}.onnx`), bytes);
  await writeFile(join(directory, contents.goldenFile), contents.golden);
  const source = stringify(manifest);
  await writeFile(join(directory, 'model.yaml'), source);
  return `sha256:${sha256(source)}`;
}

function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}
