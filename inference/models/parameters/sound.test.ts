import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { plainSound } from '../../testing/sound-packages.ts';
import { pipelineSchema } from '../pipeline-parameters.ts';

const waveform = { type: 'audio-waveform', windowSamples: 64_600, layout: 'samples', ...plainSound };
const features = {
  type: 'audio-features',
  windowSeconds: 4,
  layout: 'channel-bins-frames',
  ...plainSound,
  features: {
    stft: { fftSize: 512, windowLength: 400, hop: 160, window: 'hann', padding: 'zeros' },
    spectrum: 'power',
    kind: { type: 'log-mel', filters: 64, minHz: 0, maxHz: 8000, melScale: 'slaney', unitArea: true },
    scale: { type: 'decibels', reference: 'max', floor: 1e-10, topDb: 80 },
    normalisation: { type: 'none' },
  },
};
const lfcc = {
  type: 'lfcc',
  filters: 20,
  minHz: 0,
  maxHz: 4000,
  coefficients: 20,
  deltaOrders: 2,
  delta: { type: 'difference' },
  energyFirst: true,
};
/** The parameters with other features. */
const withFeatures = (changes: Readonly<Record<string, unknown>>) => ({
  ...features,
  features: { ...features.features, ...changes },
});
const { stft, kind } = features.features;

describe('parameters of sound are accepted', () => {
  const rows: { name: string; parameters: object }[] = [
    { name: 'of waveforms', parameters: waveform },
    { name: 'of speech alone', parameters: { ...waveform, voiceActivity: { minSpeechSeconds: 2 } } },
    { name: 'of log-mel spectrograms', parameters: features },
    { name: 'of LFCC', parameters: withFeatures({ kind: lfcc }) },
    {
      name: 'of linear spectrograms',
      parameters: withFeatures({ kind: { type: 'log-spectrogram', bins: 257 } }),
    },
    {
      name: 'of windows that take nearly 64 MiB',
      parameters: {
        ...withFeatures({ stft: { ...stft, hop: 8 }, kind: { ...kind, filters: 512 } }),
        windowSeconds: 16,
      },
    },
  ];
  for (const { name, parameters } of rows)
    test(name, () => assert.equal(pipelineSchema.safeParse(parameters).error, undefined));
});

describe('parameters of sound are refused', () => {
  const rows: { name: string; parameters: object; path: string }[] = [
    { name: 'that no file could satisfy', parameters: { ...waveform, minSeconds: 60 }, path: '' },
    {
      name: 'that want more speech than a file may have',
      parameters: { ...waveform, maxSeconds: 4, voiceActivity: { minSpeechSeconds: 5 } },
      path: '',
    },
    {
      name: 'with filters above half of the sample rate',
      parameters: withFeatures({ kind: { ...kind, maxHz: 8001 } }),
      path: 'features.kind.maxHz',
    },
    {
      name: 'with filters upside down',
      parameters: withFeatures({ kind: { ...kind, minHz: 8000 } }),
      path: 'features.kind.maxHz',
    },
    {
      name: 'with a window longer than its transform',
      parameters: withFeatures({ stft: { ...stft, windowLength: 513 } }),
      path: 'features.stft.windowLength',
    },
    {
      name: 'with a transform whose size is no power of two',
      parameters: withFeatures({ stft: { ...stft, fftSize: 400 } }),
      path: 'features.stft.fftSize',
    },
    {
      name: 'with more bins than the transform has',
      parameters: withFeatures({ kind: { type: 'log-spectrogram', bins: 258 } }),
      path: 'features.kind.bins',
    },
    {
      name: 'with more coefficients than filters',
      parameters: withFeatures({ kind: { ...lfcc, coefficients: 21 } }),
      path: 'features.kind.coefficients',
    },
    {
      name: 'with windows shorter than a transform',
      parameters: { ...withFeatures({ stft: { ...stft, fftSize: 2048 } }), windowSeconds: 0.1 },
      path: 'windowSeconds',
    },
    {
      name: 'whose windows take more than 64 MiB',
      parameters: {
        ...withFeatures({ stft: { ...stft, hop: 8 }, kind: { ...kind, filters: 512 } }),
        windowSeconds: 17,
      },
      path: 'windowSeconds',
    },
    {
      name: 'whose windows take more than 64 MiB before they are LFCC',
      parameters: {
        ...withFeatures({ stft: { ...stft, hop: 8 }, kind: { ...lfcc, filters: 512, coefficients: 2 } }),
        windowSeconds: 17,
      },
      path: 'windowSeconds',
    },
  ];
  for (const { name, parameters, path } of rows) {
    test(name, () => {
      const { error } = pipelineSchema.safeParse(parameters);
      assert.deepEqual(
        error?.issues.map((issue) => issue.path.join('.')),
        [path],
      );
    });
  }
});
