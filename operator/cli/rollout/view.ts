/** A rollout with the revisions that have pods and all its analyses, as one object. Pure. `-o json` prints it as it is. */
import { LABEL } from '../../api/names.ts';
import type { AnalysisRun } from '../../api/rollout/analysis.ts';
import type { Deployment, ModelDeployment, Pod } from '../../controllers/kinds.ts';
import { newestFirst, oldestFirst, type Phase, type PodNode, podNode } from '../status/tree.ts';
import { type PauseCondition, type Step, type Strategy, situationOf } from './situation.ts';

/** Everything of these kinds that carries the deployment's label. */
export interface Observed {
  readonly deployment: ModelDeployment;
  readonly deployments: readonly Deployment[];
  readonly pods: readonly Pod[];
}

export interface RolloutView {
  readonly name: string;
  readonly namespace: string;
  readonly createdAt: string | undefined;
  readonly phase: Phase;
  readonly message: string;
  readonly strategy: Strategy;
  readonly trafficRouting: 'replicas' | 'gatewayAPI' | undefined;
  readonly step: Step | undefined;
  /** Of a rollout that is under way. */
  readonly weight: Weight | undefined;
  readonly current: RevisionName | undefined;
  readonly stable: RevisionName | undefined;
  readonly rollbackTo: string | undefined;
  readonly pauses: readonly PauseCondition[];
  readonly abort: { readonly at: string | undefined; readonly reason: string | undefined } | undefined;
  readonly promotedFully: boolean;
  readonly completion: NonNullable<ModelDeployment['status']>['completion'];
  readonly scaleDownAt: string | undefined;
  readonly pods: { readonly ready: number; readonly total: number };
  /** Those with pods and those that are current or stable, the newest first. */
  readonly revisions: readonly RevisionNode[];
  readonly analyses: readonly AnalysisRun[];
}

/** Percent of the canary. */
export interface Weight {
  readonly set: number;
  readonly achieved: number;
  /** The router has taken it over. */
  readonly verified: boolean;
}

export type Model = NonNullable<NonNullable<ModelDeployment['status']>['models']>[number];

export interface RevisionName {
  readonly revision: string;
  /** Empty where they are not known any more. */
  readonly models: readonly Model[];
}

export interface RevisionNode extends RevisionName {
  readonly roles: readonly ('current' | 'stable')[];
  readonly createdAt: string | undefined;
  /** undefined: the pods belong to something older, or there is none yet. */
  readonly deployment: WorkloadNode | undefined;
  readonly pods: readonly PodNode[];
}

export interface WorkloadNode {
  readonly name: string;
  readonly wanted: number;
  readonly ready: number;
  readonly createdAt: string | undefined;
}

export function viewOf(observed: Observed): RolloutView {
  const { deployment } = observed;
  const { metadata, spec, status = {} } = deployment;
  const situation = situationOf(deployment);
  const { canary } = status;
  const routing = spec.strategy?.canary?.trafficRouting?.gatewayAPI ? 'gatewayAPI' : 'replicas';
  return {
    name: metadata.name,
    namespace: metadata.namespace ?? '',
    createdAt: metadata.creationTimestamp,
    phase: situation.phase,
    message: situation.message,
    strategy: situation.strategy,
    trafficRouting: situation.strategy === 'canary' ? routing : undefined,
    step: situation.step,
    weight: situation.underWay ? weightOf(deployment) : undefined,
    current: named(situation.current, deployment),
    stable: named(situation.stable, deployment),
    rollbackTo: situation.rollbackTo,
    pauses: situation.pauses,
    abort: situation.aborted ? { at: status.abortedAt, reason: status.abortReason } : undefined,
    promotedFully: situation.promotedFully,
    completion: status.completion,
    scaleDownAt: canary?.scaleDownAt,
    pods: { ready: status.readyReplicas ?? 0, total: status.replicas ?? 0 },
    revisions: revisionNodes(observed),
    analyses: canary?.analysis ?? [],
  };
}

function weightOf({ status }: ModelDeployment): Weight | undefined {
  const weights = status?.canary?.weights;
  return weights && { set: weights.canary, achieved: weights.achieved, verified: weights.verified };
}

const named = (revision: string | undefined, deployment: ModelDeployment): RevisionName | undefined =>
  revision === undefined ? undefined : { revision, models: modelsOf(revision, deployment) };

export function modelsOf(revision: string, { status = {} }: ModelDeployment): readonly Model[] {
  const kept = status.revisions?.find((one) => one.revision === revision)?.models;
  return kept ?? (revision === status.currentRevision ? status.models : undefined) ?? [];
}

function revisionNodes({ deployment, deployments, pods }: Observed): RevisionNode[] {
  const { currentRevision: current, stableRevision: stable, revisions: kept = [] } = deployment.status ?? {};
  const isOurs = ({ metadata }: Deployment | Pod) =>
    metadata.labels?.[LABEL.modelDeployment] === deployment.metadata.name;
  const ourPods = pods.filter(isOurs);
  const workloads = deployments.filter(isOurs);
  const names = new Set(
    [current, stable, ...workloads.map(revisionServed), ...ourPods.map(revisionOf)].filter(
      (name) => name !== undefined,
    ),
  );
  return [...names]
    .map((revision): RevisionNode & { readonly name: string } => {
      const own = ourPods.filter((pod) => revisionOf(pod) === revision);
      const workload = workloads.find((candidate) => revisionServed(candidate) === revision);
      const createdAt =
        kept.find((one) => one.revision === revision)?.createdAt ?? workload?.metadata.creationTimestamp;
      return {
        name: revision,
        revision,
        models: modelsOf(revision, deployment),
        roles: [
          ...(revision === current ? (['current'] as const) : []),
          ...(revision === stable ? (['stable'] as const) : []),
        ],
        createdAt,
        deployment: workload && workloadNode(workload),
        pods: own.map(podNode).sort(oldestFirst),
      };
    })
    .filter(
      ({ roles, pods: own, deployment: workload }) =>
        roles.length > 0 || own.length > 0 || (workload?.wanted ?? 0) > 0,
    )
    .sort((a, b) => Number(b.revision === current) - Number(a.revision === current) || newestFirst(a, b))
    .map(({ name: _, ...node }) => node);
}

const revisionOf = ({ metadata }: Pod) => metadata.labels?.[LABEL.revision];
/** A Deployment of a rolling update has no revision of its own: its pods have. */
const revisionServed = ({ spec }: Deployment) => spec?.template.metadata?.labels?.[LABEL.revision];

const workloadNode = ({ metadata, spec, status }: Deployment): WorkloadNode => ({
  name: metadata.name,
  wanted: spec?.replicas ?? 1,
  ready: status?.readyReplicas ?? 0,
  createdAt: metadata.creationTimestamp,
});
