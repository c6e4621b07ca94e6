/** A ModelDeployment and everything that belongs to it, as one tree. Pure. `-o json` prints it as it is. */
import { LABEL } from '../../api/names.ts';
import { trackName } from '../../controllers/deployment/names.ts';
import type { DeepfakeModel, ModelDeployment, Pod, ReplicaSet } from '../../controllers/kinds.ts';
import { podProblem } from '../../controllers/pods.ts';
import type { Condition } from '../../runtime/conditions.ts';
import { controllerOf } from '../../runtime/object.ts';
import type { Event } from '../kinds.ts';

/** Everything of these kinds in the namespace; what belongs to the deployment is found here. */
export interface Observed {
  readonly deployment: ModelDeployment;
  readonly models: readonly DeepfakeModel[];
  readonly replicaSets: readonly ReplicaSet[];
  readonly pods: readonly Pod[];
  readonly events: readonly Event[];
}

export interface DeploymentTree {
  readonly name: string;
  readonly namespace: string;
  readonly phase: Phase;
  readonly message: string;
  readonly device: string;
  readonly createdAt: string | undefined;
  readonly revision: { readonly current: string | undefined; readonly stable: string | undefined };
  readonly pods: Counts | undefined;
  readonly endpoint: string | undefined;
  readonly authSecret: { readonly name: string; readonly key: string } | undefined;
  readonly models: readonly ModelNode[];
  readonly tracks: readonly TrackNode[];
  readonly conditions: readonly Condition[];
  /** The latest, oldest first. */
  readonly events: readonly EventNode[];
}

export type Phase = 'Healthy' | 'Progressing' | 'Paused' | 'Degraded';

export interface Counts {
  readonly total: number;
  readonly updated: number;
  readonly ready: number;
  readonly available: number;
}

export interface ModelNode {
  readonly name: string;
  /** `Missing`: there is no DeepfakeModel of that name. */
  readonly phase: 'Pending' | 'Fetching' | 'Ready' | 'Failed' | 'Missing';
  readonly message: string;
  readonly createdAt: string | undefined;
  readonly version: string | undefined;
  readonly modality: string | undefined;
  readonly cardStatus: string | undefined;
  /** Of the verified package. */
  readonly digest: string | undefined;
  /** What the pods of the current revision serve, where that is another package. */
  readonly servedDigest: string | undefined;
  readonly sizeBytes: number | undefined;
}

export interface TrackNode {
  readonly name: string;
  /** Newest first. */
  readonly replicaSets: readonly ReplicaSetNode[];
}

export interface ReplicaSetNode {
  readonly name: string;
  readonly revision: string | undefined;
  readonly roles: readonly ('current' | 'stable')[];
  readonly wanted: number;
  readonly ready: number;
  readonly createdAt: string | undefined;
  readonly pods: readonly PodNode[];
}

export interface PodNode {
  readonly name: string;
  /** As `kubectl get pods` says it: the pod's phase, or why a container does not run. */
  readonly state: string;
  readonly ready: boolean;
  readonly restarts: number;
  readonly node: string | undefined;
  readonly createdAt: string | undefined;
  readonly problem: string | undefined;
}

export interface EventNode {
  readonly type: string;
  readonly reason: string;
  readonly regarding: string;
  readonly message: string;
  readonly count: number;
  readonly at: string | undefined;
}

const EVENTS_SHOWN = 10;

export function buildTree(observed: Observed): DeploymentTree {
  const { deployment } = observed;
  const { metadata, spec, status = {} } = deployment;
  const tracks = tracksOf(observed);
  return {
    name: metadata.name,
    namespace: metadata.namespace ?? '',
    phase: phaseOf(deployment),
    message: status.message ?? 'the operator has not seen it yet',
    device: spec.device,
    createdAt: metadata.creationTimestamp,
    revision: { current: status.currentRevision, stable: status.stableRevision },
    pods: countsOf(deployment),
    endpoint: status.endpoint,
    authSecret: status.authSecret,
    models: spec.models.map(({ name }) => modelNode(name, observed)),
    tracks,
    conditions: status.conditions ?? [],
    events: eventsOf(observed, tracks),
  };
}

/** What status says of an earlier spec says nothing about this one. */
export function phaseOf({ metadata, status }: ModelDeployment): Phase {
  const seen = (status?.observedGeneration ?? 0) >= (metadata.generation ?? 0);
  return seen ? (status?.phase ?? 'Progressing') : 'Progressing';
}

export function countsOf({ status }: ModelDeployment): Counts | undefined {
  if (status?.replicas === undefined) return undefined;
  const { replicas, updatedReplicas = 0, readyReplicas = 0, availableReplicas = 0 } = status;
  return { total: replicas, updated: updatedReplicas, ready: readyReplicas, available: availableReplicas };
}

function modelNode(name: string, { deployment, models }: Observed): ModelNode {
  const model = models.find(({ metadata }) => metadata.name === name);
  const { phase, message = '', card, digest, sizeBytes } = model?.status ?? {};
  const served = deployment.status?.models?.find((candidate) => candidate.name === name)?.digest;
  return {
    name,
    phase: model ? (phase ?? 'Pending') : 'Missing',
    message: model ? message : 'there is no DeepfakeModel of this name in the namespace',
    createdAt: model?.metadata.creationTimestamp,
    version: card?.version,
    modality: card?.modality,
    cardStatus: card?.status,
    digest,
    servedDigest: served === digest ? undefined : served,
    sizeBytes,
  };
}

