/** Whether two revisions give their scores alike: `drift`. Pure. */
import type { Metric } from '../../api/rollout/analysis.ts';
import type { Taken } from '../evaluate.ts';
import { figures, rounded } from '../figures.ts';
import { bucketsOf, METRIC, type PodSamples } from '../scrape.ts';
import { kolmogorovSmirnov, merged, perBin, populationStabilityIndex } from '../statistics.ts';

export type Drift = NonNullable<Metric['drift']>;

const DEFAULT_MIN_COUNT = 200;
/** The pods count in twenty bins. In ten the index of unchanged scores is half as large, and the limits that people know are those of ten. */
const PSI_BINS_MERGED = 2;

/** How many scores of a model fell into each bin of 0..1, since the pods began. */
export function scoreBins(pods: readonly PodSamples[], model: string): number[] {
  const samples = pods.flatMap((pod) =>
    pod.samples.filter(({ name, labels }) => name === METRIC.scoreBuckets && labels['model'] === model),
  );
  const finite = bucketsOf(samples).filter(({ le }) => Number.isFinite(le));
  return perBin(finite);
}

export function judgeDrift(
  drift: Drift,
  model: string,
  canary: readonly number[],
  stable: readonly number[],
): Taken {
  const { maxPsi, maxKs, minCount = DEFAULT_MIN_COUNT } = drift;
  const counts = { canary: sum(canary), stable: sum(stable) };
  for (const [whose, count] of Object.entries(counts)) {
    if (count < minCount)
      return {
        phase: 'Inconclusive',
        value: figures(counts),
        message: `the ${whose} revision has ${count} scores of ${model}, fewer than minCount ${minCount}`,
      };
  }
  if (canary.length !== stable.length)
    return { phase: 'Error', message: 'the revisions count their scores in different bins' };
  const psi = populationStabilityIndex(merged(stable, PSI_BINS_MERGED), merged(canary, PSI_BINS_MERGED));
  const ks = kolmogorovSmirnov(stable, canary);
  const value = figures({ psi, ks, ...counts });
  const wrong = [
    maxPsi !== undefined && psi > maxPsi ? `psi is ${rounded(psi)}, more than maxPsi ${maxPsi}` : '',
    maxKs !== undefined && ks > maxKs ? `ks is ${rounded(ks)}, more than maxKs ${maxKs}` : '',
  ].filter((text) => text !== '');
  return wrong.length === 0
    ? { phase: 'Successful', value }
    : { phase: 'Failed', value, message: `${model}: ${wrong.join('; ')}` };
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
