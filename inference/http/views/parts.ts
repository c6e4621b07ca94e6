/** Members that several answers have: their schemas, and the functions that fill them. */
import { z } from 'zod';
import type { Heatmap } from '../../dsp/heatmap.ts';
import type { MediaKind } from '../../media/sniff.ts';
import type { Judge } from '../../models/judge.ts';
import { mediaParts } from '../../models/parameters/video-audio.ts';
import type { Analysis } from '../../pipelines/analysis.ts';
import type { Detection } from '../detections.ts';

export const listOf = <Item extends z.ZodType>(item: Item) => z.array(item).readonly();

export const probability = z.number().min(0).max(1);
export const mediaKind = z.enum(['image', 'audio', 'video']);
export const verdict = z.enum(['AUTHENTIC', 'SUSPICIOUS', 'DEEPFAKE', 'INCONCLUSIVE']);
export const confidenceLevel = z.enum(['low', 'medium', 'high']);
export const thresholds = z
  .strictObject({ low: probability, high: probability })
  .describe('At or below low is AUTHENTIC, at or above high is DEEPFAKE.');
export const inconclusiveReasons = listOf(z.string()).describe('Why there is no verdict; empty beside one.');
export const explanation = z.strictObject({
  code: z.string().describe('Stable.'),
  text: z.string(),
  value: z.number().optional(),
});
export const segment = z.strictObject({ start_s: z.number(), end_s: z.number(), score: probability });
export const missingModalities = listOf(z.enum(mediaParts)).describe(
  'What the file lacks of what the model judges: its pictures or its sound. Only of models that judge both.',
);
export const dimensions = z.strictObject({ width: z.int(), height: z.int() });
export const soundProperties = z.strictObject({
  duration_seconds: z.number(),
  sample_rate: z.number().describe('Hz'),
  channels: z.int(),
});
const notDefined = 'null where the sound does not define it, such as the pitch of noise';
/** What is measured of every sound. */
export const soundMeasures = {
  pitch: z
    .strictObject({
      mean_pitch_hz: z.number().nullable().describe('Of the voiced frames between 65 and 2093 Hz.'),
      pitch_stability_score: probability
        .nullable()
        .describe('1 - (standard deviation in Hz) / 100, at least 0: 1 is a steady tone.'),
    })
    .describe(notDefined),
  energy: z
    .strictObject({
      rms_energy: z.number().min(0).nullable().describe('Mean of the root mean square of frames.'),
      silence_ratio: probability
        .nullable()
        .describe('Share of the sound that is 40 dB or more below its loudest frame.'),
    })
    .describe(notDefined),
  spectral: z
    .strictObject({
      spectral_centroid: z.number().nullable().describe('Hz: the middle of the spectrum.'),
      spectral_contrast: z.number().nullable().describe('dB from valleys to peaks, mean over octave bands.'),
    })
    .describe(notDefined),
};
export const signals = z
  .looseObject(z.object(soundMeasures).partial().shape)
  .describe(
    'Measured values by name. Sound has pitch, energy and spectral: of its first minute, whoever judges it.',
  );
export const timings = z.record(z.string(), z.number()).describe('Milliseconds by stage.');
export const modelIdentity = z.strictObject({
  name: z.string().describe('The serving name.'),
  package: z.string(),
  version: z.string(),
  digest: z.string().describe('sha256:<hex> of the package.'),
  precision: z
    .enum(['fp32', 'fp16', 'int8', 'mixed'])
    .describe('Of the graph that is served; mixed: of several models.'),
  status: z.enum(['validated', 'demonstration']),
});
export const cache = z
  .strictObject({ hit: z.boolean() })
  .describe('hit: the result was known from an earlier analysis of the same bytes by the same package.');
export const servedBy = z.strictObject({
  pod: z.string().nullable(),
  namespace: z.string().nullable(),
  revision: z.string().nullable(),
});

/** What the answer to an analysis says beside the analysis itself. */
export interface AnswerContext {
  readonly requestId: string;
  readonly now: Date;
  readonly device: string;
  readonly servedBy: z.infer<typeof servedBy>;
}

export function identityOf(model: Judge): z.infer<typeof modelIdentity> {
  const { name, version, card } = model.manifest;
  const { digest, precision } = model;
  return { name: model.name, package: name, version, digest, precision, status: card.status };
}

/** Everything that a reader of the verdict has to know beside it. */
export function noteOf({ media: { claimedType }, analysis, kind, mime, model }: Detection): string {
  const notes = [...analysis.notes];
  const claimedKind = claimedType.split('/', 1)[0] ?? '';
  if (isMediaKind(claimedKind) && claimedKind !== kind) {
    notes.push(`The upload was declared as ${claimedType}, but its content is ${mime}.`);
  }
  if (analysis.score === null) notes.push('No verdict is given: see inconclusive_reasons.');
  if (model.manifest.card.status === 'demonstration') {
    notes.push('This is a demonstration model: do not rely on its verdict.');
  }
  return notes.join(' ');
}

function isMediaKind(text: string): text is MediaKind {
  return mediaKind.safeParse(text).success;
}

export function timingsOf(
  detection: Pick<Detection, 'uploadMs' | 'lookUpMs' | 'queueMs' | 'analysis' | 'totalMs'>,
): Record<string, number> {
  const { uploadMs, lookUpMs, queueMs, analysis, totalMs } = detection;
  const lookUp = lookUpMs === undefined ? {} : { cache: lookUpMs };
  return { upload: uploadMs, ...lookUp, queue: queueMs, ...analysis.timingsMs, total: totalMs };
}

export function missingView({ missingModalities: missing }: Analysis) {
  return missing === undefined ? {} : { missing_modalities: missing };
}

export function heatmapOf({ signals: { heatmap } }: Analysis): Heatmap | undefined {
  return typeof heatmap === 'object' && 'scores' in heatmap ? heatmap : undefined;
}
