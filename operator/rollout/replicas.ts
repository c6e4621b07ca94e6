/**
 * How many pods each revision has, in the arithmetic of argo-rollouts, which test/oracle compares on random inputs. Pure. Names are
 * Argo's where the same thing is meant.
 */

/** Pods of a revision: asked for, and able to answer. */
export interface Pods {
  readonly desired: number;
  readonly available: number;
}

/** How many pods each revision should have. */
export interface Counts {
  readonly canary: number;
  readonly stable: number;
}

export const NO_PODS: Pods = { desired: 0, available: 0 };

/** Counts, as maxSurge and maxUnavailable mean them for a number of pods. */
export interface Limits {
  readonly maxSurge: number;
  readonly maxUnavailable: number;
}

type CountOrPercent = number | string;

/**
 * Percentages of surge are rounded up, of unavailability down. Where nothing is left of both, one pod may be missing, for otherwise
 * none could ever be exchanged.
 */
export function resolveFenceposts(
  maxSurge: CountOrPercent,
  maxUnavailable: CountOrPercent,
  replicas: number,
): Limits {
  const surge = resolve(maxSurge, replicas, Math.ceil);
  const unavailable = resolve(maxUnavailable, replicas, Math.floor);
  const needed = surge === 0 && unavailable === 0 ? 1 : unavailable;
  return { maxSurge: surge, maxUnavailable: Math.min(needed, replicas) };
}

function resolve(value: CountOrPercent, replicas: number, round: (share: number) => number): number {
  if (typeof value === 'number') return value;
  const percent = /^(\d+)%$/.exec(value)?.[1];
  if (percent === undefined) throw new TypeError(`${value} is neither a count nor a percentage`);
  return round((Number(percent) * replicas) / 100);
}

/**
 * The counts whose ratio comes closest to a weight, in percent: of a tie the one with more canaries. They add up to `replicas`, or to
 * one more where a surge is allowed. A weight of 1..99 gives both revisions a pod wherever two pods are allowed.
 */
export function approximateWeightedCanaryStableReplicaCounts(
  replicas: number,
  weight: number,
  maxSurge: number,
): Counts {
  if (replicas === 0) return { canary: 0, stable: 0 };
  const up = Math.ceil((replicas * weight) / 100);
  const down = Math.floor((replicas * weight) / 100);
  const zeroAllowed = weight === 100 || weight === 0 || (replicas === 1 && maxSurge === 0);
  const downAllowed = (total: number) => !isTied(weight, total) && (down !== 0 || zeroAllowed);
  const options = [
    ...(up < replicas || zeroAllowed ? [{ canary: up, total: replicas }] : []),
    ...(downAllowed(replicas) ? [{ canary: down, total: replicas }] : []),
    ...(maxSurge > 0 ? [{ canary: up, total: replicas + 1 }] : []),
    ...(maxSurge > 0 && downAllowed(replicas + 1) ? [{ canary: down, total: replicas + 1 }] : []),
  ];
  const error = ({ canary, total }: { canary: number; total: number }) =>
    Math.abs((canary * 100) / total - weight);
  const [first = { canary: 0, total: replicas }, ...rest] = options;
  const best = rest.reduce((chosen, option) => (error(option) < error(chosen) ? option : chosen), first);
  return { canary: best.canary, stable: best.total - best.canary };
}

/** Both counts next to the weight are equally far from it. */
const isTied = (weight: number, total: number) => (total * (weight / 100)) % 1 === 0.5;

export interface Exchange extends Limits {
  readonly replicas: number;
  /** Where it leads. */
  readonly goal: Counts;
  readonly canary: Pods;
  /** undefined: there is no other revision to exchange pods with. */
  readonly stable: Pods | undefined;
  /** Pods of further revisions, which go before any other does. */
  readonly others: readonly Pods[];
}

/**
 * The next safe stage on the way to a goal, where the pods of all revisions serve the same clients: never more pods asked for than
 * `replicas` and maxSurge, stable first; then as many taken away as those that are available without them allow. What is taken
 * away counts as it is asked for, for pods that are not ready go first: a broken revision could never leave otherwise.
 */
export function nextStage({
  replicas,
  goal,
  canary,
  stable,
  others,
  maxSurge,
  maxUnavailable,
}: Exchange): Counts {
  const most = replicas + maxSurge;
  const least = replicas - maxUnavailable;
  const othersDesired = sum(others.map(({ desired }) => desired));
  const held = stable ?? NO_PODS;
  const room = most - othersDesired - canary.desired - held.desired;
  const stableUp = stable ? rise(held.desired, goal.stable, room) : 0;
  const canaryUp = rise(canary.desired, goal.canary, room - stableUp);
  const up = { canary: canary.desired + canaryUp, stable: held.desired + stableUp };
  if (othersDesired > 0) return up;
  const raises = goal.canary >= canary.desired;
  const spare = staying(canary, !raises) + staying(held, raises) - least;
  if (spare <= 0) return up;
  if (!raises) {
    const drained = drain(canary.desired, goal.canary, spare, up.canary);
    const limited = withinLimits({ drained, kept: up.stable, from: canary, to: stable, most, least });
    return { canary: limited.drained, stable: limited.kept };
  }
  if (!stable) return up;
  const drained = drain(held.desired, goal.stable, spare, up.stable);
  const limited = withinLimits({ drained, kept: up.canary, from: stable, to: canary, most, least });
  return { canary: limited.kept, stable: limited.drained };
}

