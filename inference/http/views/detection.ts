/** The answer of `/v1/detections`: verdict, confidence, explanations, signals and model version first, everything else beside them. */
import { z } from 'zod';
import { confidenceLevelOf, confidenceOf, predictionOf } from '../../models/verdict.ts';
import type { Detection } from '../detections.ts';
import { faceMembers, facesView } from './faces.ts';
import { forensicMembers, forensicView } from './forensics.ts';
import { fusionAnswer, fusionView, missingModels, missingModelsView, signalsView } from './fusion.ts';
import { rounded, roundedScore } from './numbers.ts';
import {
  type AnswerContext,
  cache,
  confidenceLevel,
  dimensions,
  explanation,
  inconclusiveReasons,
  listOf,
  mediaKind,
  missingModalities,
  missingView,
  noteOf,
  probability,
  segment,
  servedBy,
  signals,
  soundProperties,
  thresholds,
  timings,
  timingsOf,
  verdict,
} from './parts.ts';

export const detectionAnswer = z.strictObject({
  id: z.string(),
  request_id: z.string(),
  created_at: z.iso.datetime(),
  sha256: z.string(),
  media: z.strictObject({
    type: mediaKind,
    mime: z.string(),
    bytes: z.int(),
    width: dimensions.shape.width.optional(),
    height: dimensions.shape.height.optional(),
    duration_s: z.number().optional(),
    audio: soundProperties.pick({ sample_rate: true, channels: true }).optional(),
  }),
  verdict,
  score: probability.nullable().describe('Calibrated probability that the media is fake.'),
  confidence: probability.describe('Probability of the likelier side; 0 when nothing could be judged.'),
  confidence_level: confidenceLevel,
  calibrated: z.boolean(),
  thresholds,
  inconclusive_reasons: inconclusiveReasons,
  explanations: listOf(z.string()),
  signals,
  model_version: z.string(),
  models: listOf(
    z.strictObject({
      name: z.string(),
      version: z.string(),
      digest: z.string(),
      score: probability.nullable(),
      weight: z.number().describe('1 for a model alone; else that of its logit in the fusion.'),
      verdict,
      status: z
        .enum(['ok', 'inconclusive'])
        .optional()
        .describe('Only beside a fusion; inconclusive: without a score, for the reasons in missing_models.'),
      timings_ms: timings,
      segments: listOf(segment).optional(),
      ...faceMembers,
      missing_modalities: missingModalities.optional(),
      signals,
      explanations: listOf(explanation),
    }),
  ),
  ...forensicMembers,
  missing_models: missingModels.optional(),
  fusion: fusionAnswer.nullable().describe('Null where one model was asked.'),
  warnings: listOf(z.string()),
  cache,
  served_by: servedBy,
});

export function detectionView(detection: Detection, context: AnswerContext): z.infer<typeof detectionAnswer> {
  const { analysis, model, media, kind, mime } = detection;
  const { version, thresholds: limits, calibration } = model.manifest;
  const score = roundedScore(analysis.score);
  const note = noteOf(detection);
  const missing = missingModelsView(detection);
  return {
    id: context.requestId,
    request_id: context.requestId,
    created_at: context.now.toISOString(),
    sha256: media.file.sha256,
    media: { type: kind, mime, bytes: media.file.bytes, ...analysis.dimensions, ...soundOf(detection) },
    verdict: analysis.verdict,
    score,
    confidence: roundedScore(confidenceOf(analysis.score, predictionOf(analysis.score, limits))),
    confidence_level: confidenceLevelOf(analysis.score),
    calibrated: calibration.method !== 'none',
    thresholds: limits,
    inconclusive_reasons: analysis.inconclusiveReasons,
    explanations: analysis.explanations.map(({ text }) => text),
    signals: signalsView(detection),
    model_version: version,
    models:
      detection.joint === undefined
        ? [{ ...modelView(detection), weight: 1 }]
        : memberViews(detection, detection.joint),
    ...(missing === undefined ? {} : { missing_models: missing }),
    fusion: fusionView(detection),
    ...forensicView(analysis),
    warnings: note === '' ? [] : [note],
    cache: { hit: detection.cache === 'hit' },
    served_by: context.servedBy,
  };
}

type JudgedModel = Parameters<typeof timingsOf>[0] & Pick<Detection, 'analysis' | 'model'>;

function modelView(judged: JudgedModel) {
  const { model, analysis } = judged;
  return {
    name: model.name,
    version: model.manifest.version,
    digest: model.digest,
    score: roundedScore(analysis.score),
    verdict: analysis.verdict,
    timings_ms: rounded(timingsOf(judged)),
    ...(analysis.segments === undefined ? {} : { segments: rounded(analysis.segments) }),
    ...facesView(analysis),
    ...missingView(analysis),
    signals: rounded(analysis.signals),
    explanations: analysis.explanations,
  };
}

function memberViews({ uploadMs }: Detection, { members, fusion }: NonNullable<Detection['joint']>) {
  return members.map((member) => ({
    ...modelView({ ...member, uploadMs, totalMs: uploadMs + member.totalMs }),
    weight: roundedScore(fusion.contributions.find(({ model }) => model === member.model.name)?.weight ?? 0),
    status: member.analysis.score === null ? ('inconclusive' as const) : ('ok' as const),
  }));
}

function soundOf({ analysis: { properties } }: Detection) {
  if (properties === undefined) return {};
  const { duration_seconds: duration_s, sample_rate, channels } = rounded(properties);
  if (sample_rate === null || channels === null) return { duration_s };
  return { duration_s, audio: { sample_rate, channels } };
}
