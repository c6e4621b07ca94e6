/** What a rollout remembers from pass to pass, as status has it, and what it is about. Pure. */
import type { ModelDeploymentStatus } from '../api/model-deployment.ts';
import type { AnalysisRun } from '../api/rollout/analysis.ts';
import { timestamp } from '../runtime/conditions.ts';
import type {
  AnalysisOutcome,
  RevisionObservation,
  RolloutEvent,
  RolloutInput,
  RolloutStatus,
} from './contract.ts';
import { stepHash, stepsOf } from './steps.ts';

type PauseCondition = NonNullable<ModelDeploymentStatus['pauseConditions']>[number];
export type PauseReason = PauseCondition['reason'];
export type Completion = NonNullable<ModelDeploymentStatus['completion']>;

/** Status without what only tells. */
export interface Memory {
  /** The revision that is followed. */
  readonly target: string | undefined;
  readonly stable: string | undefined;
  readonly lastGood: string | undefined;
  readonly stepIndex: number;
  readonly stepHash: string | undefined;
  readonly pauses: readonly PauseCondition[];
  readonly controllerPause: boolean;
  readonly abort: boolean;
  readonly abortedAt: string | undefined;
  readonly abortReason: string | undefined;
  readonly promoteFull: boolean;
  readonly noSurge: boolean;
  readonly scaleDownAt: string | undefined;
  readonly analysis: readonly AnalysisRun[];
  readonly completion: Completion | undefined;
}

export function remember({ spec, status }: RolloutInput): Memory {
  const steps = stepsOf(spec).length;
  return {
    target: status?.currentRevision,
    stable: status?.stableRevision,
    lastGood: status?.lastGoodRevision,
    stepIndex: Math.min(status?.currentStepIndex ?? 0, steps),
    stepHash: status?.currentStepHash,
    pauses: status?.pauseConditions ?? [],
    controllerPause: status?.controllerPause ?? false,
    abort: status?.abort ?? false,
    abortedAt: status?.abortedAt,
    abortReason: status?.abortReason,
    promoteFull: status?.promoteFull ?? false,
    noSurge: status?.canary?.noSurge ?? false,
    scaleDownAt: status?.canary?.scaleDownAt,
    analysis: status?.canary?.analysis ?? [],
    completion: status?.completion,
  };
}

type Weights = NonNullable<NonNullable<ModelDeploymentStatus['canary']>['weights']>;

/** The part of status; what is not so is left out, so that an apply takes it away. */
export function toStatus(memory: Memory, weights: Weights | undefined): RolloutStatus {
  const { target, stable, lastGood, pauses, abortedAt, abortReason, scaleDownAt, analysis, completion } =
    memory;
  const canary = {
    ...(weights && { weights }),
    ...(analysis.length > 0 && { analysis: [...analysis] }),
    ...(scaleDownAt !== undefined && { scaleDownAt }),
    ...(memory.noSurge && { noSurge: true }),
  };
  return {
    ...(target !== undefined && { currentRevision: target }),
    ...(stable !== undefined && { stableRevision: stable }),
    ...(lastGood !== undefined && { lastGoodRevision: lastGood }),
    currentStepIndex: memory.stepIndex,
    ...(memory.stepHash !== undefined && { currentStepHash: memory.stepHash }),
    ...(pauses.length > 0 && { pauseConditions: [...pauses] }),
    ...(memory.controllerPause && { controllerPause: true }),
    ...(memory.abort && { abort: true }),
    ...(abortedAt !== undefined && { abortedAt }),
    ...(abortReason !== undefined && { abortReason }),
    ...(memory.promoteFull && { promoteFull: true }),
    ...(Object.keys(canary).length > 0 && { canary }),
    ...(completion && { completion }),
  };
}

/** The start of a rollout of the same revision. */
export const atFirstStep = (memory: Memory): Memory => ({
  ...memory,
  stepIndex: 0,
  pauses: [],
  controllerPause: false,
  abort: false,
  abortedAt: undefined,
  abortReason: undefined,
  promoteFull: false,
  noSurge: false,
  scaleDownAt: undefined,
  analysis: [],
});

export const isPaused = ({ pauses }: Memory, reason: PauseReason) =>
  pauses.some((pause) => pause.reason === reason);

export function pause(memory: Memory, reason: PauseReason, nowMs: number): Memory {
  const pauses = [...memory.pauses, { reason, startTime: timestamp(nowMs) }];
  return { ...memory, pauses, controllerPause: true };
}

/** Nothing goes forward, whatever the step: a person decides. */
export const isHeld = ({ spec }: RolloutInput, memory: Memory) =>
  spec.paused || isPaused(memory, 'PausedByUser') || isPaused(memory, 'InconclusiveAnalysis');

const absent = (revision: string): RevisionObservation => ({
  revision,
  desired: 0,
  replicas: 0,
  ready: 0,
  available: 0,
  observed: false,
  createdAt: 0,
  problem: undefined,
  deadlineExceeded: false,
});

/** Who is who among the revisions. */
export interface Roles {
  readonly target: RevisionObservation | undefined;
  /** What serves, or did last. */
  readonly stable: RevisionObservation | undefined;
  /** The target, where another revision is stable. */
  readonly canary: RevisionObservation | undefined;
  /** Neither, the newest first. */
  readonly others: readonly RevisionObservation[];
}

export function rolesOf({ observation }: RolloutInput, { target, stable }: Memory): Roles {
  const find = (name: string | undefined) =>
    name === undefined
      ? undefined
      : (observation.revisions.find(({ revision }) => revision === name) ?? absent(name));
  const others = observation.revisions
    .filter(({ revision }) => revision !== target && revision !== stable)
    .toSorted(newestFirst);
  const isRollout = stable !== undefined && target !== undefined && stable !== target;
  return {
    target: find(target),
    stable: find(stable),
    canary: isRollout ? find(target) : undefined,
    others,
  };
}

export const newestFirst = (a: RevisionObservation, b: RevisionObservation) =>
  b.createdAt - a.createdAt || (a.revision < b.revision ? 1 : -1);

/** What an analysis of the current revision came to; undefined where it did not begin. */
export function outcomeOf(
  { observation }: RolloutInput,
  { analysis, target }: Memory,
  id: string,
): AnalysisOutcome | undefined {
  const begun = analysis.some((run) => run.id === id && run.revision === target);
  return begun ? observation.analyses.find((outcome) => outcome.id === id) : undefined;
}

/** All pods that serve are there, and the counts are about what is asked for. */
export const isReady = (pods: RevisionObservation, count: number) =>
  pods.observed && pods.desired >= count && pods.available >= count;

/** Collects what people should know of a pass. */
export type Say = (event: RolloutEvent) => void;

export const stepHashOf = ({ spec }: RolloutInput) => stepHash(spec);
