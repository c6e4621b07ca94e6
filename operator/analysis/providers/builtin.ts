/** Figures of the pods themselves: what `builtin` measures and how it is judged. Pure. */
import type { Metric } from '../../api/rollout/analysis.ts';
import type { Pod } from '../../controllers/kinds.ts';
import type { Taken } from '../evaluate.ts';
import type { Sample } from '../exposition.ts';
import { figures, rounded } from '../figures.ts';
import { bucketsOf, increases, METRIC, type PodSamples, total } from '../scrape.ts';
import { histogramQuantile } from '../statistics.ts';

export type Builtin = NonNullable<Metric['builtin']>;

export interface Figure {
  /** NaN: nothing to measure it by. */
  readonly value: number;
  /** Requests that it is made of; undefined where it is not made of requests. */
  readonly count: number | undefined;
}

const DEFAULT_MIN_COUNT = 20;

/** Patterns of routes that have media judged. Probes and scrapes would hide errors among answers that cost nothing. */
export const ANALYSING_ROUTES: ReadonlySet<string> = new Set([
  '/analyze',
  '/analyze/batch',
  '/v1/detections',
  '/predict',
  '/v1/predict',
  '/infer',
  '/predict/batch',
  '/predict/compare',
  '/v1/predict/batch',
  '/v1/predict/compare',
  '/explain',
  '/v1/explain',
  '/predict/explain',
  '/v1/predict/explain',
  '/v2/models/:model/infer',
  '/v2/models/:model/versions/:version/infer',
]);

/** The samples that a figure is made of: all that has to be remembered of a scrape. */
export function isOf({ metric, stage = 'total' }: Builtin): (sample: Sample) => boolean {
  return ({ name, labels }) =>
    metric === 'errorRate'
      ? name === METRIC.requests && ANALYSING_ROUTES.has(labels['route'] ?? '') && labels['code'] !== '499'
      : name === METRIC.stageBuckets && labels['stage'] === stage;
}

/** They are made of what happened between two scrapes; the others are as they are now. */
export const isRate = ({ metric }: Builtin) => metric === 'errorRate' || metric === 'latencyP95';

/** @throws Error for a figure that the pods do not give */
export function builtinFigure(
  builtin: Builtin,
  before: readonly PodSamples[],
  now: readonly PodSamples[],
  pods: readonly Pod[],
): Figure {
  switch (builtin.metric) {
    case 'errorRate':
      return errorRate(increases(before, now, isOf(builtin)));
    case 'latencyP95':
      return latency(increases(before, now, isOf(builtin)));
    case 'queueAge':
      return { value: Math.max(...valuesOf(now, METRIC.queueAge)), count: undefined };
    case 'restarts':
      return { value: restartsOf(pods), count: undefined };
    case 'gpuMemory':
      return { value: gpuMemory(now), count: undefined };
  }
}

/** Of requests that were answered: 499 is a client that left. */
function errorRate(requests: readonly Sample[]): Figure {
  const count = total(requests);
  const errors = total(requests.filter(({ labels }) => labels['code']?.startsWith('5')));
  return { value: errors / count, count };
}

function latency(samples: readonly Sample[]): Figure {
  const buckets = bucketsOf(samples);
  const count = buckets.at(-1)?.count ?? 0;
  // Above the last bucket nothing is known but that it is more.
  const beyond = (buckets.at(-2)?.count ?? 0) < 0.95 * count;
  return { value: beyond ? Number.POSITIVE_INFINITY : histogramQuantile(0.95, buckets), count };
}

const valuesOf = (pods: readonly PodSamples[], wanted: string) =>
  pods.flatMap(({ samples }) => samples.filter(({ name }) => name === wanted).map(({ value }) => value));

const restartsOf = (pods: readonly Pod[]) =>
  pods
    .flatMap(({ status }) => status?.containerStatuses ?? [])
    .reduce((sum, { restartCount }) => sum + restartCount, 0);

function gpuMemory(pods: readonly PodSamples[]): number {
  const used = valuesOf(pods, METRIC.gpuMemoryUsed);
  const of = valuesOf(pods, METRIC.gpuMemoryTotal);
  if (pods.length > 0 && (used.length === 0 || of.length === 0))
    throw new Error(
      `the pods do not say how much memory of their GPUs is in use (${METRIC.gpuMemoryUsed}): take a prometheus metric of your GPU exporter instead`,
    );
  return used.reduce((sum, value) => sum + value, 0) / of.reduce((sum, value) => sum + value, 0);
}

/** @param stable undefined: there is no such revision, or it was not looked at because no ratio is asked for */
export function judgeBuiltin(builtin: Builtin, canary: Figure, stable: Figure | undefined): Taken {
  const { metric, max, maxRatio, minCount = DEFAULT_MIN_COUNT } = builtin;
  const value = figures({ canary: canary.value, stable: stable?.value, requests: canary.count });
  const taken = (phase: Taken['phase'], message?: string): Taken => ({ phase, value, message });
  const tooFew = tooLittle('the canary', canary, minCount);
  if (tooFew !== undefined) return taken('Inconclusive', tooFew);
  if (max !== undefined && canary.value > max)
    return taken('Failed', `${metric} is ${rounded(canary.value)}, more than max ${max}`);
  if (maxRatio === undefined) return taken('Successful');
  if (!stable) return taken('Inconclusive', 'there is no stable revision to compare with');
  const tooFewStable = tooLittle('the stable revision', stable, minCount);
  if (tooFewStable !== undefined) return taken('Inconclusive', tooFewStable);
  if (canary.value <= maxRatio * stable.value) return taken('Successful');
  return taken(
    'Failed',
    `${metric} is ${rounded(canary.value)}, more than ${maxRatio} times the ${rounded(stable.value)} of the stable revision`,
  );
}

function tooLittle(whose: string, { value, count }: Figure, minCount: number): string | undefined {
  if (count !== undefined && count < minCount)
    return `${whose} has answered ${count} requests, fewer than minCount ${minCount}`;
  return Number.isNaN(value) || value === Number.NEGATIVE_INFINITY
    ? `nothing of ${whose} could be measured`
    : undefined;
}
