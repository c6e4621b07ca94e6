/** An analyzer with the checks of its package behind it. Without checks nothing is done and nothing is added. */
import type { Manifest } from '../../models/manifest.ts';
import type { Analysis, DetectorContext, DetectorInput } from '../analysis.ts';
import { type Check, withChecks } from './check.ts';
import { distributionCheck, FeatureCollector } from './distribution.ts';

type Analyze = (input: DetectorInput, context: DetectorContext) => Promise<Analysis>;

export function checked({ ood }: Pick<Manifest, 'ood'>, analyze: Analyze): Analyze {
  return async (input, context) => {
    const collector = ood === undefined ? undefined : new FeatureCollector(ood.source);
    const analysis = await analyze(
      input,
      collector === undefined ? context : { ...context, observer: collector },
    );
    // What was not judged has nothing to be checked.
    if (analysis.score === null) return analysis;
    const checks: Check[] = [];
    if (ood !== undefined && collector !== undefined)
      checks.push(await distributionCheck(ood, collector, input, context));
    return checks.length === 0 ? analysis : withChecks(analysis, checks);
  };
}
