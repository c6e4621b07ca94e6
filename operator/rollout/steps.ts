/** What the steps of a strategy ask for. Pure. */
import type { ModelDeploymentSpec } from '../api/model-deployment.ts';
import type { CanaryStep } from '../api/rollout/strategy.ts';
import { hashOf } from '../runtime/apply.ts';
import type { HeaderRoute, MirrorRoute } from './contract.ts';
import {
  approximateWeightedCanaryStableReplicaCounts,
  type CanaryScale,
  type Counts,
  calculateReplicaCountsForTrafficRoutedCanary,
  type Limits,
  nextStage,
  resolveFenceposts,
  trafficWeightToReplicas,
} from './replicas.ts';

/** Who splits the traffic. blueGreen: nobody, it is switched. */
export type Split = 'replicas' | 'gatewayAPI' | 'blueGreen';

/** Of an analysis in status: that of a step, or the one in the background. */
export const analysisId = (step?: number): string => (step === undefined ? 'background' : `step-${step}`);

export function splitOf({ strategy }: ModelDeploymentSpec): Split {
  if (strategy?.blueGreen) return 'blueGreen';
  return strategy?.canary?.trafficRouting?.gatewayAPI ? 'gatewayAPI' : 'replicas';
}

/** The steps of either strategy: blueGreen is a canary at full count and without requests, which is judged and then switched to. */
export function stepsOf({ strategy }: ModelDeploymentSpec): readonly CanaryStep[] {
  const { canary, blueGreen } = strategy ?? {};
  if (!blueGreen) return canary?.steps ?? [];
  const { prePromotionAnalysis, autoPromotion } = blueGreen;
  return [
    { setCanaryScale: { weight: 100 } },
    ...(prePromotionAnalysis ? [{ analysis: prePromotionAnalysis }] : []),
    ...(autoPromotion === false ? [{ pause: {} }] : []),
  ];
}

/** Others than remembered begin at the first step. */
export const stepHash = (spec: ModelDeploymentSpec): string => hashOf(stepsOf(spec));

/** What all steps up to one ask for together. */
export interface Position {
  /** Percent of the requests. */
  readonly weight: number;
  /** undefined: as many pods as the weight needs. */
  readonly scale: CanaryScale | undefined;
  readonly headerRoutes: readonly HeaderRoute[];
  readonly mirrorRoutes: readonly MirrorRoute[];
  /** Something looks at the canary, whatever its weight: one pod is there for it. */
  readonly needsPod: boolean;
}

const START: Position = {
  weight: 0,
  scale: undefined,
  headerRoutes: [],
  mirrorRoutes: [],
  needsPod: false,
};

/** The position at a step; at the number of steps, that of a rollout which is through with them. */
export function positionAt(spec: ModelDeploymentSpec, index: number): Position {
  const steps = stepsOf(spec);
  const position = steps.slice(0, index + 1).reduce(take, START);
  if (index < steps.length || spec.strategy?.blueGreen) return position;
  return { ...position, weight: 100, scale: undefined, mirrorRoutes: [] };
}

function take(position: Position, step: CanaryStep): Position {
  const { setWeight, setCanaryScale, setHeaderRoute, setMirrorRoute, analysis } = step;
  if (setWeight !== undefined) return { ...position, weight: setWeight };
  if (setCanaryScale) return { ...position, scale: scaleOf(setCanaryScale) };
  if (setHeaderRoute) {
    const { name, match = [] } = setHeaderRoute;
    const headerRoutes = put(position.headerRoutes, { name, match }, match.length > 0);
    return { ...position, headerRoutes, needsPod: true };
  }
  if (setMirrorRoute) {
    const { name, percentage = 100 } = setMirrorRoute;
    const mirrorRoutes = put(position.mirrorRoutes, { name, percentage }, percentage > 0);
    return { ...position, mirrorRoutes, needsPod: true };
  }
  return analysis ? { ...position, needsPod: true } : position;
}

function scaleOf(scale: NonNullable<CanaryStep['setCanaryScale']>): CanaryScale | undefined {
  if (scale.replicas !== undefined) return { replicas: scale.replicas };
  return scale.weight === undefined ? undefined : { weight: scale.weight };
}

function put<T extends { readonly name: string }>(
  routes: readonly T[],
  route: T,
  present: boolean,
): readonly T[] {
  const others = routes.filter(({ name }) => name !== route.name);
  return present ? [...others, route] : others;
}

const DEFAULT_MAX_SURGE = '25%';

/** Pods that a strategy allows above and below a number of pods. */
export function limitsOf({ strategy }: ModelDeploymentSpec, replicas: number, noSurge = false): Limits {
  const { maxSurge = DEFAULT_MAX_SURGE, maxUnavailable = 0 } = strategy?.canary ?? {};
  return resolveFenceposts(noSurge ? 0 : maxSurge, maxUnavailable, replicas);
}

