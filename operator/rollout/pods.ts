/** How many pods each revision gets in this pass. Pure: by what is observed of pods and router, not by what is asked of them now. */
import type { RevisionObservation, RolloutInput } from './contract.ts';
import { abortDelaySeconds } from './delays.ts';
import { goalsOf, sharedGoal, weightOf } from './goals.ts';
import { isHeld, type Memory, type Roles, rolesOf } from './memory.ts';
import {
  approximateWeightedCanaryStableReplicaCounts,
  type Counts,
  nextStage,
  scaleDownOthers,
  trafficWeightToReplicas,
} from './replicas.ts';
import { splitOf } from './steps.ts';
import { wantedTraffic } from './traffic.ts';

type Revision = RevisionObservation;
type Pods = ReadonlyMap<string, number>;

/** By revision; of those that are not named nothing is known. */
export function wantedPods(input: RolloutInput, memory: Memory): Pods {
  const roles = rolesOf(input, memory);
  const { target, stable } = roles;
  if (!target) return new Map();
  if (!stable) return firstPods(input, roles, target);
  const pods =
    splitOf(input.spec) === 'replicas'
      ? sharedPods(input, memory, roles, stable)
      : routedPods(input, memory, roles, stable);
  return new Map(pods);
}

/** A pause holds what has not begun; scaling goes on. */
function firstPods({ spec, observation }: RolloutInput, { others }: Roles, target: Revision): Pods {
  const held = spec.paused && target.desired === 0;
  return new Map([...none(others), [target.revision, held ? 0 : observation.wantedReplicas]]);
}

const none = (revisions: readonly Revision[]): [string, number][] =>
  revisions.map(({ revision }) => [revision, 0]);

const asTheyAre = (revisions: readonly Revision[]): [string, number][] =>
  revisions.map(({ revision, desired }) => [revision, desired]);

/** All revisions stand behind one Service, or the stable one alone does. */
function sharedPods(input: RolloutInput, memory: Memory, roles: Roles, stable: Revision): [string, number][] {
  const { traffic, wantedReplicas: replicas } = input.observation;
  const { canary, others } = roles;
  const joined = (traffic.canaryWeight ?? 0) > 0 && (wantedTraffic(input, memory)?.canaryWeight ?? 0) > 0;
  const goals = goalsOf(input, memory);
  const { maxSurge, maxUnavailable } = goals;
  const counted = joined ? others : others.filter((pods) => servesAlone(input, pods));
  const limits = { replicas, maxSurge, maxUnavailable, others: counted };
  const all = [stable, ...(canary ? [canary] : []), ...others];
  const available = all.reduce((sum, pods) => sum + Math.min(pods.available, pods.desired), 0);
  const left: [string, number][] = joined
    ? zip(others, scaleDownOthers(others, { available, least: replicas - maxUnavailable }))
    : others.map((pods) => [pods.revision, servesAlone(input, pods) ? pods.desired : 0]);
  if (!canary) {
    const alone = nextStage({
      ...limits,
      goal: { canary: replicas, stable: 0 },
      canary: stable,
      stable: undefined,
    });
    return [...left, [stable.revision, joined ? alone.canary : replicas]];
  }
  const held = isHeld(input, memory) && !memory.abort;
  const counts = held ? asHeld(replicas, maxSurge, { canary, stable }) : goals.counts;
  const goal = sharedGoal({ ...goals, counts }, replicas, joined);
  const stage = nextStage({
    ...limits,
    maxSurge: maxSurge + autoscaled(input, memory, stable, goal),
    goal,
    canary,
    stable,
  });
  // Pods that serve nobody go at once.
  const canaryCount = joined ? stage.canary : Math.min(stage.canary, Math.max(goal.canary, 0));
  return [...left, [canary.revision, canaryCount], [stable.revision, stage.stable]];
}

