/** The answer of `/v1/detections`: verdict, confidence, explanations, signals and model version first, everything else beside them. */
import { z } from 'zod';
import { confidenceLevelOf, confidenceOf, predictionOf } from '../../models/verdict.ts';
import type { Detection } from '../detections.ts';
import { faceMembers, facesView } from './faces.ts';
import { forensicMembers, forensicView } from './forensics.ts';
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
      weight: probability,
      verdict,
      timings_ms: timings,
      segments: listOf(segment).optional(),
      ...faceMembers,
      missing_modalities: missingModalities.optional(),
      signals,
      explanations: listOf(explanation),
    }),
  ),
  ...forensicMembers,
  warnings: listOf(z.string()),
  cache,
  served_by: servedBy,
});

export function detectionView(detection: Detection, context: AnswerContext): z.infer<typeof detectionAnswer> {
  const { analysis, model, media, kind, mime } = detection;
  const { version, thresholds: limits, calibration } = model.manifest;
  const score = roundedScore(analysis.score);
  const measured = rounded(analysis.signals);
  const note = noteOf(detection);
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
    signals: measured,
    model_version: version,
    models: [
      {
        name: model.name,
        version,
        digest: model.digest,
        score,
        weight: 1,
        verdict: analysis.verdict,
        timings_ms: rounded(timingsOf(detection)),
        ...(analysis.segments === undefined ? {} : { segments: rounded(analysis.segments) }),
        ...facesView(analysis),
        ...missingView(analysis),
        signals: measured,
        explanations: analysis.explanations,
      },
    ],
    ...forensicView(analysis),
    warnings: note === '' ? [] : [note],
    cache: { hit: detection.cache === 'hit' },
    served_by: context.servedBy,
  };
}

function soundOf({ analysis: { properties } }: Detection) {
  if (properties === undefined) return {};
  const { duration_seconds: duration_s, sample_rate, channels } = rounded(properties);
  if (sample_rate === null || channels === null) return { duration_s };
  return { duration_s, audio: { sample_rate, channels } };
}
