/** The status of a ModelDeployment as a function of what was observed. Pure. */
import type { ModelDeploymentSpec, ModelDeploymentStatus } from '../../api/model-deployment.ts';
import type { Verdict } from '../../runtime/conditions.ts';
import type { Deployment, HorizontalPodAutoscaler } from '../kinds.ts';
import { type Problem, refusalReason } from '../problems.ts';
import type { ModelResolution } from './models.ts';
import { type MonitoringObservation, monitoringCondition } from './monitoring.ts';

export interface DeploymentObservation {
  readonly spec: ModelDeploymentSpec;
  readonly models: ModelResolution;
  /** Why the spec cannot be followed. */
  readonly planProblem: Problem | undefined;
  /** A child that could not be applied. */
  readonly childProblem: Problem | undefined;
  readonly podProblem: Problem | undefined;
  /** Why a node gave up a pod, now or long ago. */
  readonly givenUp: Problem | undefined;
  readonly live: Deployment | undefined;
  /** Available pods of revisions that another strategy has left, which serve until these here can. */
  readonly others?: number;
  readonly autoscaler: HorizontalPodAutoscaler | undefined;
  /** An autoscaler of somebody else that works against ours. */
  readonly autoscalerConflict: Problem | undefined;
  readonly monitoring: MonitoringObservation | undefined;
  /** What the spec asks for; undefined while no pods may be made. */
  readonly revision: string | undefined;
  /** The last that served in full. */
  readonly stableRevision?: string | undefined;
  /** The Deployment as seen already asks for that revision; its counts are about it. */
  readonly current: boolean;
}

export interface DeploymentSummary {
  readonly phase: NonNullable<ModelDeploymentStatus['phase']>;
  readonly message: string;
  /** All pods are of the wanted revision and available. */
  readonly complete: boolean;
  readonly conditions: readonly Verdict[];
}

/** Decides in order of what explains most; the first hit is the reason that people see. */
type Check = (observation: DeploymentObservation) => Problem | undefined;
const CHECKS: readonly Check[] = [
  ({ planProblem }) => planProblem,
  ({ childProblem }) => childProblem,
  ({ models, revision }) => (models.problem?.failed && revision === undefined ? models.problem : undefined),
  ({ podProblem }) => podProblem,
  ({ live }) => podsRefused(live),
  ({ live }) => negative(live, 'Progressing', 'False'),
  ({ autoscalerConflict }) => autoscalerConflict,
  ({ live, givenUp }) => (live && !positive(live, 'Available') ? givenUp : undefined),
];

export function summarize(observation: DeploymentObservation): DeploymentSummary {
  const { spec } = observation;
  const problem = CHECKS.map((check) => check(observation)).find((hit) => hit !== undefined);
  const rollout = rolloutOf(observation);
  const progressing = progress(observation, rollout, problem);
  const phase = problem
    ? 'Degraded'
    : spec.paused && !rollout.complete && !rollout.scaling
      ? 'Paused'
      : rollout.complete
        ? 'Healthy'
        : 'Progressing';
  const available = availability(observation, rollout, problem);
  const ready = (rollout.complete || rollout.scaling) && available.status === 'True' && !problem;
  const message = problem ? `${problem.reason}: ${problem.message}` : progressing.message;
  return {
    phase,
    message,
    complete: rollout.complete,
    conditions: [
      modelsReady(observation),
      available,
      progressing,
      {
        type: 'Degraded',
        status: problem ? 'True' : 'False',
        reason: problem?.reason ?? 'AsExpected',
        message: problem?.message ?? 'nothing is wrong',
      },
      ...autoscalingConditions(observation),
      ...(observation.monitoring ? [monitoringCondition(observation.monitoring)] : []),
      {
        type: 'Ready',
        status: ready ? 'True' : 'False',
        reason: ready ? 'Ready' : (problem?.reason ?? progressing.reason),
        message,
      },
    ],
  };
}

interface Rollout {
  readonly complete: boolean;
  /** The counts are about the Deployment as it is asked for. */
  readonly observed: boolean;
  /** Every pod is of the wanted revision, which served in full before: some come, go or start again. */
  readonly scaling: boolean;
  readonly wanted: number;
  readonly updated: number;
  readonly available: number;
  readonly total: number;
}

function rolloutOf({ live, revision, stableRevision, current }: DeploymentObservation): Rollout {
  const {
    replicas: total = 0,
    updatedReplicas: updated = 0,
    availableReplicas: available = 0,
  } = live?.status ?? {};
  const wanted = live?.spec?.replicas ?? 0;
  const observed =
    live !== undefined && (live.status?.observedGeneration ?? 0) >= (live.metadata.generation ?? 0);
  const settled = total === wanted && updated === wanted && available === wanted;
  const complete = observed && settled && current && revision !== undefined;
  return {
    complete,
    observed,
    scaling:
      !complete && current && updated >= total && revision !== undefined && stableRevision === revision,
    wanted,
    updated,
    available,
    total,
  };
}