/** Old ReplicaSets without pods are history and left out. */
function tracksOf({ deployment, replicaSets, pods }: Observed): TrackNode[] {
  const isOurs = ({ metadata }: ReplicaSet | Pod) =>
    metadata.labels?.[LABEL.modelDeployment] === deployment.metadata.name;
  const ourPods = pods.filter(isOurs);
  const ourSets = replicaSets.filter(isOurs);
  const children = [...ourSets, ...ourPods];
  const names = new Set(children.map(({ metadata }) => metadata.labels?.[LABEL.track] ?? ''));
  return [...names]
    .sort(stableFirst)
    .map((name) => {
      const ofTrack = ({ metadata }: ReplicaSet | Pod) => (metadata.labels?.[LABEL.track] ?? '') === name;
      return { name, replicaSets: setsOf(deployment, ourSets.filter(ofTrack), ourPods.filter(ofTrack)) };
    })
    .filter((track) => track.replicaSets.length > 0);
}

const stableFirst = (a: string, b: string) =>
  Number(b === 'stable') - Number(a === 'stable') || a.localeCompare(b);

function setsOf(
  { status = {} }: ModelDeployment,
  replicaSets: readonly ReplicaSet[],
  pods: readonly Pod[],
): ReplicaSetNode[] {
  const byName = new Map(replicaSets.map((set) => [set.metadata.name, set]));
  const ownerOf = (pod: Pod) => controllerOf(pod)?.name ?? '';
  const names = new Set([...byName.keys(), ...pods.map(ownerOf)]);
  const nodes = [...names].map((name): ReplicaSetNode => {
    const set = byName.get(name);
    const own = pods.filter((pod) => ownerOf(pod) === name);
    const revision = (set ?? own[0])?.metadata.labels?.[LABEL.revision];
    return {
      name,
      revision,
      roles: [
        ...(revision !== undefined && revision === status.currentRevision ? (['current'] as const) : []),
        ...(revision !== undefined && revision === status.stableRevision ? (['stable'] as const) : []),
      ],
      wanted: set?.spec?.replicas ?? 0,
      ready: set?.status?.readyReplicas ?? own.filter(isReady).length,
      createdAt: set?.metadata.creationTimestamp,
      pods: own.map(podNode).sort(oldestFirst),
    };
  });
  return nodes.filter(({ wanted, pods: own }) => wanted > 0 || own.length > 0).sort(newestFirst);
}

interface Dated {
  readonly createdAt: string | undefined;
  readonly name: string;
}
export const oldestFirst = (a: Dated, b: Dated) =>
  (a.createdAt ?? '').localeCompare(b.createdAt ?? '') || a.name.localeCompare(b.name);
export const newestFirst = (a: Dated, b: Dated) => oldestFirst(b, a);

/** Takes requests: ready and not on its way out. */
export const isServing = (pod: Pod) => isReady(pod) && pod.metadata.deletionTimestamp === undefined;

const isReady = ({ status }: Pod) =>
  status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') ?? false;

export function podNode(pod: Pod): PodNode {
  const { metadata, spec, status } = pod;
  const problem = podProblem([pod]);
  const restarts = (status?.containerStatuses ?? []).reduce((sum, { restartCount }) => sum + restartCount, 0);
  return {
    name: metadata.name,
    state: podState(pod),
    ready: isReady(pod),
    restarts,
    node: spec?.nodeName,
    createdAt: metadata.creationTimestamp,
    // The pod's name stands beside it already.
    problem: problem && `${problem.reason}: ${problem.message.replace(`pod ${metadata.name}: `, '')}`,
  };
}

function podState({ metadata, status }: Pod): string {
  if (metadata.deletionTimestamp !== undefined) return 'Terminating';
  const states = (status?.containerStatuses ?? []).map(({ state }) => state);
  const waiting = states.find((state) => state?.waiting?.reason !== undefined)?.waiting?.reason;
  const ended = states.find((state) => state?.terminated)?.terminated?.reason;
  return waiting ?? ended ?? status?.reason ?? status?.phase ?? 'Pending';
}

function eventsOf({ deployment, events }: Observed, tracks: readonly TrackNode[]): EventNode[] {
  const { metadata, spec } = deployment;
  const sets = tracks.flatMap(({ replicaSets }) => replicaSets);
  const regarded = new Set([
    `ModelDeployment/${metadata.name}`,
    ...spec.models.map(({ name }) => `DeepfakeModel/${name}`),
    ...tracks.flatMap(({ name }) => [
      `Deployment/${trackName(metadata.name, name)}`,
      `HorizontalPodAutoscaler/${trackName(metadata.name, name)}`,
    ]),
    ...sets.flatMap(({ name, revision }) => [
      `ReplicaSet/${name}`,
      `Deployment/${trackName(metadata.name, revision)}`,
    ]),
    ...sets.flatMap(({ pods }) => pods.map(({ name }) => `Pod/${name}`)),
  ]);
  return events
    .map(eventNode)
    .filter(({ regarding }) => regarded.has(regarding))
    .sort((a, b) => Date.parse(a.at ?? '') - Date.parse(b.at ?? ''))
    .slice(-EVENTS_SHOWN);
}

function eventNode(event: Event): EventNode {
  const { involvedObject, series, type = 'Normal', reason = '', message = '', count } = event;
  return {
    type,
    reason,
    regarding: `${involvedObject.kind}/${involvedObject.name}`,
    message,
    count: series?.count ?? count ?? 1,
    at:
      series?.lastObservedTime ?? event.lastTimestamp ?? event.eventTime ?? event.metadata.creationTimestamp,
  };
}