/** Where the pods of a position are to get to in the end. `noSurge`: there is no room for more than `replicas`. */
export function goalOf(
  spec: ModelDeploymentSpec,
  position: Position,
  replicas: number,
  noSurge = false,
): Counts {
  const split = splitOf(spec);
  if (split === 'replicas') return ratioGoal(position, replicas, limitsOf(spec, replicas, noSurge).maxSurge);
  const routed = calculateReplicaCountsForTrafficRoutedCanary({
    replicas,
    weight: position.weight,
    setCanaryScale: position.scale,
    dynamicStableScale: spec.strategy?.canary?.dynamicStableScale ?? false,
    actualWeight: undefined,
    abort: false,
  });
  const least = position.needsPod && position.scale === undefined ? Math.min(1, replicas) : 0;
  const canary = Math.max(routed.canary, least);
  // Argo shrinks the stable revision by what setCanaryScale says, though it may get more of the requests than that leaves.
  const stable = Math.max(routed.stable, trafficWeightToReplicas(replicas, 100 - position.weight));
  if (!noSurge || split === 'blueGreen') return { canary, stable };
  // Whoever gets requests keeps the pods for them, one at least: a canary that would take the last one waits for all of the traffic.
  const { maxUnavailable } = limitsOf(spec, replicas, true);
  const served = Math.floor((replicas * (100 - position.weight)) / 100) - maxUnavailable;
  const most = position.weight === 100 ? replicas : Math.max(0, replicas - Math.max(1, served));
  return { canary: Math.min(canary, most), stable: replicas - Math.min(canary, most) };
}

/** A canary without a weight stands beside the pods that serve, or in the place of one of several. */
function ratioGoal({ weight, needsPod }: Position, replicas: number, maxSurge: number): Counts {
  const counts = approximateWeightedCanaryStableReplicaCounts(replicas, weight, maxSurge);
  if (!needsPod || weight > 0 || replicas === 0) return counts;
  if (maxSurge > 0) return { canary: 1, stable: replicas };
  return replicas > 1 ? { canary: 1, stable: replicas - 1 } : counts;
}

/** A line of what a rollout will do. */
export interface StepPlanRow {
  /** Of the step; their number for the promotion at the end. */
  readonly index: number;
  /** In words, as `set weight to 20 %`. */
  readonly description: string;
  /** Percent of the requests that the canary gets. */
  readonly weight: number;
  readonly stablePods: number;
  readonly canaryPods: number;
  /** Most pods in all on the way to this step. */
  readonly maxPods: number;
}

/** What a rollout of this spec does to `replicas` pods, step by step, if nothing stops it. */
export function stepPlan(spec: ModelDeploymentSpec, replicas: number): StepPlanRow[] {
  const descriptions = [...stepsOf(spec).map(describe), describeEnd(spec)];
  const rows: StepPlanRow[] = [];
  let counts: Counts = { canary: 0, stable: replicas };
  for (const [index, description] of descriptions.entries()) {
    const position = positionAt(spec, index);
    const goal = goalOf(spec, position, replicas);
    rows.push({
      index,
      description,
      weight: position.weight,
      stablePods: goal.stable,
      canaryPods: goal.canary,
      maxPods: mostPods(spec, replicas, counts, goal),
    });
    counts = goal;
  }
  return rows.map((row, index) => (index === rows.length - 1 ? promoted(row, replicas) : row));
}

/** The pods of the old revision go, the new one is stable. */
const promoted = (row: StepPlanRow, replicas: number): StepPlanRow => ({
  ...row,
  weight: 100,
  stablePods: 0,
  canaryPods: replicas,
});

function mostPods(spec: ModelDeploymentSpec, replicas: number, from: Counts, goal: Counts): number {
  if (splitOf(spec) !== 'replicas') {
    return Math.max(from.stable, goal.stable) + Math.max(from.canary, goal.canary);
  }
  const limits = limitsOf(spec, replicas);
  const ready = (count: number) => ({ desired: count, available: count });
  let counts = from;
  let most = counts.canary + counts.stable;
  // Each stage moves a pod at least.
  for (let stage = 0; stage <= 2 * (replicas + limits.maxSurge); stage++) {
    const { canary, stable } = counts;
    counts = nextStage({
      replicas,
      goal,
      canary: ready(canary),
      stable: ready(stable),
      others: [],
      ...limits,
    });
    most = Math.max(most, counts.canary + counts.stable);
    if (counts.canary === canary && counts.stable === stable) break;
  }
  return most;
}

/** A step in words. */
export function describe(step: CanaryStep): string {
  const { setWeight, pause, analysis, setCanaryScale, setHeaderRoute, setMirrorRoute } = step;
  if (setWeight !== undefined) return `set weight to ${setWeight} %`;
  if (pause) return pause.duration === undefined ? 'pause until promoted' : `pause for ${pause.duration}`;
  if (analysis) return `analysis of ${analysis.metrics.map(({ name }) => name).join(', ')}`;
  if (setCanaryScale) return describeScale(scaleOf(setCanaryScale));
  if (setHeaderRoute) {
    const { name, match = [] } = setHeaderRoute;
    if (match.length === 0) return `take header route ${name} away`;
    return `route ${match.map(({ headerName }) => headerName).join(', ')} to the canary (${name})`;
  }
  const { name, percentage = 100 } = setMirrorRoute ?? { name: '' };
  return percentage === 0
    ? `take mirror route ${name} away`
    : `mirror ${percentage} % to the canary (${name})`;
}

function describeScale(scale: CanaryScale | undefined): string {
  if (scale === undefined) return 'scale the canary as its weight';
  return 'replicas' in scale
    ? `scale the canary to ${scale.replicas} ${scale.replicas === 1 ? 'pod' : 'pods'}`
    : `scale the canary to ${scale.weight} %`;
}

const describeEnd = (spec: ModelDeploymentSpec) =>
  spec.strategy?.blueGreen ? 'switch to the new revision' : 'promote the new revision';
