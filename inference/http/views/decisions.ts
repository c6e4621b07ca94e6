/** The last decisions, for comparing revisions. */
import { z } from 'zod';
import type { LoggedDecision } from '../../observability/decision-log.ts';
import { roundedScore } from './numbers.ts';
import { listOf, probability, verdict } from './parts.ts';

export const decisionsAnswer = z.strictObject({
  decisions: listOf(
    z.strictObject({
      id: z
        .string()
        .regex(/^[0-9a-f]{16}$/)
        .describe('Hash of the request id and the file: equal where equal requests came.'),
      model: z.string(),
      score: probability.nullable(),
      verdict,
      time: z.iso.datetime(),
    }),
  ).describe('The oldest first.'),
});

export const decisionsView = (decisions: readonly LoggedDecision[]): z.infer<typeof decisionsAnswer> => ({
  decisions: decisions.map(({ id, model, score, verdict, time }) => ({
    id,
    model,
    score: roundedScore(score),
    verdict,
    time: new Date(time).toISOString(),
  })),
});
