/** What an analysis that is wanted measures, as the spec says. Pure. */
import type { ModelDeploymentSpec } from '../api/model-deployment.ts';
import type { Metric } from '../api/rollout/analysis.ts';
import type { WantedAnalysis } from '../rollout/contract.ts';
import { checkConditions } from './conditions.ts';
import type { RunPlan } from './evaluate.ts';
import { checkQuery } from './providers/prometheus.ts';

/** @returns instead what keeps it from being measured at all */
export function planOf(
  spec: ModelDeploymentSpec,
  { step }: WantedAnalysis,
): RunPlan | { readonly problem: string } {
  const metrics = metricsOf(spec, step);
  if (!metrics || metrics.length === 0) {
    const where = step === undefined ? 'in the background' : `in step ${step}`;
    return { problem: `the spec has no analysis ${where}` };
  }
  for (const metric of metrics) {
    const wrong = checkMetric(metric, spec);
    if (wrong !== undefined) return { problem: `${metric.name}: ${wrong}` };
  }
  return { metrics, background: step === undefined };
}

function metricsOf({ strategy }: ModelDeploymentSpec, step: number | undefined) {
  const { canary, blueGreen } = strategy ?? {};
  // It has one analysis, whose place among its steps is for others to say.
  if (blueGreen) return blueGreen.prePromotionAnalysis?.metrics;
  return step === undefined ? canary?.analysis?.metrics : canary?.steps[step]?.analysis?.metrics;
}

/** What is wrong with a metric that no schema tells, or undefined. */
export function checkMetric(metric: Metric, { models }: ModelDeploymentSpec): string | undefined {
  const { drift, shadow, probeSet, prometheus } = metric;
  const model = (drift ?? shadow ?? probeSet)?.model;
  if (model !== undefined && models.every(({ name }) => name !== model))
    return `model ${model} is none of spec.models`;
  const conditions = checkConditions(metric);
  if (conditions !== undefined) return conditions;
  const query = prometheus && checkQuery(prometheus.query);
  return query === undefined ? undefined : `prometheus.query: ${query}`;
}

export interface Finding {
  /** Where, e.g. `spec.strategy.canary.steps[2].analysis.metrics[0]`. */
  readonly path: string;
  readonly message: string;
}

/** Everything in the analyses of a spec that no schema tells: for InvalidSpec and for people who ask before they apply. */
export function checkAnalyses(spec: ModelDeploymentSpec): readonly Finding[] {
  const { canary, blueGreen } = spec.strategy ?? {};
  const found = (metrics: readonly Metric[] | undefined, path: string, isMirrored: boolean) =>
    (metrics ?? []).flatMap((metric, index): Finding[] => {
      const wrong =
        checkMetric(metric, spec) ??
        (metric.shadow && !isMirrored ? 'shadow needs a setMirrorRoute step before it' : undefined);
      return wrong === undefined ? [] : [{ path: `${path}.metrics[${index}]`, message: wrong }];
    });
  const steps = canary?.steps ?? [];
  const mirroredBefore = (end: number) =>
    steps.slice(0, end).findLast((step) => step.setMirrorRoute)?.setMirrorRoute?.percentage !== 0 &&
    steps.slice(0, end).some((step) => step.setMirrorRoute);
  return [
    ...steps.flatMap(({ analysis }, index) =>
      found(analysis?.metrics, `spec.strategy.canary.steps[${index}].analysis`, mirroredBefore(index)),
    ),
    ...found(
      canary?.analysis?.metrics,
      'spec.strategy.canary.analysis',
      steps.some((step) => step.setMirrorRoute),
    ),
    ...found(blueGreen?.prePromotionAnalysis?.metrics, 'spec.strategy.blueGreen.prePromotionAnalysis', false),
  ];
}
