/** The answer of `/analyze` and its kin. */
import { z } from 'zod';
import type { ServiceError } from '../../errors.ts';
import { confidenceOf, predictionOf } from '../../models/verdict.ts';
import type { Detection } from '../detections.ts';
import { forensicMembers, forensicView } from './forensics.ts';
import { fusionAnswer, fusionView, missingModels, missingModelsView, signalsView } from './fusion.ts';
import { rounded, roundedScore, secondsOf } from './numbers.ts';
import {
  type AnswerContext,
  cache,
  dimensions,
  explanation,
  heatmapOf,
  identityOf,
  inconclusiveReasons,
  listOf,
  mediaKind,
  missingModalities,
  missingView,
  modelIdentity,
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
import { soundMembers, soundView, visualization as soundVisualization, visualizationView } from './sound.ts';
import { videoMembers, videoProperties, videoView } from './video.ts';

const visualizationUrl = z.url().nullable().optional();

const analysisData = z.strictObject({
  prediction: z
    .enum(['REAL', 'FAKE'])
    .nullable()
    .describe('The forced choice; null when nothing could be judged.'),
  verdict,
  score: probability.nullable().describe('Calibrated probability that the media is fake.'),
  confidence: probability.describe('Probability of the prediction; 0 without one.'),
  calibrated: z.boolean(),
  thresholds,
  inconclusive_reasons: inconclusiveReasons,
  explanations: listOf(explanation),
  signals,
  segments: listOf(segment).optional(),
  dimensions: dimensions.optional(),
  heatmap_scores: listOf(listOf(probability)).optional().describe('The heat map, row by row.'),
  ...videoMembers,
  ...forensicMembers,
  ...soundMembers,
  properties: z.union([videoProperties, soundProperties]).optional(),
  missing_modalities: missingModalities.optional(),
  media_type: mediaKind,
  media: z.strictObject({ sha256: z.string(), bytes: z.int(), mime: z.string() }),
  note: z.string(),
  processing_time: z.number().describe('Seconds, with the upload.'),
  timings_ms: timings,
  visualization_path: visualizationUrl.describe(
    'Where the heat map over the image can be fetched once; null where there is none. Only where it was asked for.',
  ),
  visualization_url: visualizationUrl,
  visualization: soundVisualization.optional(),
});

export const analysisAnswer = z.strictObject({
  success: z.literal(true),
  model_used: z.string(),
  timestamp: z.iso.datetime(),
  data: analysisData,
  model: modelIdentity.extend({ device: z.string() }),
  cache,
  served_by: servedBy,
  request_id: z.string(),
  fusion: fusionAnswer.optional(),
  missing_models: missingModels.optional(),
});

/** @param visualization address of the rendered heat map, null where there is none; undefined when nobody asked for it */
export function analysisView(
  detection: Detection,
  context: AnswerContext,
  visualization?: string | null,
): z.infer<typeof analysisAnswer> {
  const { analysis, model, kind, mime, media, totalMs } = detection;
  const prediction = predictionOf(analysis.score, model.manifest.thresholds);
  const heatmap = heatmapOf(analysis);
  const fusion = fusionView(detection);
  const missing = missingModelsView(detection);
  return {
    success: true,
    model_used: model.name,
    timestamp: context.now.toISOString(),
    data: {
      prediction,
      verdict: analysis.verdict,
      score: roundedScore(analysis.score),
      confidence: roundedScore(confidenceOf(analysis.score, prediction)),
      calibrated: model.manifest.calibration.method !== 'none',
      thresholds: model.manifest.thresholds,
      inconclusive_reasons: analysis.inconclusiveReasons,
      explanations: analysis.explanations,
      signals: signalsView(detection),
      ...(analysis.segments === undefined ? {} : { segments: rounded(analysis.segments) }),
      ...(analysis.dimensions === undefined ? {} : { dimensions: analysis.dimensions }),
      ...(heatmap === undefined ? {} : { heatmap_scores: rounded(heatmap.scores) }),
      ...videoView(analysis, model.manifest.thresholds),
      ...forensicView(analysis),
      ...soundView(analysis),
      ...(analysis.properties === undefined ? {} : { properties: rounded(analysis.properties) }),
      ...missingView(analysis),
      media_type: kind,
      media: { sha256: media.file.sha256, bytes: media.file.bytes, mime },
      note: noteOf(detection),
      processing_time: secondsOf(totalMs),
      timings_ms: rounded(timingsOf(detection)),
      ...(visualization === undefined
        ? {}
        : {
            visualization_path: visualization,
            visualization_url: visualization,
            ...visualizationView(analysis),
          }),
    },
    model: { ...identityOf(model), device: context.device },
    cache: { hit: detection.cache === 'hit' },
    served_by: context.servedBy,
    request_id: context.requestId,
    ...(fusion === null ? {} : { fusion }),
    ...(missing === undefined ? {} : { missing_models: missing }),
  };
}

const failedItem = z.strictObject({
  success: z.literal(false),
  error: z.string(),
  message: z.string(),
  status_code: z.int(),
});

export const analysisBatchAnswer = z.strictObject({
  success: z.literal(true),
  timestamp: z.iso.datetime(),
  total: z.int(),
  successful: z.int(),
  failed: z.int(),
  results: listOf(
    z.discriminatedUnion('success', [
      analysisAnswer.extend({ filename: z.string() }),
      failedItem.extend({ filename: z.string() }),
    ]),
  ).describe('In the order of the files.'),
  request_id: z.string(),
});

export function failureView({ code, message, status }: ServiceError): z.infer<typeof failedItem> {
  return { success: false, error: code, message, status_code: status };
}
