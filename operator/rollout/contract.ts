/** What the parts of a rollout say to each other. Times are milliseconds since the epoch, weights are percents, 0..100. */
import type { ModelDeploymentSpec, ModelDeploymentStatus } from '../api/model-deployment.ts';
import type { HeaderMatch } from '../api/rollout/strategy.ts';
import type { Problem } from '../controllers/problems.ts';

/** What is known of a revision's pods. */
export interface RevisionObservation {
  readonly revision: string;
  /** Pods asked for; what its Deployment's spec says. */
  readonly desired: number;
  readonly replicas: number;
  readonly ready: number;
  readonly available: number;
  /** The counts are about the Deployment as it is asked for. */
  readonly observed: boolean;
  readonly createdAt: number;
  /** What is wrong with its pods: a crash loop, no accelerator. */
  readonly problem: Problem | undefined;
  /** It has been in that trouble, or made no progress, for longer than progressDeadlineSeconds. */
  readonly deadlineExceeded: boolean;
  /** false: its pods hold no accelerator such as the wanted ones ask for, so they give none back. Default true. */
  readonly holdsAccelerators?: boolean;
}

/** Phases of a measurement, a metric and a run; Argo's words. */
export type AnalysisPhase = 'Pending' | 'Running' | 'Successful' | 'Failed' | 'Inconclusive' | 'Error';

/**
 * How an analysis stands, as the state machine needs it. It counts where `status.canary.analysis` has a run of this id for the
 * current revision: a decision takes out the runs of what was left or is tried again, and those that are wanted but not there
 * begin anew. The shell adds them, and what they measured, to the `canary.analysis` of the decision.
 */
export interface AnalysisOutcome {
  /** `background` or `step-N`, see `analysisId`. */
  readonly id: string;
  readonly phase: AnalysisPhase;
  readonly message: string;
}

/** How traffic is split now, as observed. */
export interface TrafficObservation {
  /** The revision that the stable service selects; undefined where there is none. */
  readonly stable: string | undefined;
  /** The revision that the canary service selects; undefined where there is none. */
  readonly canary: string | undefined;
  /**
   * Percent for the canary service, as the route has it; undefined where nothing is applied yet. With `replicas`: 0 while the
   * service of the clients selects the stable revision alone, else what was last asked for.
   */
  readonly canaryWeight: number | undefined;
  /** The router has taken the weight over; true for `replicas`. */
  readonly verified: boolean;
  /** Canary's share of the ready pods, percent. */
  readonly achieved: number;
  /** Why traffic cannot be routed as asked. */
  readonly problem: Problem | undefined;
}

export interface RolloutObservation {
  /** What the spec but for rollbackTo asks for now; undefined while no pods may be made. */
  readonly wantedRevision: string | undefined;
  readonly revisions: readonly RevisionObservation[];
  readonly analyses: readonly AnalysisOutcome[];
  readonly traffic: TrafficObservation;
  /** Pods that the spec or the autoscaler asks for in all. */
  readonly wantedReplicas: number;
  /** Further pods with an accelerator that the cluster could take now; undefined where none is needed or it is not known. */
  readonly freeAccelerators: number | undefined;
  /** Pods that are about to end, and hold until then the accelerators that they were given. Default 0. */
  readonly leavingPods?: number;
}

export interface RolloutInput {
  readonly spec: ModelDeploymentSpec;
  readonly status: ModelDeploymentStatus | undefined;
  readonly observation: RolloutObservation;
  readonly nowMs: number;
}

/** Which analysis should run now; those that are not named are ended. */
export interface WantedAnalysis {
  readonly id: string;
  /** Index of the step, or undefined for the background one. */
  readonly step: number | undefined;
}

/** Requests that carry all of these headers go to the canary. */
export interface HeaderRoute {
  readonly name: string;
  readonly match: readonly HeaderMatch[];
}

/** So many percent of the requests are copied to the canary. */
export interface MirrorRoute {
  readonly name: string;
  readonly percentage: number;
}

/** Services, then weights, then routes. With `replicas` a weight above 0 has the service of the clients select every revision. */
export interface WantedTraffic {
  /** What the stable service selects. */
  readonly stable: string;
  /** What the canary service selects; undefined: nobody needs it. */
  readonly canary: string | undefined;
  readonly canaryWeight: number;
  readonly headerRoutes: readonly HeaderRoute[];
  readonly mirrorRoutes: readonly MirrorRoute[];
}

export interface RolloutEvent {
  readonly reason: string;
  readonly type: 'Normal' | 'Warning';
  readonly message: string;
}

/** The part of status that belongs to the rollout. */
export type RolloutStatus = Pick<
  ModelDeploymentStatus,
  | 'currentRevision'
  | 'stableRevision'
  | 'lastGoodRevision'
  | 'currentStepIndex'
  | 'currentStepHash'
  | 'pauseConditions'
  | 'controllerPause'
  | 'abort'
  | 'abortedAt'
  | 'abortReason'
  | 'promoteFull'
  | 'canary'
  | 'completion'
>;

/** What to do in this pass, and what to remember. */
export interface RolloutDecision {
  readonly status: RolloutStatus;
  readonly phase: NonNullable<ModelDeploymentStatus['phase']>;
  readonly message: string;
  /** Pods of each revision that should have any, or be kept with 0; those not named are left alone. */
  readonly replicas: ReadonlyMap<string, number>;
  /** Deployments of revisions that history no longer keeps. */
  readonly remove: readonly string[];
  readonly traffic: WantedTraffic | undefined;
  readonly analyses: readonly WantedAnalysis[];
  readonly events: readonly RolloutEvent[];
  /** When to look again at the latest, ms from now. */
  readonly lookAgainInMs: number | undefined;
}
