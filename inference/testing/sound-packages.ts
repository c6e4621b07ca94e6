/** Builds small, valid packages of the families that take windows of samples and of features. */
import { tone } from './media.ts';
import { meanGraph } from './onnx.ts';
import { type PackageOverrides, writePackage } from './packages.ts';

type Overrides = PackageOverrides & { readonly pipeline?: Readonly<Record<string, unknown>> };

export const plainSound = {
  sampleRate: 16_000,
  trimSilence: false,
  level: { type: 'none' },
  preEmphasis: 0,
  hopSeconds: 0.5,
  shortSound: 'repeat',
  minSeconds: 0.1,
  maxSeconds: 60,
  aggregation: 'mean-logit',
};

const wholeSecond = tone({ seconds: 1, shape: 'square' });

/** The logit is eight times the mean amplitude of half a second: 4 for a square wave at half of full scale. */
export function writeWaveformPackage(directory: string, overrides: Overrides = {}): Promise<string> {
  const pipeline = {
    type: 'audio-waveform',
    windowSamples: 8000,
    layout: 'samples',
    ...plainSound,
    ...overrides.pipeline,
  };
  const itemShape = pipeline.layout === 'samples' ? [8000] : [1, 8000];
  const graph = meanGraph({ input: 'samples', itemShape, centre: 0, gain: 8, absolute: true });
  return writePackage(
    directory,
    overrides,
    { graph, golden: wholeSecond, goldenFile: 'golden/square.wav', goldenScore: 0.982 },
    { modality: 'audio', pipeline, input: 'samples' },
  );
}

/** The logit is the mean of the features of a quarter of a second, divided by 100. */
export function writeFeaturesPackage(
  directory: string,
  itemShape: readonly number[],
  overrides: Overrides = {},
): Promise<string> {
  const pipeline = { type: 'audio-features', windowSeconds: 0.25, ...plainSound, ...overrides.pipeline };
  const graph = meanGraph({ input: 'features', itemShape, centre: 0, gain: 0.01 });
  return writePackage(
    directory,
    overrides,
    { graph, golden: wholeSecond, goldenFile: 'golden/square.wav', goldenScore: 0.5 },
    { modality: 'audio', pipeline, input: 'features' },
  );
}
