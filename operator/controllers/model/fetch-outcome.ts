/** What became of a fetch attempt, read from its Job and pods. Pure. */
import { z } from 'zod';
import { DEFAULT_CLAIM_SIZE, type DeepfakeModelSpec, modelCard } from '../../api/deepfake-model.ts';
import type { AccessMode } from '../claims.ts';
import type { Job, Pod } from '../kinds.ts';
import { givenUp } from '../pods.ts';
import type { Problem } from '../problems.ts';
import { FETCH_CONTAINER } from './job.ts';

/** How soon the next attempt may help: soon, seldom, or only once the spec changes. */
export type Retry = 'soon' | 'seldom' | 'never';

export type FetchOutcome =
  | {
      readonly state: 'running';
      /** What holds it up and may pass by itself. */
      readonly problem?: Problem;
      /** When time itself may change the outcome, ms from now. */
      readonly lookAgainMs?: number;
    }
  /** The Job has ended, but its pod's last words are not known here yet. */
  | { readonly state: 'unknown' }
  | { readonly state: 'succeeded'; readonly result: FetchResult; readonly endedAt: string }
  | {
      readonly state: 'failed';
      readonly reason: string;
      readonly message: string;
      readonly retry: Retry;
      readonly endedAt: string;
    };

const result = z.object({
  digest: z.string().regex(/^sha256:[a-f0-9]{64}$/),
  sizeBytes: z.number().int().min(0),
  durationMs: z.number().min(0).max(Number.MAX_SAFE_INTEGER),
  card: modelCard,
});
export type FetchResult = z.output<typeof result>;

const failure = z.object({ error: z.object({ reason: z.string().min(1).max(256), message: z.string() }) });

/** The package was read and is not what it has to be; another try needs other bytes behind the same address. */
export const INTEGRITY_REASONS: readonly string[] = [
  'DigestMismatch',
  'InvalidPackage',
  'VersionMismatch',
  'ModalityMismatch',
  'PackageDamaged',
  'DamagedAgain',
];

const RETRY: Readonly<Record<string, Retry>> = {
  DigestMismatch: 'seldom',
  InvalidPackage: 'seldom',
  PackageTooLarge: 'seldom',
  VolumeFull: 'seldom',
  SourceUnauthorized: 'seldom',
  SourceNotFound: 'seldom',
  UnknownBuiltin: 'seldom',
  OOMKilled: 'seldom',
  SourceUnreachable: 'soon',
  VolumeUnusable: 'soon',
  FetchFailed: 'soon',
  VersionMismatch: 'never',
  ModalityMismatch: 'never',
};

const MESSAGE_MAX = 1500;

export interface FetchObservation {
  readonly job: Job;
  readonly pods: readonly Pod[];
  readonly spec: DeepfakeModelSpec;
  readonly accessMode: AccessMode;
  readonly nowMs: number;
}

/** How long to wait for a finished Job's pod to show up with its result, ms. */
const RESULT_PATIENCE_MS = 30_000;

export function fetchOutcome({ job, pods, spec, accessMode, nowMs }: FetchObservation): FetchOutcome {
  const ended = job.status?.conditions?.find(
    ({ type, status }) => (type === 'Complete' || type === 'Failed') && status === 'True',
  );
  if (!ended) return job.spec?.suspend ? suspended(job) : unfinished(pods, accessMode, nowMs);
  const endedAt = String(ended.lastTransitionTime ?? job.metadata.creationTimestamp);
  const said = lastWords(pods);
  const told = toldOutcome(said, ended.type === 'Complete', spec, endedAt);
  if (told) return told;
  const why = disruption(pods) ?? outOfMemory(pods) ?? givenUp(pods);
  if (why) return fail(why.reason, why.message, endedAt);
  const patienceOver = nowMs - Date.parse(endedAt) > RESULT_PATIENCE_MS;
  if (said === undefined && !patienceOver) return { state: 'unknown' };
  if (ended.reason === 'DeadlineExceeded') {
    const late = ended.message ?? 'the attempt took too long';
    return fail(
      'DeadlineExceeded',
      `${late}; the next goes on where it stood; raise spec.fetch.deadlineSeconds if that happens again`,
      endedAt,
    );
  }
  const detail = said?.trim() || ended.message || 'its pod left no message';
  return fail('FetchFailed', `the fetch ended without a result: ${detail}`, endedAt);
}

/** What the fetch itself said; undefined where it did not get so far. */
function toldOutcome(
  said: string | undefined,
  complete: boolean,
  spec: DeepfakeModelSpec,
  endedAt: string,
): FetchOutcome | undefined {
  const parsed = parseJson(said);
  const success = result.safeParse(parsed);
  if (complete && success.success) return accept(success.data, spec, endedAt);
  if (complete && parsed !== undefined) {
    const issues = issuesOf(success);
    return fail('InvalidPackage', `what the package says of itself cannot be kept: ${issues}`, endedAt);
  }
  const failed = failure.safeParse(parsed);
  if (!failed.success) return undefined;
  const { reason, message } = failed.data.error;
  return fail(reason, `${message}${hint(reason, spec)}`, endedAt);
}

