/** An analyzer with the checks of its package behind it. Without checks nothing is done and nothing is added. */
import type { Manifest } from '../../models/manifest.ts';
import { silentPackage } from '../../models/perturbation.ts';
import type { Analysis, DetectorContext, DetectorInput, Extras } from '../analysis.ts';
import { type Check, isDecisive, withChecks } from './check.ts';
import { distributionCheck, FeatureCollector } from './distribution.ts';
import { perturbationCheck, rescored, type Timings } from './perturbation.ts';

type Analyze = (input: DetectorInput, context: DetectorContext) => Promise<Analysis>;

export type CheckedAnalyze = (
  input: DetectorInput,
  context: DetectorContext,
  extras: Extras,
) => Promise<Analysis>;

/** @param maxRuns changed copies that are judged at most; 0: none, whoever asks */
export function checked(
  { ood, perturbation = silentPackage }: Pick<Manifest, 'ood' | 'perturbation'>,
  analyze: Analyze,
  maxRuns: number,
): CheckedAnalyze {
  return async (input, context, { perturb = perturbation.byDefault }) => {
    const collector = ood === undefined ? undefined : new FeatureCollector(ood.source, context.observer);
    const analysis = await analyze(
      input,
      collector === undefined ? context : { ...context, observer: collector },
    );
    const { score, verdict } = analysis;
    // What was not judged has nothing to be checked.
    if (score === null) return analysis;
    const checks: Check[] = [];
    if (ood !== undefined && collector !== undefined)
      checks.push(await distributionCheck(ood, collector, input, context));
    if (!perturb || maxRuns === 0 || checks.some(isDecisive)) return concluded(analysis, checks);
    if (input.media.kind !== 'image')
      return concluded({ ...analysis, notes: [...analysis.notes, imagesOnly] }, checks);
    const copies = await rescored(input, { ...context, observer: undefined }, maxRuns, analyze);
    checks.push(perturbationCheck({ score, verdict }, copies.analyses, perturbation.abstain));
    return concluded({ ...analysis, timingsMs: sum(analysis.timingsMs, copies.timingsMs) }, checks);
  };
}

const imagesOnly = 'Only images are changed and judged again: whether the verdict is stable is not known.';

function concluded(analysis: Analysis, checks: readonly Check[]): Analysis {
  return checks.length === 0 ? analysis : withChecks(analysis, checks);
}

function sum(a: Timings, b: Timings): Timings {
  return {
    decode: a.decode + b.decode,
    preprocess: a.preprocess + b.preprocess,
    infer: a.infer + b.infer,
  };
}
