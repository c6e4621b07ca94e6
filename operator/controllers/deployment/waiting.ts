/** Why pods do not start, where their own status does not tell. */
import type { ModelDeploymentSpec } from '../../api/model-deployment.ts';
import type { KubeClient } from '../../runtime/client.ts';
import { EVENT } from '../../runtime/events.ts';
import type { Pod } from '../kinds.ts';
import { complaintOf, type Stuck } from '../model/complaints.ts';
import { living } from '../pods.ts';
import type { Problem } from '../problems.ts';
import { deviceClaim, deviceClaimMissing } from './devices.ts';

export interface WaitingInput {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly spec: ModelDeploymentSpec;
  readonly pods: readonly Pod[];
  readonly nowMs: number;
  readonly signal: AbortSignal;
}

export interface Waiting {
  readonly problem?: Problem | undefined;
  /** When to ask again, ms. */
  readonly requeueAfterMs?: number;
}

/** A pod with a node and without a container has this long before its events are read, ms. */
const PATIENCE_MS = 15_000;
const ASK_AGAIN_MS = 30_000;

/**
 * The scheduler says nothing of a pod whose claim of devices nobody can make; kubelet tells of volumes that it cannot mount in
 * events alone. The API server is asked about either only while a pod waits.
 */
export async function whyPodsWait(input: WaitingInput): Promise<Waiting> {
  const { client, namespace, spec, pods, nowMs, signal } = input;
  const claim = deviceClaim(spec);
  if (claim && living(pods).some(waitsForClaim)) {
    const found = await client.find(claim.kind, { namespace, name: claim.name }, signal);
    if (!found) return { problem: deviceClaimMissing(claim) };
  }
  const stuck = stuckPod(pods, nowMs);
  if (!stuck) return {};
  if (stuck.inMs > 0) return { requeueAfterMs: stuck.inMs };
  const fieldSelector = `regarding.kind=Pod,regarding.name=${stuck.object.metadata.name}`;
  const { items } = await client.list(EVENT, { namespace, fieldSelector }, signal);
  return { problem: complaintOf(stuck, items), requeueAfterMs: ASK_AGAIN_MS };
}

const waitsForClaim = ({ spec }: Pod) => spec?.resourceClaims !== undefined && !spec.nodeName;

/** The pod that has waited longest for its volumes; undefined where none does. */
export function stuckPod(pods: readonly Pod[], nowMs: number): Stuck | undefined {
  const [longest] = pods
    .filter(waitsForVolumes)
    .map((object) => ({
      object,
      inMs: Date.parse(object.status?.startTime ?? '') + PATIENCE_MS - nowMs,
    }))
    .sort((a, b) => a.inMs - b.inMs);
  return longest && { kind: 'Pod', ...longest };
}

function waitsForVolumes({ metadata, status }: Pod): boolean {
  const { phase, startTime, initContainerStatuses = [], containerStatuses = [] } = status ?? {};
  if (metadata.deletionTimestamp !== undefined || phase !== 'Pending' || startTime === undefined)
    return false;
  const containers = [...initContainerStatuses, ...containerStatuses];
  const waiting = ['ContainerCreating', 'PodInitializing'];
  return containers.every(({ state }) => waiting.includes(state?.waiting?.reason ?? ''));
}
