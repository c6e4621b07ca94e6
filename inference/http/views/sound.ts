/** What an answer says of sound, under the names by which clients of sound models know it. */
import { z } from 'zod';
import type { Analysis } from '../../pipelines/analysis.ts';
import { rounded } from './numbers.ts';
import { listOf, soundMeasures } from './parts.ts';

const measured = z.object(soundMeasures);

export const soundMembers = measured.partial().shape;

export const visualization = z
  .strictObject({
    spectrogram_url: z.null().describe('Spectrograms are not rendered.'),
    spectrogram_data: listOf(listOf(z.int().min(-80).max(0))).describe(
      '32 mel bands, the lowest first, over up to 64 equal parts of the time: dB below the loudest value.',
    ),
  })
  .describe('Of sound. Only where it was asked for.');

/** Empty for media without sound. */
export function visualizationView({ spectrogram }: Analysis): {
  visualization?: z.infer<typeof visualization>;
} {
  return spectrogram === undefined
    ? {}
    : { visualization: { spectrogram_url: null, spectrogram_data: spectrogram } };
}

/** Empty for media without sound, and where nothing of it was decoded. */
export function soundView({ signals }: Analysis): Partial<z.infer<typeof measured>> {
  const found = measured.safeParse(signals);
  return found.success ? rounded(found.data) : {};
}
