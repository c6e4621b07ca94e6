/** What other controllers say in events alone of a Job, pod or claim that does not come on. Pure. */
import type { EventsV1Event } from '@kubernetes/client-node';
import type { KubeObject, Raw } from '../../runtime/object.ts';
import type { Job, PersistentVolumeClaim, Pod } from '../kinds.ts';
import { type Problem, refusalReason } from '../problems.ts';

export interface Stuck {
  readonly kind: 'Job' | 'Pod' | 'PersistentVolumeClaim';
  readonly object: KubeObject;
  /** Until it has had its time, ms from now; 0 or less: ask now. */
  readonly inMs: number;
}

/** A Job without a pod, a pod without its volumes, or a claim without a volume has this long before it is asked about, ms. */
const PATIENCE_MS = 15_000;

/** The object whose events tell why an attempt does not come on; undefined where nothing is amiss or status tells already. */
export function stuckObject(
  job: Job,
  pods: readonly Pod[],
  claim: PersistentVolumeClaim | undefined,
  nowMs: number,
): Stuck | undefined {
  const since = (object: KubeObject, at = object.metadata.creationTimestamp) =>
    Date.parse(String(at ?? '')) + PATIENCE_MS - nowMs;
  const [pod] = pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  if (!pod) return { kind: 'Job', object: job, inMs: since(job) };
  const { phase, startTime, containerStatuses = [], conditions = [] } = pod.status ?? {};
  if (phase !== undefined && phase !== 'Pending') return undefined;
  const scheduled = conditions.find(({ type }) => type === 'PodScheduled');
  if (scheduled?.status !== 'True') {
    return claim && claim.status?.phase !== 'Bound'
      ? { kind: 'PersistentVolumeClaim', object: claim, inMs: since(claim) }
      : undefined;
  }
  const waiting = containerStatuses.every(({ state }) => state?.waiting?.reason === 'ContainerCreating');
  return waiting ? { kind: 'Pod', object: pod, inMs: since(pod, startTime) } : undefined;
}

type Event = Raw<EventsV1Event>;

/** The latest warning about the object, in the shape of a condition. */
export function complaintOf({ kind, object }: Stuck, events: readonly Event[]): Problem | undefined {
  const { name, uid } = object.metadata;
  const [latest] = events
    .filter(({ type, regarding }) => type === 'Warning' && regarding?.uid === uid)
    .sort((a, b) => timeOf(b) - timeOf(a));
  if (!latest) return undefined;
  const { reason = 'Unknown', note = '' } = latest;
  return { reason: reasonOf(reason, note), message: `${kind} ${name}: ${reason}: ${note}` };
}

const timeOf = ({ series, deprecatedLastTimestamp, eventTime }: Event) =>
  Date.parse(String(series?.lastObservedTime ?? deprecatedLastTimestamp ?? eventTime ?? '')) || 0;

/** By the event's reason and what its note says; the first that fits. */
const REASONS: readonly (readonly [reason: string, note: RegExp, told: string])[] = [
  ['FailedCreate', /./, 'PodRejected'],
  ['FailedMount', /secret "[^"]*" not found/, 'SecretNotFound'],
  ['FailedMount', /configmap "[^"]*" not found/, 'ConfigMapNotFound'],
  ['FailedMount', /non-existent (secret|config) key/, 'KeyNotFound'],
  ['FailedAttachVolume', /Multi-Attach/, 'VolumeInUse'],
  ['ProvisioningFailed', /./, 'PvcPending'],
  ['FailedBinding', /./, 'PvcPending'],
];

const reasonOf = (reason: string, note: string) =>
  refusalReason(note) ??
  REASONS.find(([from, pattern]) => from === reason && pattern.test(note))?.[2] ??
  reason;