const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0);

function rise(desired: number, goal: number, room: number): number {
  return Math.max(0, Math.min(goal - desired, room));
}

/** Pods that will be there; of a revision that is taken away, those that are asked for. */
function staying({ desired, available }: Pods, ignoreAvailability: boolean): number {
  return ignoreAvailability ? desired : Math.min(desired, available);
}

function drain(desired: number, goal: number, spare: number, otherwise: number): number {
  return desired > goal ? Math.max(goal, desired - spare) : otherwise;
}

interface LimitInput {
  /** The count of what is taken away, and of what stays. */
  readonly drained: number;
  readonly kept: number;
  readonly from: Pods;
  readonly to: Pods | undefined;
  readonly most: number;
  readonly least: number;
}

/** Where fewer pods are wanted than before, both counts may be too high: what stays yields first, unless it is what serves. */
function withinLimits({ drained, kept, from, to, most, least }: LimitInput): {
  drained: number;
  kept: number;
} {
  if (!to) return { drained, kept };
  const lowered = kept - Math.max(0, kept + drained - most);
  const available = Math.min(from.available, drained) + Math.min(to.available, lowered);
  const lost = Math.max(0, to.available - lowered);
  const back = lowered + Math.min(lost, Math.max(0, least - available));
  return { drained: drained - Math.max(0, back + drained - most), kept: back };
}

export interface BasicCanary extends Limits {
  readonly replicas: number;
  /** Percent. */
  readonly weight: number;
  readonly canary: Pods;
  readonly stable: Pods | undefined;
  readonly others: readonly Pods[];
}

/** The next counts where both revisions stand behind one Service, and the weight is their ratio. */
export function calculateReplicaCountsForBasicCanary(input: BasicCanary): Counts {
  const { replicas, weight, stable, maxSurge } = input;
  const goal = stable
    ? approximateWeightedCanaryStableReplicaCounts(replicas, weight, maxSurge)
    : { canary: replicas, stable: 0 };
  return nextStage({ ...input, goal });
}

/** Pods for a share of the traffic, in percent. */
export const trafficWeightToReplicas = (replicas: number, weight: number) =>
  Math.ceil((weight * replicas) / 100);

export type CanaryScale = { readonly replicas: number } | { readonly weight: number };

export interface TrafficRoutedCanary {
  readonly replicas: number;
  /** Percent that the steps ask for. */
  readonly weight: number;
  /** What the steps ask for apart from the weight. */
  readonly setCanaryScale: CanaryScale | undefined;
  readonly dynamicStableScale: boolean;
  /** Percent of the canary that the router has now. */
  readonly actualWeight: number | undefined;
  readonly abort: boolean;
}

/**
 * The counts where a router splits the traffic. With dynamicStableScale the stable revision has the pods for what it gets or is about
 * to get, whichever is more; and so has a canary that is aborted.
 */
export function calculateReplicaCountsForTrafficRoutedCanary(input: TrafficRoutedCanary): Counts {
  const { replicas, actualWeight, abort, dynamicStableScale } = input;
  const scaled = scaledBy(input);
  const canary = 'replicas' in scaled ? scaled.replicas : trafficWeightToReplicas(replicas, scaled.weight);
  if (!dynamicStableScale) return { canary, stable: replicas };
  const desiredWeight = 'replicas' in scaled ? 0 : scaled.weight;
  const stable = trafficWeightToReplicas(replicas, 100 - desiredWeight);
  if (actualWeight === undefined) return { canary, stable };
  return {
    canary: abort ? Math.max(canary, trafficWeightToReplicas(replicas, actualWeight)) : canary,
    stable: Math.max(stable, trafficWeightToReplicas(replicas, 100 - actualWeight)),
  };
}

function scaledBy({ setCanaryScale, weight, abort }: TrafficRoutedCanary): CanaryScale {
  if (abort) return { weight: 0 };
  return setCanaryScale ?? { weight };
}

/**
 * Counts of revisions that are neither, one for each: what is not available goes at once, the others as far as enough pods of all
 * revisions are available without them. The first go first.
 */
export function scaleDownOthers(
  others: readonly Pods[],
  { available, least }: { readonly available: number; readonly least: number },
): number[] {
  let spare = Math.max(0, available - least);
  return others.map((pods) => {
    const serving = Math.min(pods.desired, pods.available);
    const gone = Math.min(spare, serving);
    spare -= gone;
    return serving - gone;
  });
}