/** What to set where that helps. */
function hint(reason: string, { source, storage }: DeepfakeModelSpec): string {
  if (reason === 'SourceUnauthorized') {
    const { secretRef } = source.http ?? source.s3 ?? source.huggingFace ?? source.oci ?? {};
    return secretRef ? `; they come from Secret ${secretRef.name}` : '; no secretRef is set';
  }
  if (reason !== 'PackageTooLarge' && reason !== 'VolumeFull') return '';
  const { existingClaim, size = DEFAULT_CLAIM_SIZE } = storage?.pvc ?? {};
  return existingClaim === undefined
    ? `; raise spec.storage.pvc.size (now ${size})`
    : `; make room on PersistentVolumeClaim ${existingClaim}, or grow it`;
}

/** From the end of a pod's grace period until it counts as lost, ms: kubelet needs some time to say that it has ended. */
const LOST_AFTER_MS = 30_000;

/**
 * A pod that is to end but does not runs on a node that is gone. Another may write to the volume meanwhile where nodes share it:
 * packages appear under their names in one step. Elsewhere the volume stays with the node until the pod is known to be gone.
 */
function unfinished(pods: readonly Pod[], accessMode: AccessMode, nowMs: number): FetchOutcome {
  const ending = pods.find(
    (pod) => pod.metadata.deletionTimestamp !== undefined && terminationOf(pod) === undefined,
  );
  const endsAt = ending?.metadata.deletionTimestamp;
  if (!ending || endsAt === undefined) return withoutNode(pods);
  const lookAgainMs = Date.parse(endsAt) + LOST_AFTER_MS - nowMs;
  if (lookAgainMs > 0) return { state: 'running', lookAgainMs };
  const where = `pod ${ending.metadata.name} does not end: its node ${ending.spec?.nodeName ?? ''} is gone`;
  if (accessMode === 'ReadWriteMany') return fail('NodeLost', where, endsAt);
  const advice =
    'the volume stays with that node until Kubernetes knows that the pod is gone: delete the Node, or taint it node.kubernetes.io/out-of-service';
  return { state: 'running', problem: { reason: 'NodeLost', message: `${where}; ${advice}` } };
}

/** The pod's readiness is taken back by the control plane alone when its node stops answering. */
function withoutNode(pods: readonly Pod[]): FetchOutcome {
  const silent = pods.find(({ status }) => {
    const ready = status?.conditions?.find(({ type }) => type === 'Ready');
    const container = status?.containerStatuses?.find(({ name }) => name === FETCH_CONTAINER);
    return status?.phase === 'Running' && ready?.status === 'False' && container?.ready === true;
  });
  if (!silent) return { state: 'running' };
  const message = `node ${silent.spec?.nodeName} of pod ${silent.metadata.name} does not answer; if it stays away, Kubernetes gives the pod up and the next attempt begins`;
  return { state: 'running', problem: { reason: 'NodeNotReady', message } };
}

function suspended({ metadata: { name } }: Job): FetchOutcome {
  const message = `Job ${name} is suspended: set its spec.suspend to false, or have whoever queues Jobs here admit it`;
  return { state: 'running', problem: { reason: 'JobSuspended', message } };
}

const NODE_GONE = ['DeletionByTaintManager', 'DeletionByPodGC'];

function disruption(pods: readonly Pod[]): Problem | undefined {
  for (const { metadata, spec, status } of pods) {
    const found = status?.conditions?.find(
      ({ type, status }) => type === 'DisruptionTarget' && status === 'True',
    );
    if (!found) continue;
    const why = `pod ${metadata.name} on node ${spec?.nodeName}: ${found.message ?? found.reason}`;
    return NODE_GONE.includes(found.reason ?? '')
      ? { reason: 'NodeLost', message: why }
      : { reason: 'Evicted', message: why };
  }
  return undefined;
}

function outOfMemory(pods: readonly Pod[]): Problem | undefined {
  const killed = pods.find((pod) => terminationOf(pod)?.reason === 'OOMKilled');
  if (!killed) return undefined;
  const message = `pod ${killed.metadata.name} needs more memory than its limit allows: raise the limit of container ${FETCH_CONTAINER} in spec.fetch.template`;
  return { reason: 'OOMKilled', message };
}

/** Holds what arrived against what the spec asks for; the digest once more, although the fetch checks it too. */
function accept(found: FetchResult, spec: DeepfakeModelSpec, endedAt: string): FetchOutcome {
  const checks: [string, string, string | undefined, string][] = [
    ['DigestMismatch', 'digest', spec.digest, found.digest],
    ['VersionMismatch', 'version', spec.version, found.card.version],
    ['ModalityMismatch', 'modality', spec.modality, found.card.modality],
  ];
  for (const [reason, field, wanted, got] of checks) {
    if (wanted !== undefined && wanted !== got) {
      return fail(reason, `spec.${field} is ${wanted}, but the package says ${got}`, endedAt);
    }
  }
  return { state: 'succeeded', result: found, endedAt };
}

const fail = (reason: string, message: string, endedAt: string): FetchOutcome => ({
  state: 'failed',
  reason,
  message: message.slice(0, MESSAGE_MAX),
  retry: RETRY[reason] ?? 'soon',
  endedAt,
});

const issuesOf = ({ error }: z.ZodSafeParseResult<FetchResult>) =>
  error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ') ?? '';

const terminationOf = (pod: Pod) =>
  pod.status?.containerStatuses?.find(({ name }) => name === FETCH_CONTAINER)?.state?.terminated;

function lastWords(pods: readonly Pod[]): string | undefined {
  const ends = pods.flatMap((pod) => terminationOf(pod) ?? []);
  return ends.length === 0 ? undefined : (ends.find(({ message }) => message)?.message ?? '');
}

/** undefined for what is no JSON, or absent. */
export function parseJson(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch {
    return undefined;
  }
}
