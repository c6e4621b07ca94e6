/**
 * The state machine of a rollout: what to do in a pass, and what to remember, as a function of spec, status, observation and clock.
 * No I/O, no client. Everything that a successor needs is in the status that a decision returns.
 */
import type {
  RevisionObservation,
  RolloutDecision,
  RolloutEvent,
  RolloutInput,
  WantedAnalysis,
  WantedTraffic,
} from './contract.ts';
import { goalsOf, isAtCount } from './goals.ts';
import { isHeld, type Memory, newestFirst, remember, rolesOf, toStatus } from './memory.ts';
import { wantedPods } from './pods.ts';
import { analysisId, stepsOf } from './steps.ts';
import { summaryOf } from './summary.ts';
import { wantedTraffic } from './traffic.ts';
import {
  follow,
  heed,
  isExempt,
  judge,
  pauseEndsInMs,
  proceed,
  retire,
  type Transition,
} from './transitions.ts';

const TRANSITIONS: readonly Transition[] = [follow, heed, judge, proceed, retire];

/** How long a router has before it is asked again, ms. */
const VERIFY_INTERVAL_MS = 10_000;

/** What to do now. The same input gives the same decision; a decision that is carried out leads to one that changes nothing. */
export function advance(input: RolloutInput): RolloutDecision {
  const events: RolloutEvent[] = [];
  const before = remember(input);
  const memory = TRANSITIONS.reduce(
    (state, transition) => transition(input, state, (event) => events.push(event)),
    before,
  );
  const traffic = wantedTraffic(input, memory);
  const weights = traffic && weightsOf(input, traffic);
  events.push(...weightEvents(input, traffic));
  return {
    status: toStatus(memory, weights),
    ...summaryOf(input, memory),
    replicas: wantedPods(input, memory),
    remove: forgotten(input, memory),
    traffic,
    analyses: wantedAnalyses(input, memory),
    events,
    lookAgainInMs: lookAgain(input, memory),
  };
}

function weightsOf({ observation }: RolloutInput, { canaryWeight }: WantedTraffic) {
  const { traffic } = observation;
  return {
    stable: 100 - canaryWeight,
    canary: canaryWeight,
    achieved: Math.round(traffic.achieved * 10) / 10,
    verified: traffic.verified && traffic.canaryWeight === canaryWeight,
  };
}

function weightEvents({ status }: RolloutInput, traffic: WantedTraffic | undefined): RolloutEvent[] {
  const before = status?.canary?.weights?.canary ?? 0;
  if (!traffic || traffic.canaryWeight === before) return [];
  const message = `weight of the canary from ${before} to ${traffic.canaryWeight} %`;
  return [{ reason: 'TrafficWeightUpdated', type: 'Normal', message }];
}

/** An analysis begins with pods at their count, and goes on while they come and go. */
function wantedAnalyses(input: RolloutInput, memory: Memory): WantedAnalysis[] {
  const roles = rolesOf(input, memory);
  if (!roles.canary || memory.abort || isExempt(input, memory)) return [];
  const { stepIndex } = memory;
  const background = input.spec.strategy?.canary?.analysis;
  const there = isAtCount(input, goalsOf(input, memory), roles) && !isHeld(input, memory);
  // Where no pods are wanted at all there is nothing to wait for.
  const running = roles.canary.available > 0 || input.observation.wantedReplicas === 0;
  const begun = (id: string) =>
    memory.analysis.some((run) => run.id === id && run.revision === memory.target);
  const wanted = (step: number | undefined, begins: boolean): WantedAnalysis[] => {
    const id = analysisId(step);
    return begun(id) || begins ? [{ id, step }] : [];
  };
  const starts = background && stepIndex >= (background.startingStep ?? 0);
  return [
    ...(starts ? wanted(undefined, there && running) : []),
    ...(stepsOf(input.spec)[stepIndex]?.analysis ? wanted(stepIndex, there) : []),
  ];
}

/** Deployments without pods beyond the history, which nothing names; the newest are kept. */
function forgotten(input: RolloutInput, memory: Memory): string[] {
  const { spec, observation } = input;
  const { traffic, wantedRevision } = observation;
  const named = [memory.stable, memory.target, memory.lastGood, wantedRevision, spec.rollbackTo];
  const used = new Set([...named, traffic.stable, traffic.canary]);
  const isOver = ({ revision, desired, replicas }: RevisionObservation) =>
    !used.has(revision) && desired === 0 && replicas === 0;
  const old = observation.revisions.filter(isOver).toSorted(newestFirst);
  return old.slice(spec.revisionHistoryLimit).map(({ revision }) => revision);
}

function lookAgain(input: RolloutInput, memory: Memory): number | undefined {
  const { traffic } = input.observation;
  const scaleDown = memory.scaleDownAt && Date.parse(memory.scaleDownAt) - input.nowMs;
  const moments = [
    isHeld(input, memory) ? undefined : pauseEndsInMs(input, memory),
    scaleDown && scaleDown > 0 ? scaleDown : undefined,
    traffic.verified ? undefined : VERIFY_INTERVAL_MS,
  ].filter((moment) => moment !== undefined);
  return moments.length === 0 ? undefined : Math.min(...moments);
}
