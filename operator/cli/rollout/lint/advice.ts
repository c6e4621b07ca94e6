/** What a schema cannot say of a strategy: steps that go nowhere, and metrics that can never be measured. Pure. */
import { checkCondition } from '../../../analysis/conditions.ts';
import type { ModelDeploymentSpec } from '../../../api/model-deployment.ts';
import type { Metric } from '../../../api/rollout/analysis.ts';
import type { BlueGreenStrategy, CanaryStep, CanaryStrategy } from '../../../api/rollout/strategy.ts';
import { planOf, shareOf } from '../plan.ts';
import { doubt, type Finding, type Path, problem } from './finding.ts';

export function adviseDeployment(spec: ModelDeploymentSpec): Finding[] {
  const { strategy, rollbackTo } = spec;
  const models = new Set(spec.models.map(({ name }) => name));
  const undo = doubt(
    ['spec', 'rollbackTo'],
    `whatever else the spec says, revision ${rollbackTo} is served until this is taken out`,
  );
  return [
    ...(rollbackTo === undefined ? [] : [undo]),
    ...(strategy?.canary ? [...adviseCanary(strategy.canary, models), ...advisePods(spec)] : []),
    ...(strategy?.blueGreen ? adviseBlueGreen(strategy.blueGreen, models) : []),
  ];
}

/** What the number of pods makes of the steps. */
function advisePods(spec: ModelDeploymentSpec): Finding[] {
  const { replicas, split, rows } = planOf('', spec);
  if (replicas === 0) return [];
  const steps = spec.strategy?.canary?.steps ?? [];
  return steps.flatMap((step, index): Finding[] => {
    const row = rows[index];
    const path = [...CANARY, 'steps', index];
    if (!row) return [];
    if (row.canaryPods === 0 && step.analysis) {
      return [
        problem([...path, 'analysis'], 'no pod of the canary is there at this step: nothing can be measured'),
      ];
    }
    if (row.canaryPods === 0 && step.pause) {
      return [doubt([...path, 'pause'], 'no pod of the canary is there at this step: a pause shows nothing')];
    }
    const share = Math.round(shareOf(row));
    if (step.setWeight === undefined || split !== 'replicas' || Math.abs(share - step.setWeight) < 1)
      return [];
    const of = `${row.canaryPods} of ${row.canaryPods + row.stablePods} pods`;
    const message = `${step.setWeight} % cannot be reached with ${replicas} ${replicas === 1 ? 'pod' : 'pods'}: the nearest is ${share} % (${of})`;
    return [doubt([...path, 'setWeight'], message)];
  });
}

/** What is so before a step is taken. */
interface Before {
  readonly weight: number;
  /** Of the steps before; -1: none set a weight. */
  readonly weighedAt: number;
  readonly mirrors: ReadonlySet<string>;
  readonly headers: ReadonlySet<string>;
}
const BEGINNING: Before = { weight: 0, weighedAt: -1, mirrors: new Set(), headers: new Set() };

const CANARY: Path = ['spec', 'strategy', 'canary'];

function adviseCanary({ steps, analysis }: CanaryStrategy, models: ReadonlySet<string>): Finding[] {
  const findings: Finding[] = [];
  let before = BEGINNING;
  for (const [index, step] of steps.entries()) {
    const path = [...CANARY, 'steps', index];
    findings.push(...adviseStep(step, before, path, models));
    before = after(step, before, index);
  }
  return [...findings, ...(analysis ? adviseBackground(analysis, steps, models) : [])];
}

function after(step: CanaryStep, before: Before, index: number): Before {
  const { setWeight, setHeaderRoute, setMirrorRoute } = step;
  const weight = setWeight ?? before.weight;
  return {
    weight,
    weighedAt: setWeight === undefined ? before.weighedAt : index,
    headers: changed(before.headers, setHeaderRoute?.name, (setHeaderRoute?.match?.length ?? 0) > 0),
    mirrors: changed(before.mirrors, setMirrorRoute?.name, setMirrorRoute?.percentage !== 0),
  };
}

function changed(routes: ReadonlySet<string>, name: string | undefined, added: boolean): ReadonlySet<string> {
  if (name === undefined) return routes;
  return new Set(added ? [...routes, name] : [...routes].filter((other) => other !== name));
}

function adviseStep(step: CanaryStep, before: Before, path: Path, models: ReadonlySet<string>): Finding[] {
  const { setWeight, pause, analysis, setHeaderRoute, setMirrorRoute } = step;
  if (setWeight !== undefined) return adviseWeight(setWeight, before, [...path, 'setWeight']);
  if (pause) return advisePause(pause.duration, before, [...path, 'pause']);
  if (analysis) {
    const list = [...path, 'analysis', 'metrics'];
    return analysis.metrics.flatMap((metric, index) => [
      ...adviseMetric(metric, [...list, index], models),
      ...adviseTraffic(metric, before, [...list, index]),
    ]);
  }
  if (setHeaderRoute && !setHeaderRoute.match?.length && !before.headers.has(setHeaderRoute.name)) {
    return [noSuchRoute([...path, 'setHeaderRoute'], setHeaderRoute.name)];
  }
  if (setMirrorRoute?.percentage === 0 && !before.mirrors.has(setMirrorRoute.name)) {
    return [noSuchRoute([...path, 'setMirrorRoute'], setMirrorRoute.name)];
  }
  return [];
}

