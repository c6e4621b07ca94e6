/** `pipeline` of the family `audio-features`: windows of sound as features that the pod computes; `dsp/features.ts` says what each means. */
import { z } from 'zod';
import { widestRow } from '../../dsp/features.ts';
import { frameCount } from '../../dsp/stft.ts';
import { maxItemFloats } from './item-size.ts';
import { canBeJudged, cannotBeJudged, soundPreparation } from './sound.ts';

const stft = z.strictObject({
  fftSize: z.literal([64, 128, 256, 512, 1024, 2048, 4096, 8192]),
  /** Samples under the window, in the middle of the transform. */
  windowLength: z.int().min(16).max(8192),
  /** Samples. */
  hop: z.int().min(8).max(8192),
  window: z.enum(['hann', 'hamming']),
  /** Around the sound, so that frames have their middle at multiples of the hop; `none`: they begin there. */
  padding: z.enum(['zeros', 'reflect', 'none']),
});

const bank = {
  filters: z.int().min(4).max(512),
  minHz: z.number().min(0),
  /** At most half of the sample rate. */
  maxHz: z.number().positive(),
};

const kind = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('log-mel'),
    ...bank,
    melScale: z.enum(['slaney', 'htk']),
    /** Filters have equal areas (librosa) and not equal heights (torchaudio). */
    unitArea: z.boolean(),
  }),
  /** The lowest bins of the spectrum itself. */
  z.strictObject({ type: z.literal('log-spectrogram'), bins: z.int().min(4).max(4097) }),
  z.strictObject({
    type: z.literal('lfcc'),
    ...bank,
    coefficients: z.int().min(2).max(512),
    /** 1 appends the deltas, 2 also the deltas of these. */
    deltaOrders: z.literal([0, 1, 2]),
    delta: z.discriminatedUnion('type', [
      z.strictObject({ type: z.literal('difference') }),
      z.strictObject({ type: z.literal('regression'), width: z.literal([3, 5, 7, 9, 11]) }),
    ]),
    /** The frame's energy takes the place of the first coefficient. */
    energyFirst: z.boolean(),
  }),
]);

const scale = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('decibels'),
    /** What 0 dB is: a power, or the largest one of the window. */
    reference: z.union([z.number().positive(), z.literal('max')]),
    floor: z.number().positive(),
    /** What lies further below the loudest value is lifted to there. */
    topDb: z.number().positive().nullable(),
  }),
  z.strictObject({
    type: z.literal('logarithm'),
    base: z.enum(['e', '10']),
    epsilon: z.number().positive(),
  }),
]);

const normalisation = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('none') }),
  z.strictObject({ type: z.literal('per-bin-mean') }),
  z.strictObject({ type: z.literal('mean-std') }),
  z.strictObject({ type: z.literal('fixed'), mean: z.number(), std: z.number().positive() }),
]);

const features = z
  .strictObject({ stft, spectrum: z.enum(['power', 'magnitude']), kind, scale, normalisation })
  .refine((value) => value.stft.windowLength <= value.stft.fftSize, {
    path: ['stft', 'windowLength'],
    message: 'must be at most fftSize',
  })
  .refine((value) => value.kind.type !== 'log-spectrogram' || value.kind.bins <= value.stft.fftSize / 2 + 1, {
    path: ['kind', 'bins'],
    message: 'must be at most fftSize / 2 + 1',
  })
  .refine((value) => value.kind.type !== 'lfcc' || value.kind.coefficients <= value.kind.filters, {
    path: ['kind', 'coefficients'],
    message: 'must be at most filters',
  });

export const audioFeatures = z
  .strictObject({
    type: z.literal('audio-features'),
    windowSeconds: z.number().min(0.1).max(60),
    features,
    /** `[n, bins, frames]`, `[n, 1, bins, frames]` or `[n, frames, bins]`. */
    layout: z.enum(['bins-frames', 'channel-bins-frames', 'frames-bins']),
    ...soundPreparation,
  })
  .refine(canBeJudged, { message: cannotBeJudged })
  .refine(({ features: { kind: found }, sampleRate }) => hasBand(found, sampleRate / 2), {
    path: ['features', 'kind', 'maxHz'],
    message: 'must be above minHz and at most half of the sample rate',
  })
  .refine((value) => value.windowSeconds * value.sampleRate >= value.features.stft.fftSize, {
    path: ['windowSeconds'],
    message: 'is shorter than one transform of fftSize samples',
  })
  .refine((value) => floatsOf(value) <= maxItemFloats, {
    path: ['windowSeconds'],
    message:
      'the features of a window take more than 64 MiB; fewer seconds, filters or bins or a larger hop take less',
  });

/** Of the features of a window, while they are computed or after. */
function floatsOf(value: {
  readonly windowSeconds: number;
  readonly sampleRate: number;
  readonly features: z.infer<typeof features>;
}): number {
  const { stft: transform, kind: found } = value.features;
  return frameCount(transform, Math.round(value.windowSeconds * value.sampleRate)) * widestRow(found);
}

function hasBand(found: z.infer<typeof kind>, highest: number): boolean {
  return found.type === 'log-spectrogram' || (found.minHz < found.maxHz && found.maxHz <= highest);
}

export type AudioFeaturesParameters = z.infer<typeof audioFeatures>;
