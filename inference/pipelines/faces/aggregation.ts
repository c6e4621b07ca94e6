/** The logits of frames with faces to the one that is calibrated. Pure functions of numbers. */
import type { ConfidentRule, FaceAggregation } from '../../models/parameters/faces.ts';
import { boundedLogit } from '../../models/verdict.ts';
import { mean } from '../analysis.ts';

/** Probabilities are kept this far from 0 and 1, or their logits would be infinite. */
const smallestProbability = 1e-12;

/**
 * @param logits not empty
 * @param positive what a high logit speaks for
 */
export function aggregateFrames(
  logits: readonly number[],
  aggregation: FaceAggregation,
  positive: 'fake' | 'real',
): number {
  if (aggregation === 'mean-logit') return mean(logits);
  const direction = positive === 'fake' ? 1 : -1;
  const fakeness = confidentMean(
    logits.map((logit) => 1 / (1 + Math.exp(-direction * logit))),
    aggregation,
  );
  return direction * boundedLogit(fakeness, smallestProbability);
}

/**
 * Listens to the sure frames alone where there are enough of them. The winner of the Deepfake Detection Challenge judged videos so.
 * @param scores P(fake) of frames, not empty
 */
export function confidentMean(scores: readonly number[], rule: ConfidentRule): number {
  const fakes = scores.filter((score) => score > rule.high);
  if (fakes.length > rule.fakeShare * scores.length && fakes.length > rule.fakeFrames) return mean(fakes);
  const reals = scores.filter((score) => score < rule.low);
  if (reals.length > rule.realShare * scores.length) return mean(reals);
  return mean(scores);
}
