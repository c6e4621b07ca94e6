/** The status of a ModelDeployment that keeps revisions, as a function of what was observed and decided. Pure. */
import type { ModelDeploymentSpec, ModelDeploymentStatus } from '../../api/model-deployment.ts';
import type { RevisionObservation, RolloutDecision, RolloutObservation } from '../../rollout/contract.ts';
import type { Verdict } from '../../runtime/conditions.ts';
import type { HorizontalPodAutoscaler } from '../kinds.ts';
import type { Problem } from '../problems.ts';
import type { ModelResolution } from './models.ts';
import { type MonitoringObservation, monitoringCondition } from './monitoring.ts';
import { autoscalingConditions, type DeploymentSummary, modelsReady } from './status.ts';

export interface RolloutSummaryInput {
  readonly spec: ModelDeploymentSpec;
  readonly models: ModelResolution;
  readonly observation: RolloutObservation;
  readonly decision: RolloutDecision;
  /** Why the spec cannot be followed. */
  readonly planProblem: Problem | undefined;
  /** A child that could not be applied. */
  readonly childProblem: Problem | undefined;
  /** Why a node gave up a pod, now or long ago. */
  readonly givenUp: Problem | undefined;
  readonly autoscaler: HorizontalPodAutoscaler | undefined;
  readonly autoscalerConflict: Problem | undefined;
  readonly monitoring: MonitoringObservation | undefined;
  /** undefined: no route is asked for. */
  readonly traffic: Verdict | undefined;
}

export function summarizeRollout(input: RolloutSummaryInput): Omit<DeploymentSummary, 'complete'> {
  const { decision } = input;
  const problem = problemOf(input);
  const phase = problem ? 'Degraded' : decision.phase;
  const message =
    problem && decision.phase !== 'Degraded' ? `${problem.reason}: ${problem.message}` : decision.message;
  const available = availability(input, problem);
  const ready = phase === 'Healthy' && available.status === 'True';
  const progressing = progress(input, problem);
  return {
    phase,
    message,
    conditions: [
      modelsReady(input),
      available,
      progressing,
      paused(input),
      {
        type: 'Degraded',
        status: problem ? 'True' : 'False',
        reason: problem?.reason ?? 'AsExpected',
        message: problem?.message ?? 'nothing is wrong',
      },
      ...autoscalingConditions(input),
      ...(input.monitoring ? [monitoringCondition(input.monitoring)] : []),
      ...(input.traffic ? [input.traffic] : []),
      {
        type: 'Ready',
        status: ready ? 'True' : 'False',
        reason: ready ? 'Ready' : (problem?.reason ?? progressing.reason),
        message,
      },
    ],
  };
}

/** Decides in order of what explains most; the first hit is the reason that people see. */
function problemOf({ models, observation, decision, ...seen }: RolloutSummaryInput): Problem | undefined {
  const { planProblem, childProblem, autoscalerConflict, givenUp } = seen;
  const stable = observation.revisions.find(({ revision }) => revision === decision.status.stableRevision);
  const noPods = observation.revisions.every(({ available }) => available === 0);
  const modelFailed = models.problem?.failed && observation.wantedRevision === undefined;
  return (
    planProblem ??
    childProblem ??
    (modelFailed ? models.problem : undefined) ??
    (decision.phase === 'Degraded' ? reasoned(decision) : undefined) ??
    stable?.problem ??
    observation.traffic.problem ??
    autoscalerConflict ??
    (noPods ? givenUp : undefined)
  );
}

const REASONED = /^([A-Z][A-Za-z]+): (.*)$/s;
/** What a decision says of an abort in words alone. */
const ABORTS: readonly (readonly [words: RegExp, reason: string])[] = [
  [/^analysis /, 'AnalysisFailed'],
  [/^no progress within /, 'ProgressDeadlineExceeded'],
];

/** Reasons stand in front of the messages of a decision. */
export function reasoned({ status, message }: RolloutDecision): Problem {
  const text = (status.abort ? status.abortReason : undefined) ?? message;
  const told = status.abort ? ABORTS.find(([words]) => words.test(text)) : undefined;
  if (told) return { reason: told[1], message: text };
  const [, reason, rest] = REASONED.exec(text) ?? [];
  if (reason !== undefined && rest !== undefined) return { reason, message: rest };
  return { reason: status.abort ? 'RolloutAborted' : 'RolloutDegraded', message: text };
}

function progress(
  { decision, models, observation, planProblem }: RolloutSummaryInput,
  problem: Problem | undefined,
): Verdict {
  const verdict = (status: Verdict['status'], reason: string, message: string): Verdict => ({
    type: 'Progressing',
    status,
    reason,
    message,
  });
  const awaited = observation.wantedRevision === undefined ? models.problem : undefined;
  const blocking = planProblem ?? awaited;
  if (blocking) {
    const fetching = blocking === awaited && !awaited.failed;
    return verdict(fetching ? 'True' : 'False', blocking.reason, blocking.message);
  }
  const { phase, message } = decision;
  if (phase === 'Healthy') return verdict('True', 'RevisionAvailable', message);
  if (phase === 'Paused') return verdict('Unknown', 'Paused', message);
  if (phase === 'Degraded') return verdict('False', reasoned(decision).reason, message);
  return verdict(
    'True',
    'RollingOut',
    problem ? `${message}; ${problem.reason}: ${problem.message}` : message,
  );
}

/** Of the revisions together: who asks is answered. */
function availability({ observation, models }: RolloutSummaryInput, problem: Problem | undefined): Verdict {
  const type = 'Available';
  const { revisions, wantedReplicas: wanted } = observation;
  if (revisions.length === 0) {
    const { reason, message } = problem ?? models.problem ?? { reason: 'Creating', message: 'no pods yet' };
    return { type, status: 'False', reason, message };
  }
  if (wanted === 0) return { type, status: 'True', reason: 'ScaledToZero', message: 'replicas is 0' };
  const available = sum(revisions, (revision) => revision.available);
  const counts = `${available} of ${wanted} pods are available`;
  // As a Deployment with its default surge says of itself: a quarter may be missing, rounded down.
  return available >= wanted - Math.floor(wanted / 4)
    ? { type, status: 'True', reason: 'PodsAvailable', message: counts }
    : {
        type,
        status: 'False',
        reason: problem?.reason ?? 'PodsUnavailable',
        message: problem?.message ?? counts,
      };
}

const sum = (revisions: readonly RevisionObservation[], of: (revision: RevisionObservation) => number) =>
  revisions.reduce((total, revision) => total + of(revision), 0);

function paused({ decision }: RolloutSummaryInput): Verdict {
  const type = 'Paused';
  const reasons = (decision.status.pauseConditions ?? []).map(({ reason }) => reason);
  return decision.phase === 'Paused'
    ? { type, status: 'True', reason: reasons[0] ?? 'PausedByUser', message: decision.message }
    : { type, status: 'False', reason: 'NotPaused', message: 'the rollout does not wait for anybody' };
}

/** What status always says of a rollout, so that what a user has patched in is taken back where it was followed. */
const explicit = (): Partial<ModelDeploymentStatus> => ({
  abort: false,
  promoteFull: false,
  controllerPause: false,
  pauseConditions: [],
});

export const rolloutFields = (decision: RolloutDecision): Partial<ModelDeploymentStatus> => ({
  ...explicit(),
  ...Object.fromEntries(Object.entries(decision.status).filter(([, value]) => value !== undefined)),
});
