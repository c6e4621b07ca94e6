/** What the parts of a rollout say to each other. Times are milliseconds since the epoch, weights are percents, 0..100. */
import type { ModelDeploymentSpec, ModelDeploymentStatus } from '../api/model-deployment.ts';
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
}

/** Phases of a measurement, a metric and a run; Argo's words. */
export type AnalysisPhase = 'Pending' | 'Running' | 'Successful' | 'Failed' | 'Inconclusive' | 'Error';

/** How an analysis stands, as the state machine needs it. */
export interface AnalysisOutcome {
  /** `background`, or the index of the step that asks for it. */
  readonly id: string;
  readonly phase: AnalysisPhase;
  readonly message: string;
}

/** How traffic is split now, as observed. */
export interface TrafficObservation {
  /** Of the canary, as the route or the services have it; undefined where nothing is applied yet. */
  readonly canaryWeight: number | undefined;
  /** The router has taken the weight over; true for `replicas`. */
  readonly verified: boolean;
  /** Canary's share of the ready pods, percent. */
  readonly achieved: number;
  /** Why traffic cannot be routed as asked. */
  readonly problem: Problem | undefined;
}

export interface RolloutObservation {
  /** What the spec asks for now; undefined while no pods may be made. */
  readonly wantedRevision: string | undefined;
  readonly revisions: readonly RevisionObservation[];
  readonly analyses: readonly AnalysisOutcome[];
  readonly traffic: TrafficObservation;
  /** Pods that the spec or the autoscaler asks for in all. */
  readonly wantedReplicas: number;
  /** Further pods with an accelerator that the cluster could take now; undefined where none is needed or it is not known. */
  readonly freeAccelerators: number | undefined;
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

export interface WantedTraffic {
  readonly stable: string;
  readonly canary: string | undefined;
  readonly canaryWeight: number;
  readonly headerRoutes: readonly string[];
  readonly mirrorRoutes: readonly string[];
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
