/** Who gets which share of the requests. Pure; in a decision the counts of pods follow what the router has, never what is asked of it. */
import type { RevisionObservation, RolloutInput, WantedTraffic } from './contract.ts';
import { goalsOf, isRouted, sharedGoal, weightOf } from './goals.ts';
import { isHeld, isReady, type Memory, type Roles, rolesOf } from './memory.ts';

/** Services and weights; undefined where there is nobody to send requests to. */
export function wantedTraffic(input: RolloutInput, memory: Memory): WantedTraffic | undefined {
  const roles = rolesOf(input, memory);
  const stable = servedBy(input, memory, roles);
  if (stable === undefined) return undefined;
  const { canary, canaryWeight } = splitBetween(input, memory, roles);
  return { stable, canary, canaryWeight, ...routes(input, memory, roles) };
}

/** What was promoted is turned to when it can do what the revision does that clients are sent to now. */
function servedBy(input: RolloutInput, memory: Memory, { stable }: Roles): string | undefined {
  const { traffic, wantedReplicas } = input.observation;
  const serving = pods(input, traffic.stable);
  if (!stable || !serving || serving.revision === stable.revision) return memory.stable ?? memory.target;
  const { maxUnavailable } = goalsOf(input, memory);
  const needed = Math.min(serving.available, wantedReplicas - maxUnavailable);
  return stable.available >= needed ? stable.revision : serving.revision;
}

type Share = Pick<WantedTraffic, 'canary' | 'canaryWeight'>;

function splitBetween(input: RolloutInput, memory: Memory, roles: Roles): Share {
  const candidate = memory.abort ? undefined : roles.canary?.revision;
  const { split } = goalsOf(input, memory);
  if (split === 'blueGreen') return { canary: candidate, canaryWeight: 0 };
  if (split === 'replicas') return { canary: candidate, canaryWeight: sharedWeight(input, memory, roles) };
  return routedShare(input, memory, roles, candidate);
}

/** Of requests that a router splits. A service is turned to another revision only while nobody is sent to it. */
function routedShare(
  input: RolloutInput,
  memory: Memory,
  roles: Roles,
  candidate: string | undefined,
): Share {
  const { traffic } = input.observation;
  const weight = traffic.canaryWeight ?? 0;
  const selected = traffic.canary;
  const quiet = weight === 0 && traffic.verified;
  // Until the stable service is turned to what was promoted, the weight is what keeps requests there.
  const turned =
    memory.stable === undefined || traffic.stable === undefined || traffic.stable === memory.stable;
  if (!turned) {
    const lost = pods(input, selected)?.available === 0 && (pods(input, traffic.stable)?.available ?? 0) > 0;
    return { canary: selected, canaryWeight: lost ? 0 : weight };
  }
  if (selected === candidate && candidate !== undefined) {
    return { canary: candidate, canaryWeight: routedWeight(input, memory, roles, weight) };
  }
  const left = pods(input, selected);
  const next = left && selected !== memory.stable ? lowered(input, memory, roles, left, weight) : 0;
  return { canary: quiet || selected === undefined ? candidate : selected, canaryWeight: next };
}

const pods = ({ observation }: RolloutInput, name: string | undefined): RevisionObservation | undefined =>
  observation.revisions.find(({ revision }) => revision === name);

/** A weight is raised to pods that are ready at their count; without room for all of them, to those that are ready. */
function routedWeight(input: RolloutInput, memory: Memory, roles: Roles, weight: number): number {
  const { canary } = roles;
  const goals = goalsOf(input, memory);
  const asked = weightOf(goals);
  const { wantedReplicas } = input.observation;
  if (!canary) return 0;
  if (canary.available === 0) return lowered(input, memory, roles, canary, weight);
  if (isHeld(input, memory)) return weight;
  if (asked < weight) return Math.max(asked, lowered(input, memory, roles, canary, weight));
  if (isReady(canary, goals.counts.canary)) return asked;
  if (!canary.observed || !(memory.noSurge || memory.promoteFull)) return weight;
  const share = Math.floor((100 * Math.min(canary.available, canary.desired)) / Math.max(1, wantedReplicas));
  return Math.max(weight, Math.min(asked, share));
}

/**
 * The weight on the way down to 0: as little as the stable revision's pods allow, nothing to a revision without pods.
 */
function lowered(
  input: RolloutInput,
  memory: Memory,
  { stable }: Roles,
  left: RevisionObservation,
  weight: number,
): number {
  const { wantedReplicas } = input.observation;
  if (left.available === 0 || wantedReplicas === 0 || !stable) return 0;
  const { maxUnavailable } = goalsOf(input, memory);
  const able = Math.floor((100 * (stable.available + maxUnavailable)) / wantedReplicas);
  return Math.min(weight, Math.max(0, 100 - able));
}

/**
 * Of requests that all pods behind one Service get: 0 where the stable revision's alone do. The others join in when they are ready at
 * their count, and leave when the stable revision can do without them.
 */
function sharedWeight(input: RolloutInput, memory: Memory, roles: Roles): number {
  const { traffic, wantedReplicas } = input.observation;
  const { canary, stable, others } = roles;
  if (!stable) return 0;
  const goals = goalsOf(input, memory);
  const { position, maxUnavailable } = goals;
  const joined = (traffic.canaryWeight ?? 0) > 0;
  const helpers = [...(canary ? [canary] : []), ...others];
  const helping = helpers.reduce((sum, { available }) => sum + available, 0);
  const share = Math.max(1, Math.floor((100 * helping) / Math.max(1, helping + stable.available)));
  const asked = position.weight > 0 && canary !== undefined && canary.available > 0;
  if (asked && (joined || (!isHeld(input, memory) && joins(input, memory, roles)))) {
    return isSettled(goals.counts, roles) ? position.weight : Math.min(position.weight, share);
  }
  const suffices = stable.available >= wantedReplicas - maxUnavailable;
  return joined && !suffices && helping > 0 ? Math.min(share, traffic.canaryWeight ?? 0) : 0;
}

function joins(input: RolloutInput, memory: Memory, { canary }: Roles): boolean {
  const goal = sharedGoal(goalsOf(input, memory), input.observation.wantedReplicas, false);
  return canary !== undefined && goal.canary > 0 && isReady(canary, goal.canary);
}

const isSettled = (counts: { canary: number; stable: number }, { canary, stable }: Roles) =>
  canary !== undefined && isReady(canary, counts.canary) && stable?.desired === counts.stable;

/** Routes beside the weights: to pods that are there, by a service that selects them. */
function routes(
  input: RolloutInput,
  memory: Memory,
  roles: Roles,
): Pick<WantedTraffic, 'headerRoutes' | 'mirrorRoutes'> {
  const { canary } = roles;
  const possible = canary && !memory.abort && canary.available > 0 && isRouted(input, roles);
  const { position } = goalsOf(input, memory);
  return possible
    ? { headerRoutes: position.headerRoutes, mirrorRoutes: position.mirrorRoutes }
    : { headerRoutes: [], mirrorRoutes: [] };
}
