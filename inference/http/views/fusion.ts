/** What an answer says of several models beside their verdict. */
import { z } from 'zod';
import type { Detection } from '../detections.ts';
import { rounded, roundedScore } from './numbers.ts';
import { listOf, probability } from './parts.ts';

const logit = z.number().describe('Log odds, 6 decimals.');

export const fusionAnswer = z
  .strictObject({
    ensemble: z
      .string()
      .nullable()
      .describe('Its name in the configuration; null for models that the request put together.'),
    method: z.enum(['max', 'mean', 'weighted', 'logistic']).describe('Over log odds of calibrated scores.'),
    logit: logit.nullable().describe('intercept + the contributions; null where no model gave a score.'),
    score: probability
      .nullable()
      .describe('Of this logit, also where the answer has no score because it is not to be relied on.'),
    intercept: z.number(),
    contributions: listOf(
      z.strictObject({
        model: z.string(),
        logit: logit.nullable().describe('Of the calibrated score; null without one.'),
        weight: z.number().describe('0 for a model without a score.'),
        contribution: logit.describe('weight * logit; without a score what stands in for it.'),
      }),
    ).describe('One for each model, in the order of the ensemble.'),
    min_models: z.int().describe('Models that have to give a score.'),
    models_disagree: z.boolean().describe('Whether one model says AUTHENTIC and another one DEEPFAKE.'),
    on_disagreement: z.enum(['abstain', 'warn']),
  })
  .describe('How the verdicts of several models became one.');

export const missingModels = listOf(
  z.strictObject({
    name: z.string(),
    status: z
      .enum(['missing', 'failed', 'inconclusive'])
      .describe('missing: not asked; failed: asked in vain; inconclusive: it found nothing to judge.'),
    reason: z
      .string()
      .describe('not_active, wrong_modality, the code of an error, or the reasons of the model.'),
    message: z.string(),
  }),
).describe('Models that gave no score.');

export const avMismatch = z
  .strictObject({
    difference: z.number().min(-1).max(1).describe('picture_score - sound_score.'),
    picture_score: probability,
    sound_score: probability,
    verdicts_contradict: z.boolean(),
  })
  .describe('Pictures and sound of a video as different models judge them; only where both did.');

export function fusionView({ joint }: Pick<Detection, 'joint'>): z.infer<typeof fusionAnswer> | null {
  if (joint === undefined) return null;
  const { fusion, group } = joint;
  return {
    ensemble: group.name ?? null,
    method: fusion.method,
    logit: roundedScore(fusion.logit),
    score: roundedScore(fusion.score),
    intercept: fusion.intercept,
    contributions: fusion.contributions.map(({ model, logit: own, weight, contribution }) => ({
      model,
      logit: roundedScore(own),
      weight: roundedScore(weight),
      contribution: roundedScore(contribution),
    })),
    min_models: group.minModels,
    models_disagree: fusion.modelsDisagree,
    on_disagreement: group.onDisagreement,
  };
}

export function missingModelsView({
  joint,
}: Pick<Detection, 'joint'>): z.infer<typeof missingModels> | undefined {
  return joint?.missing.map(({ model, ...rest }) => ({ name: model, ...rest }));
}

/** The signals of the detection itself: with several models, those that need more than one. */
export function signalsView({
  analysis,
  joint,
}: Pick<Detection, 'analysis' | 'joint'>): Record<string, unknown> {
  const found = joint?.avMismatch;
  if (found === undefined) return rounded(analysis.signals);
  const { difference, pictureScore, soundScore, verdictsContradict } = found;
  const av_mismatch: z.infer<typeof avMismatch> = {
    difference: roundedScore(difference),
    picture_score: roundedScore(pictureScore),
    sound_score: roundedScore(soundScore),
    verdicts_contradict: verdictsContradict,
  };
  return { ...rounded(analysis.signals), av_mismatch };
}
