/** Answers in the words `real` and `ai_generated`: those of `/predict` with a file and its kin. */
import { z } from 'zod';
import { confidenceLevelOf, predictionOf } from '../../models/verdict.ts';
import type { Detection } from '../detections.ts';
import { rounded } from './numbers.ts';
import { confidenceLevel, inconclusiveReasons, listOf, probability, verdict } from './parts.ts';

const judgement = z.strictObject({
  prediction: z
    .enum(['real', 'ai_generated'])
    .nullable()
    .describe('The forced choice; null when nothing could be judged.'),
  probability: probability.nullable().describe('Calibrated probability that the media is fake, 4 decimals.'),
  confidence: confidenceLevel,
  verdict,
  inconclusive_reasons: inconclusiveReasons,
});

export const predictionAnswer = judgement.extend({
  inference_time_ms: z.number(),
  model: z.string(),
  model_version: z.string(),
  request_id: z.string(),
});

export function judgementView({ analysis, model }: Detection): z.infer<typeof judgement> {
  const prediction = predictionOf(analysis.score, model.manifest.thresholds);
  return {
    prediction: prediction === null ? null : prediction === 'FAKE' ? 'ai_generated' : 'real',
    probability: rounded(analysis.score),
    confidence: confidenceLevelOf(analysis.score),
    verdict: analysis.verdict,
    inconclusive_reasons: analysis.inconclusiveReasons,
  };
}

export function predictionView(detection: Detection, requestId: string): z.infer<typeof predictionAnswer> {
  const { model, totalMs } = detection;
  return {
    ...judgementView(detection),
    inference_time_ms: Math.round(totalMs),
    model: model.name,
    model_version: model.manifest.version,
    request_id: requestId,
  };
}

const batchItem = z.strictObject({
  filename: z.string(),
  prediction: judgement.shape.prediction,
  probability: judgement.shape.probability,
  confidence: confidenceLevel.nullable(),
  inconclusive_reasons: inconclusiveReasons,
  error: z.string().nullable().describe('Why this file alone has no answer.'),
});

export const predictionBatchAnswer = z.strictObject({
  results: listOf(batchItem).describe('In the order of the files.'),
  total: z.int(),
  successful: z.int(),
  failed: z.int(),
  total_inference_time_ms: z.number(),
  model_version: z
    .string()
    .nullable()
    .describe('Of the model that judged every file; null where there were several.'),
  request_id: z.string(),
});

export function batchItemView(filename: string, detection: Detection): z.infer<typeof batchItem> {
  const { verdict: _, ...judged } = judgementView(detection);
  return { filename, ...judged, error: null };
}

export function failedBatchItemView(filename: string, error: string): z.infer<typeof batchItem> {
  return {
    filename,
    prediction: null,
    probability: null,
    confidence: null,
    inconclusive_reasons: [],
    error,
  };
}

export const comparisonAnswer = z.strictObject({
  primary: predictionAnswer,
  shadow: predictionAnswer,
  agreement: z.boolean().nullable().describe('Null where a model could not judge.'),
  difference: probability.nullable().describe('Between the two probabilities.'),
  message: z.string(),
  request_id: z.string(),
});

export function comparisonView(
  primary: Detection,
  shadow: Detection,
  requestId: string,
): z.infer<typeof comparisonAnswer> {
  const answers = {
    primary: predictionView(primary, requestId),
    shadow: predictionView(shadow, requestId),
    request_id: requestId,
  };
  const [first, second] = [primary.analysis.score, shadow.analysis.score];
  if (first === null || second === null) {
    const message = 'The models cannot be compared: at least one could not judge the file.';
    return { ...answers, agreement: null, difference: null, message };
  }
  const agreement = answers.primary.prediction === answers.shadow.prediction;
  const difference = rounded(Math.abs(first - second));
  const message = `The models ${agreement ? 'agree' : 'disagree'}; their probabilities differ by ${difference}.`;
  return { ...answers, agreement, difference, message };
}

export const explainedPredictionAnswer = predictionAnswer.extend({
  heatmap_base64: z.base64().describe('A PNG: the heat map over the image.'),
});
