/** Answers that hold the two probabilities: those of `/infer` and of `/predict` with a JSON body. */
import { z } from 'zod';
import { confidenceOf, predictionOf } from '../../models/verdict.ts';
import type { Detection } from '../detections.ts';
import { roundedScore, secondsOf } from './numbers.ts';
import { inconclusiveReasons, noteOf, probability, verdict } from './parts.ts';

export const probabilitiesAnswer = z.strictObject({
  request_id: z.string(),
  fake_prob: probability.nullable().describe('Null when nothing could be judged.'),
  real_prob: probability.nullable(),
  canonical_verdict: verdict,
  inconclusive_reasons: inconclusiveReasons,
  model: z.string(),
  model_version: z.string(),
  sha256: z.string(),
  latency_ms: z.number(),
  note: z.string(),
});

export function probabilitiesView(
  detection: Detection,
  requestId: string,
): z.infer<typeof probabilitiesAnswer> {
  const { analysis, model, media, totalMs } = detection;
  return {
    request_id: requestId,
    fake_prob: roundedScore(analysis.score),
    real_prob: roundedScore(analysis.score === null ? null : 1 - analysis.score),
    canonical_verdict: analysis.verdict,
    inconclusive_reasons: analysis.inconclusiveReasons,
    model: model.name,
    model_version: model.manifest.version,
    sha256: media.file.sha256,
    latency_ms: Math.round(totalMs),
    note: noteOf(detection),
  };
}

export const votesAnswer = probabilitiesAnswer.extend({
  verdict: z.enum(['fake', 'real', 'undetermined']),
  confidence: probability,
  fake_votes: z.int(),
  real_votes: z.int(),
  total_votes: z.int(),
  ensemble_method: z.literal('voting'),
  inference_time: z.number().describe('Seconds.'),
  model_results: z.record(
    z.string(),
    z.strictObject({
      model: z.string(),
      probability: probability.nullable(),
      prediction: z
        .union([z.literal(0), z.literal(1)])
        .nullable()
        .describe('1 is fake.'),
      class_label: z.enum(['fake', 'real']).nullable(),
      inference_time: z.number(),
    }),
  ),
});

/** The same as a vote of one model, which is what clients of ensembles read. */
export function votesView(detection: Detection, requestId: string): z.infer<typeof votesAnswer> {
  const { analysis, model, totalMs } = detection;
  const prediction = predictionOf(analysis.score, model.manifest.thresholds);
  const fake = Number(prediction === 'FAKE');
  const real = Number(prediction === 'REAL');
  const label = prediction === null ? null : prediction === 'FAKE' ? 'fake' : 'real';
  const seconds = secondsOf(totalMs);
  return {
    ...probabilitiesView(detection, requestId),
    verdict: label ?? 'undetermined',
    confidence: roundedScore(confidenceOf(analysis.score, prediction)),
    fake_votes: fake,
    real_votes: real,
    total_votes: fake + real,
    ensemble_method: 'voting',
    inference_time: seconds,
    model_results: {
      [model.name]: {
        model: model.name,
        probability: roundedScore(analysis.score),
        prediction: prediction === null ? null : prediction === 'FAKE' ? 1 : 0,
        class_label: label,
        inference_time: seconds,
      },
    },
  };
}