const noSuchRoute = (path: Path, name: string) =>
  doubt(path, `takes the route ${name} away, which no step before it sets`);

function adviseWeight(weight: number, before: Before, path: Path): Finding[] {
  if (weight < before.weight) {
    return [
      doubt(path, `the weight falls from ${before.weight} to ${weight}: steps lead to the new revision`),
    ];
  }
  const said = before.weighedAt >= 0 ? 'the weight' : 'the weight that every rollout begins with';
  return weight === before.weight
    ? [doubt(path, `${weight} is ${said} already: the step changes nothing`)]
    : [];
}

function advisePause(duration: string | undefined, { weight }: Before, path: Path): Finding[] {
  if (duration !== undefined && Number.parseFloat(duration.replaceAll(/[a-z]+/g, '')) === 0) {
    return [doubt(path, 'a pause of no time waits for nothing')];
  }
  return weight === 100
    ? [doubt(path, 'the canary has all requests already: a pause that may stop a rollout comes before that')]
    : [];
}

/** Metrics that live requests feed. */
function needsRequests({ builtin, drift }: Metric): boolean {
  return drift !== undefined || builtin?.metric === 'errorRate' || builtin?.metric === 'latencyP95';
}

function adviseTraffic(metric: Metric, { weight, mirrors, headers }: Before, path: Path): Finding[] {
  if (metric.shadow) return mirrors.size > 0 ? [] : [noMirror([...path, 'shadow'])];
  if (!needsRequests(metric) || weight > 0 || mirrors.size > 0 || headers.size > 0) return [];
  return [
    doubt(
      path,
      `no request reaches the canary before this step: ${metric.name} stays inconclusive and pauses the rollout`,
    ),
  ];
}

const noMirror = (path: Path) =>
  problem(path, 'compares mirrored requests, and no step before it sets a mirror route (setMirrorRoute)');

function adviseBackground(
  { metrics, startingStep = 0 }: NonNullable<CanaryStrategy['analysis']>,
  steps: readonly CanaryStep[],
  models: ReadonlySet<string>,
): Finding[] {
  const path = [...CANARY, 'analysis'];
  const mirrored = steps.some(({ setMirrorRoute }) => setMirrorRoute && setMirrorRoute.percentage !== 0);
  const late = doubt(
    [...path, 'startingStep'],
    `there are ${steps.length} steps, counted from 0: nothing is measured`,
  );
  return [
    ...(steps.length > 0 && startingStep >= steps.length ? [late] : []),
    ...(steps.length === 0
      ? [doubt(path, 'without steps the rollout may be over before anything is measured')]
      : []),
    ...metrics.flatMap((metric, index) => {
      const at = [...path, 'metrics', index];
      return [
        ...adviseMetric(metric, at, models),
        ...(metric.shadow && !mirrored ? [noMirror([...at, 'shadow'])] : []),
        ...(metric.interval === undefined && !metric.probeSet
          ? [
              doubt(
                at,
                `${metric.name} is measured once: an interval has it measured for as long as the rollout lasts`,
              ),
            ]
          : []),
      ];
    }),
  ];
}

function adviseBlueGreen(
  { prePromotionAnalysis }: BlueGreenStrategy,
  models: ReadonlySet<string>,
): Finding[] {
  const path = ['spec', 'strategy', 'blueGreen', 'prePromotionAnalysis', 'metrics'];
  return (prePromotionAnalysis?.metrics ?? []).flatMap((metric, index) => {
    const at = [...path, index];
    const idle = `no request reaches the new revision before the switch: ${metric.name} stays inconclusive`;
    return [
      ...adviseMetric(metric, at, models),
      ...(metric.shadow
        ? [problem([...at, 'shadow'], 'compares mirrored requests, and blueGreen mirrors none')]
        : []),
      ...(needsRequests(metric) ? [doubt(at, idle)] : []),
    ];
  });
}

function adviseMetric(metric: Metric, path: Path, models: ReadonlySet<string>): Finding[] {
  const { successCondition, failureCondition } = metric;
  const conditions = { successCondition, failureCondition };
  const model = metric.probeSet?.model ?? metric.shadow?.model ?? metric.drift?.model;
  const provider = metric.probeSet ? 'probeSet' : metric.shadow ? 'shadow' : 'drift';
  return [
    ...Object.entries(conditions).flatMap(([field, text]) => {
      const wrong = text === undefined ? undefined : checkCondition(text);
      return wrong === undefined ? [] : [problem([...path, field], wrong)];
    }),
    ...(model === undefined || models.has(model)
      ? []
      : [
          problem(
            [...path, provider, 'model'],
            `${model} is none of spec.models (${[...models].join(', ')})`,
          ),
        ]),
  ];
}
