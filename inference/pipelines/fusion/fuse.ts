/** Many models' scores of one file to one score and verdict. Pure. */
import {
  boundedLogit,
  type InconclusiveReason,
  sigmoid,
  type Verdict,
  verdictOf,
} from '../../models/verdict.ts';
import type { Combination, Group } from './ensemble.ts';

/** What one model said of the file. */
export interface MemberScore {
  /** Serving name. */
  readonly model: string;
  /** Calibrated P(fake), 0..1; null, or no number of that range: the model gives no answer. */
  readonly score: number | null;
  readonly verdict: Verdict;
}

export interface Contribution {
  readonly model: string;
  /** Of the calibrated score; null without one. */
  readonly logit: number | null;
  /** What the logit was multiplied by; 0 without one. */
  readonly weight: number;
  /** Its part of the fused logit. */
  readonly contribution: number;
}

export interface Fusion {
  readonly method: Combination['method'];
  /** `logit = intercept + sum of the contributions`. */
  readonly intercept: number;
  /** One for each of the group's models, in its order. */
  readonly contributions: readonly Contribution[];
  /** Null where no model answered. */
  readonly logit: number | null;
  /** Sigmoid of the logit, also where it is not to be relied on. */
  readonly score: number | null;
  /** INCONCLUSIVE with the reasons, or by the group's thresholds. */
  readonly verdict: Verdict;
  readonly inconclusiveReasons: readonly InconclusiveReason[];
  /** Whether one model says AUTHENTIC and another one DEEPFAKE. */
  readonly modelsDisagree: boolean;
}

/** Scores are kept this far from 0 and 1, or one certain model would outweigh all others without end. */
const smallestProbability = 1e-6;

/** Log odds, between -13.8 and 13.8. @param score 0..1 */
export function logitOfScore(score: number): number {
  return boundedLogit(score, smallestProbability);
}

/** @param scores of some or all of the group's models; others have none */
export function fuse(group: Group, scores: readonly MemberScore[]): Fusion {
  const { models, combination, thresholds, minModels, onDisagreement } = group;
  const logits = models.map((model) => {
    const score = scores.find((one) => one.model === model)?.score ?? null;
    return { model, logit: isProbability(score) ? logitOfScore(score) : null };
  });
  const contributions = contributionsOf(combination, logits);
  const intercept = combination.method === 'logistic' ? combination.intercept : 0;
  const answers = logits.filter(({ logit }) => logit !== null).length;
  const logit =
    answers === 0 ? null : contributions.reduce((sum, { contribution }) => sum + contribution, intercept);
  const modelsDisagree = disagree(scores.filter(({ model }) => models.includes(model)));
  const inconclusiveReasons: InconclusiveReason[] = [
    ...(answers < minModels || answers === 0 ? (['too_few_models'] as const) : []),
    ...(modelsDisagree && onDisagreement === 'abstain' ? (['models_disagree'] as const) : []),
  ];
  const score = logit === null ? null : sigmoid(logit);
  return {
    method: combination.method,
    intercept,
    contributions,
    logit,
    score,
    verdict: inconclusiveReasons.length > 0 ? 'INCONCLUSIVE' : verdictOf(score, thresholds),
    inconclusiveReasons,
    modelsDisagree,
  };
}

interface MemberLogit {
  readonly model: string;
  readonly logit: number | null;
}

function contributionsOf(combination: Combination, members: readonly MemberLogit[]): Contribution[] {
  if (combination.method === 'logistic') {
    const { weights, missing } = combination;
    return members.map(({ model, logit }) =>
      logit === null
        ? { model, logit, weight: 0, contribution: missing.get(model) ?? 0 }
        : weighted({ model, logit }, weights.get(model) ?? 0),
    );
  }
  const shares = sharesOf(combination, members);
  return members.map((member, at) => weighted(member, shares[at] ?? 0));
}

function weighted({ model, logit }: MemberLogit, weight: number): Contribution {
  // Not -0.
  const contribution = logit === null || weight === 0 ? 0 : weight * logit;
  return { model, logit, weight: logit === null ? 0 : weight, contribution };
}

/** How much of the fused logit is each model's: together 1 where any answers. */
function sharesOf(
  combination: Exclude<Combination, { method: 'logistic' }>,
  members: readonly MemberLogit[],
): number[] {
  if (combination.method === 'max') {
    const highest = members.reduce(
      (best, { logit }, at) => ((logit ?? -Infinity) > (members[best]?.logit ?? -Infinity) ? at : best),
      0,
    );
    return members.map((_, at) => Number(at === highest));
  }
  const weights = members.map(({ model, logit }) => {
    if (logit === null) return 0;
    return combination.method === 'weighted' ? (combination.weights.get(model) ?? 0) : 1;
  });
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => (total === 0 ? 0 : weight / total));
}

/** One verdict that is decided one way, and one that is decided the other way. */
export function disagree(members: readonly Pick<MemberScore, 'verdict'>[]): boolean {
  const verdicts = new Set(members.map(({ verdict }) => verdict));
  return verdicts.has('AUTHENTIC') && verdicts.has('DEEPFAKE');
}

function isProbability(score: number | null): score is number {
  return score !== null && score >= 0 && score <= 1;
}