function progress(
  { spec, models, revision, live, planProblem }: DeploymentObservation,
  { complete, scaling, wanted, updated, available }: Rollout,
  problem: Problem | undefined,
): Verdict {
  const verdict = (status: Verdict['status'], reason: string, message: string): Verdict => ({
    type: 'Progressing',
    status,
    reason,
    message,
  });
  if (complete)
    return verdict('True', 'RevisionAvailable', `${available} of ${wanted} pods serve revision ${revision}`);
  const awaited = revision === undefined ? models.problem : undefined;
  const blocking = planProblem ?? awaited ?? (live ? undefined : problem);
  if (blocking) {
    const fetching = blocking === awaited && !awaited.failed;
    return verdict(fetching ? 'True' : 'False', blocking.reason, blocking.message);
  }
  if (spec.paused && !scaling) return verdict('Unknown', 'Paused', 'spec.paused holds the rollout');
  const failed = negative(live, 'Progressing', 'False');
  if (failed) return verdict('False', failed.reason, failed.message);
  if (scaling) {
    return verdict('True', 'Scaling', `revision ${revision}: ${available} of ${wanted} pods available`);
  }
  const counts = `${updated} of ${wanted} pods updated, ${available} available`;
  return verdict('True', 'RollingOut', `revision ${revision}: ${counts}${longerDeadline(spec, live)}`);
}

/** The deadline of the spec is too short for what pods may rightly take. */
function longerDeadline(
  { progressDeadlineSeconds: asked }: ModelDeploymentSpec,
  live: Deployment | undefined,
) {
  const deadline = live?.spec?.progressDeadlineSeconds ?? asked;
  return deadline > asked
    ? `; progressDeadlineSeconds counts as ${deadline} instead of ${asked}, for pods may take that long to load their models`
    : '';
}

function availability(
  { live, models, others = 0 }: DeploymentObservation,
  { wanted, available, observed }: Rollout,
  problem: Problem | undefined,
): Verdict {
  const type = 'Available';
  if (!live) {
    const { reason, message } = problem ?? models.problem ?? { reason: 'Creating', message: 'no pods yet' };
    return { type, status: 'False', reason, message };
  }
  const counts = `${available} of ${wanted} pods are available`;
  if (wanted === 0) return { type, status: 'True', reason: 'ScaledToZero', message: 'replicas is 0' };
  if (others > 0 && available + others >= wanted) {
    const message = `${counts}, and ${others} of earlier revisions`;
    return { type, status: 'True', reason: 'PodsAvailable', message };
  }
  // What the Deployment says of itself is about its former count until it was looked at.
  return positive(live, 'Available') && (observed || available >= wanted)
    ? { type, status: 'True', reason: 'PodsAvailable', message: counts }
    : {
        type,
        status: 'False',
        reason: problem?.reason ?? 'PodsUnavailable',
        message: problem?.message ?? counts,
      };
}

export function modelsReady({ models }: Pick<DeploymentObservation, 'models'>): Verdict {
  const type = 'ModelsReady';
  if (models.problem) {
    const { reason, message } = models.problem;
    return { type, status: 'False', reason, message };
  }
  return { type, status: 'True', reason: 'Verified', message: 'every model is verified' };
}

/** Tells why an autoscaler does not scale: a missing request or metric is silent otherwise. */
export function autoscalingConditions(
  observation: Pick<DeploymentObservation, 'spec' | 'autoscaler' | 'autoscalerConflict'>,
): Verdict[] {
  const { spec, autoscaler, autoscalerConflict } = observation;
  const type = 'AutoscalingActive';
  if (autoscalerConflict) return [{ type, status: 'False', ...autoscalerConflict }];
  if (!spec.autoscaling) return [];
  const states = autoscaler?.status?.conditions ?? [];
  const broken = states.find(({ type: state, status }) => state !== 'ScalingLimited' && status === 'False');
  if (broken) {
    return [{ type, status: 'False', reason: broken.reason ?? 'Inactive', message: broken.message ?? '' }];
  }
  return states.some(({ type: state, status }) => state === 'ScalingActive' && status === 'True')
    ? [{ type, status: 'True', reason: 'Active', message: 'the autoscaler reads its metrics' }]
    : [
        {
          type,
          status: 'Unknown',
          reason: 'Starting',
          message: 'the autoscaler has not read its metrics yet',
        },
      ];
}

const positive = (live: Deployment, type: string) =>
  live.status?.conditions?.some((condition) => condition.type === type && condition.status === 'True') ??
  false;

function negative(live: Deployment | undefined, type: string, bad: 'True' | 'False'): Problem | undefined {
  const found = live?.status?.conditions?.find(
    (condition) => condition.type === type && condition.status === bad,
  );
  return (
    found && {
      reason: found.reason ?? type,
      message: found.message ?? `Deployment ${live?.metadata.name}: ${type}`,
    }
  );
}

/** Why a ReplicaSet could not make pods: quota and Pod Security say so in words alone. */
export function podsRefused(live: Deployment | undefined): Problem | undefined {
  const problem = negative(live, 'ReplicaFailure', 'True');
  return problem && { ...problem, reason: refusalReason(problem.message) ?? problem.reason };
}
