/** `pipeline` of the family `audio-waveform`: windows of samples, as AASIST and RawNet2 take them; features are computed in the graph. */
import { z } from 'zod';
import { canBeJudged, cannotBeJudged, soundPreparation } from './sound.ts';

export const audioWaveform = z
  .strictObject({
    type: z.literal('audio-waveform'),
    /** Of a window, at the sample rate: what the graph takes. */
    windowSamples: z.int().min(1000).max(2_000_000),
    /** `[n, samples]` or `[n, 1, samples]`. */
    layout: z.enum(['samples', 'channel-samples']),
    ...soundPreparation,
  })
  .refine(canBeJudged, { message: cannotBeJudged });

export type AudioWaveformParameters = z.infer<typeof audioWaveform>;
