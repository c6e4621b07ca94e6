/** Whether two revisions said the same to the same requests: `shadow`. Pure. */
import { z } from 'zod';
import type { Metric } from '../../api/rollout/analysis.ts';
import type { Taken } from '../evaluate.ts';
import { figures, rounded } from '../figures.ts';
import { type Agreement, agreementOf, type Decision } from '../statistics.ts';

export type Shadow = NonNullable<Metric['shadow']>;

/** Where pods tell their last decisions. */
export const DECISIONS_PATH = '/decisions';
const DEFAULT_MIN_COUNT = 50;

const answer = z.object({
  decisions: z.array(
    z.object({
      id: z.string().max(64),
      model: z.string(),
      score: z.number().min(0).max(1).nullable(),
      verdict: z.string(),
    }),
  ),
});

/** @throws Error for what is no answer of a pod */
export function parseDecisions(text: string, model: string): Decision[] {
  const parsed = answer.safeParse(JSON.parse(text));
  if (!parsed.success) throw new Error(`${DECISIONS_PATH} answers what is not known here`);
  return parsed.data.decisions
    .filter((decision) => decision.model === model)
    .map(({ id, score, verdict }) => ({ id, score: score ?? undefined, verdict }));
}

export const judgeDecisions = (
  shadow: Shadow,
  canary: readonly Decision[],
  stable: readonly Decision[],
): Taken => judgeAgreement(shadow, agreementOf(canary, stable));

export function judgeAgreement(shadow: Shadow, found: Agreement): Taken {
  const { minAgreement, maxMeanScoreDifference, minCount = DEFAULT_MIN_COUNT } = shadow;
  const { matched, agreement, meanScoreDifference } = found;
  const value = figures({
    matched,
    ...(matched === 0 ? {} : { agreement }),
    ...(Number.isNaN(meanScoreDifference) ? {} : { meanScoreDifference }),
  });
  if (matched < minCount) {
    const hint = matched === 0 ? ': is there a mirror route, and does its proxy send X-Request-Id?' : '';
    return {
      phase: 'Inconclusive',
      value,
      message: `${matched} requests were judged by both revisions, fewer than minCount ${minCount}${hint}`,
    };
  }
  if (minAgreement !== undefined && agreement < minAgreement)
    return {
      phase: 'Failed',
      value,
      message: `the revisions agree on ${rounded(agreement)} of the requests, less than minAgreement ${minAgreement}`,
    };
  if (maxMeanScoreDifference === undefined) return { phase: 'Successful', value };
  if (Number.isNaN(meanScoreDifference))
    return { phase: 'Inconclusive', value, message: 'no request was scored by both revisions' };
  if (meanScoreDifference <= maxMeanScoreDifference) return { phase: 'Successful', value };
  return {
    phase: 'Failed',
    value,
    message: `scores differ by ${rounded(meanScoreDifference)} on average, more than maxMeanScoreDifference ${maxMeanScoreDifference}`,
  };
}