/**
 * Stable pods that an autoscaler may bring back whenever they are taken: the canary's do not wait for their place, or it might never
 * come to its count.
 */
function autoscaled(
  { spec }: RolloutInput,
  { noSurge }: Memory,
  { desired }: Revision,
  goal: Counts,
): number {
  return spec.autoscaling && !noSurge ? Math.max(0, desired - goal.stable) : 0;
}

/** The service of the clients selects it alone, until it is turned. */
const servesAlone = ({ observation }: RolloutInput, { revision }: Revision) =>
  observation.traffic.stable === revision && (observation.traffic.canaryWeight ?? 0) === 0;

const zip = (revisions: readonly Revision[], counts: readonly number[]): [string, number][] =>
  revisions.map(({ revision }, index) => [revision, counts[index] ?? 0]);

/** Counts stay as they are, or in their ratio where other numbers are wanted. */
function asHeld(
  replicas: number,
  maxSurge: number,
  { canary, stable }: { canary: Revision; stable: Revision },
): Counts {
  const total = canary.desired + stable.desired;
  if (replicas <= total && total <= replicas + maxSurge) {
    return { canary: canary.desired, stable: stable.desired };
  }
  const weight = total === 0 ? 0 : Math.round((100 * canary.desired) / total);
  return approximateWeightedCanaryStableReplicaCounts(replicas, weight, maxSurge);
}

/** What the router has. */
interface Routed {
  readonly weight: number;
  readonly verified: boolean;
  /** What it sends that share to. */
  readonly selected: string | undefined;
  /** Requests of a share are known to go nowhere else, and that share is 0. */
  readonly quiet: boolean;
}

function routedOf({ observation }: RolloutInput): Routed {
  const { canaryWeight: weight = 0, canary: selected, verified } = observation.traffic;
  return { weight, verified, selected, quiet: weight === 0 && verified };
}

/** A router splits the requests, or a service is switched. */
function routedPods(input: RolloutInput, memory: Memory, roles: Roles, stable: Revision): [string, number][] {
  const routed = routedOf(input);
  const { canary, others } = roles;
  const serving = others.find(
    (pods) => pods.revision === routed.selected && !routed.quiet && pods.desired > 0,
  );
  const rest = others.filter((pods) => pods !== serving);
  const left: [string, number][] = [
    ...rest.map((pods): [string, number] => [
      pods.revision,
      stays(input, memory, roles, pods) ? pods.desired : 0,
    ]),
    ...asTheyAre(canary ? [canary] : []),
    ...asTheyAre(serving ? [serving] : []),
  ];
  const moving = serving ?? canary;
  if (memory.noSurge && moving) {
    const counts = exchanged(input, memory, { moving, stable, rest, isLeft: moving === serving });
    return [...left, [moving.revision, counts.canary], [stable.revision, counts.stable]];
  }
  const stableCount = stablePods(input, memory, roles, stable, routed);
  const canaryCount: [string, number][] = canary
    ? [[canary.revision, canaryPods(input, memory, canary, routed)]]
    : [];
  return [...left, ...canaryCount, [stable.revision, stableCount]];
}

/** Pods of a revision that was left: while the stable service selects them, and for a time after a promotion. */
function stays(
  { observation, nowMs }: RolloutInput,
  memory: Memory,
  { canary }: Roles,
  pods: Revision,
): boolean {
  if (observation.traffic.stable === pods.revision) return true;
  return !canary && memory.scaleDownAt !== undefined && nowMs < Date.parse(memory.scaleDownAt);
}

