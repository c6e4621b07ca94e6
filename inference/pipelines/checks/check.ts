/** What is asked about a score before it is believed. A check that fails takes the verdict back or warns, as its package says. */
import type { InconclusiveReason } from '../../models/verdict.ts';
import type { Analysis, Explanation } from '../analysis.ts';
import { explainReason } from '../explanations.ts';

export interface Check {
  /** Why there is no verdict where the check fails. */
  readonly reason: Extract<InconclusiveReason, 'out_of_distribution' | 'fragile_verdict'>;
  readonly hasFailed: boolean;
  /** Whether a failure takes the verdict back; else it is a warning beside it. */
  readonly abstains: boolean;
  readonly signals: Analysis['signals'];
  /** Beside a verdict: what was found, or the warning. */
  readonly explanation: Explanation;
}

/** Whether the check takes the verdict back. */
export function isDecisive({ hasFailed, abstains }: Check): boolean {
  return hasFailed && abstains;
}

/**
 * The analysis with what the checks found. Without a verdict there is no score either, and nothing that the model said of the parts: they
 * would be the verdict by other means.
 * @param analysis that has a score
 */
export function withChecks(analysis: Analysis, checks: readonly Check[]): Analysis {
  const signals = Object.assign({}, ...checks.map((check) => check.signals)) as Analysis['signals'];
  const inconclusiveReasons = checks.filter(isDecisive).map(({ reason }) => reason);
  if (inconclusiveReasons.length > 0) {
    const { segments: _, tracks: __, frames, ...rest } = analysis;
    return {
      ...rest,
      ...(frames === undefined ? {} : { frames: [] }),
      score: null,
      verdict: 'INCONCLUSIVE',
      inconclusiveReasons,
      signals,
      explanations: inconclusiveReasons.map(explainReason),
    };
  }
  const warnings = checks.filter(({ hasFailed }) => hasFailed).map(({ explanation }) => explanation.text);
  return {
    ...analysis,
    signals: { ...analysis.signals, ...signals },
    explanations: [...analysis.explanations, ...checks.map(({ explanation }) => explanation)],
    notes: [...analysis.notes, ...warnings],
  };
}
