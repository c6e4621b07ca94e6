/** What the current position asks for, given the pods there are to be. Pure. */
import type { RolloutInput } from './contract.ts';
import { isReady, type Memory, type Roles } from './memory.ts';
import type { Counts } from './replicas.ts';
import { goalOf, limitsOf, type Position, positionAt, type Split, splitOf } from './steps.ts';

export interface Goals {
  readonly split: Split;
  readonly position: Position;
  /** Where the pods of the position get to in the end. */
  readonly counts: Counts;
  readonly maxSurge: number;
  readonly maxUnavailable: number;
}

/** Percent of the requests for the canary: none where the steps leave it no pods. */
export const weightOf = ({ counts, position }: Goals) => (counts.canary === 0 ? 0 : position.weight);

/** An aborted canary gets no requests and needs no pods. */
const LEFT: Position = { weight: 0, scale: undefined, headerRoutes: [], mirrorRoutes: [], needsPod: false };

export function goalsOf({ spec, observation }: RolloutInput, memory: Memory): Goals {
  const { wantedReplicas } = observation;
  const position = memory.abort ? LEFT : positionAt(spec, memory.stepIndex);
  return {
    split: splitOf(spec),
    position,
    counts: goalOf(spec, position, wantedReplicas, memory.noSurge),
    ...limitsOf(spec, wantedReplicas, memory.noSurge),
  };
}

/**
 * What pods of one Service are exchanged for. Clients that are served by the stable revision alone need all of its pods: until the
 * canary's join in, there are as many of these as fit beside them.
 */
export function sharedGoal(
  { counts, maxSurge, maxUnavailable }: Goals,
  replicas: number,
  joined: boolean,
): Counts {
  if (joined) return counts;
  const stable = Math.max(counts.stable, replicas - maxUnavailable);
  return { stable, canary: Math.min(counts.canary, Math.max(0, replicas + maxSurge - stable)) };
}

/** The router has taken over what it was asked for, and the canary service selects the canary. */
export const isRouted = ({ observation }: RolloutInput, { canary }: Roles) =>
  observation.traffic.verified && observation.traffic.canary === canary?.revision;

/**
 * The canary's pods are all there, and only those that its position asks for; an autoscaler may have added some for the load that
 * it sees.
 */
export function isAtCount({ spec }: RolloutInput, goals: Goals, { canary }: Roles): boolean {
  if (!canary) return true;
  const { canary: count } = goals.counts;
  if (count === 0) return canary.desired === 0;
  return isReady(canary, count) && (canary.desired === count || spec.autoscaling !== undefined);
}

/** Pods and weight are what the position asks for. */
export function isReached(input: RolloutInput, memory: Memory, roles: Roles): boolean {
  const goals = goalsOf(input, memory);
  const { stable, others } = roles;
  if (!isAtCount(input, goals, roles)) return false;
  const weight = input.observation.traffic.canaryWeight ?? 0;
  const { counts, position } = goals;
  const idle = counts.canary === 0;
  if (goals.split === 'gatewayAPI') {
    const exchanged = !memory.noSurge || stable?.desired === counts.stable;
    return exchanged && (idle || (weight === position.weight && isRouted(input, roles)));
  }
  if (goals.split === 'blueGreen') return true;
  const exact = stable?.desired === counts.stable && stable.replicas <= counts.stable;
  const ratio =
    (exact || input.spec.autoscaling !== undefined) &&
    others.every(({ desired, available }) => desired === 0 && available === 0);
  return ratio && (idle || position.weight === 0 || weight > 0);
}