function canaryPods(input: RolloutInput, memory: Memory, canary: Revision, routed: Routed): number {
  const { wantedReplicas } = input.observation;
  const goals = goalsOf(input, memory);
  const { counts, position } = goals;
  // What the router still sends or may send there keeps its pods.
  const serves = routed.selected === canary.revision;
  const needed = routed.verified ? trafficWeightToReplicas(wantedReplicas, routed.weight) : canary.desired;
  const more = routed.weight > weightOf(goals) || !routed.verified;
  const kept = serves && more ? Math.min(canary.desired, needed) : 0;
  if (memory.abort) return Math.max(kept, abortedPods(input, memory, canary));
  if (!isHeld(input, memory)) return Math.max(kept, counts.canary);
  const grown = position.scale === undefined && serves ? needed : 0;
  return Math.max(kept, Math.min(counts.canary, Math.max(canary.desired, grown)));
}

/** Never more than there are: a change of the wanted number is none of an aborted revision's. */
function abortedPods({ spec, nowMs }: RolloutInput, memory: Memory, { desired }: Revision): number {
  const { canary, blueGreen } = spec.strategy ?? {};
  const stay = (canary ?? blueGreen)?.abortScaleDownDelaySeconds === 0;
  if (stay) return desired;
  if (abortDelaySeconds(spec) === undefined) return 0;
  const over = memory.scaleDownAt !== undefined && nowMs >= Date.parse(memory.scaleDownAt);
  return over ? 0 : desired;
}

function stablePods(
  input: RolloutInput,
  memory: Memory,
  { canary }: Roles,
  stable: Revision,
  { weight, verified, selected }: Routed,
): number {
  const { wantedReplicas } = input.observation;
  const dynamic = input.spec.strategy?.canary?.dynamicStableScale ?? false;
  if (!dynamic || !canary || memory.abort || selected !== canary.revision) return wantedReplicas;
  const { counts } = goalsOf(input, memory);
  const served = trafficWeightToReplicas(wantedReplicas, 100 - weight);
  const before = verified ? 0 : Math.min(stable.desired, wantedReplicas);
  return Math.max(counts.stable, served, before);
}

interface ExchangeInput {
  readonly moving: Revision;
  readonly stable: Revision;
  readonly rest: readonly Revision[];
  /** It is neither target nor stable: the stable revision takes all of its place. */
  readonly isLeft: boolean;
}

/** Without a surge: whoever has requests keeps the pods for them, but for as many as may be missing. */
function exchanged(
  input: RolloutInput,
  memory: Memory,
  { moving, stable, rest, isLeft }: ExchangeInput,
): Counts {
  const { wantedReplicas: replicas } = input.observation;
  const { weight, verified, selected } = routedOf(input);
  const goals = goalsOf(input, memory);
  const { counts, maxUnavailable } = goals;
  const held = isHeld(input, memory) && !memory.abort;
  const asIs = Math.min(replicas, moving.desired);
  const goal = isLeft
    ? { canary: 0, stable: replicas }
    : held
      ? { canary: asIs, stable: replicas - asIs }
      : counts;
  const stage = nextStage({
    replicas,
    goal,
    canary: moving,
    stable,
    others: rest,
    maxSurge: 0,
    maxUnavailable,
  });
  const share = selected === moving.revision ? weight : 0;
  if (!verified) {
    const canary = selected === moving.revision ? moving.desired : stage.canary;
    return { canary: Math.max(stage.canary, canary), stable: Math.max(stage.stable, stable.desired) };
  }
  // A share of ready pods was rounded down to whole percents: what is left for the others is rounded down, too.
  const stableNeeds = Math.floor((replicas * (100 - share)) / 100) - maxUnavailable;
  const canaryNeeds = share > 0 ? Math.max(1, trafficWeightToReplicas(replicas, share) - maxUnavailable) : 0;
  // Fewer pods than a weight needs are there where the steps say so, and not on the way to a lower weight.
  const asked = isLeft ? 0 : weightOf(goals);
  const canaryLeast = share > asked ? canaryNeeds : Math.min(goal.canary, canaryNeeds);
  return {
    canary: Math.max(stage.canary, Math.min(moving.desired, canaryLeast)),
    stable: Math.max(stage.stable, Math.min(stable.desired, stableNeeds)),
  };
}
