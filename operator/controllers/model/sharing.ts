/** Whose turn it is to fetch onto a claim that several models share. Pure. */
import { findCondition } from '../../runtime/conditions.ts';
import type { DeepfakeModel } from '../kinds.ts';
import { CANNOT_START_REASONS } from '../pods.ts';
import type { Sharer } from './claim-plan.ts';

/** Another model of the same claim, and how its fetch of the package in question stands. */
export interface OtherSharer extends Sharer {
  /** Its status tells of the very fetch that its spec asks for now. */
  readonly current: boolean;
}

export interface Turn {
  /** The package lies there: another model has verified it. */
  readonly packageThere: boolean;
  /** The model whose attempt has to end first; undefined: begin. */
  readonly waitsFor?: string;
}

/**
 * One attempt writes at a time. Of models that have yet to fetch, the oldest begins; the others wait, and then read what it has
 * put there, all at once. If it fails, the next oldest tries its own source while the first waits for its retry. Two that decide
 * from different states of the world may both begin: harmless, since fetches of one package take turns on the volume too.
 */
export function turnOf(model: DeepfakeModel, others: readonly OtherSharer[], claimUid?: string): Turn {
  const present = others.filter((other) => other.model.metadata.deletionTimestamp === undefined);
  const packageThere = present.some((other) => hasVerified(other, claimUid));
  const writing = present.find((other) => isRunning(other) && (!packageThere || isRepairing(other)));
  if (writing) return { packageThere, waitsFor: writing.model.metadata.name };
  if (packageThere) return { packageThere };
  const first = present
    .filter(isEager)
    .map((other) => other.model)
    .sort(byAge)
    .find((other) => byAge(other, model) < 0);
  return { packageThere, ...(first ? { waitsFor: first.metadata.name } : {}) };
}

/**
 * Of attempts without a pod that could write. A pod that has no node may get one later: then two write, which the volume orders.
 * What keeps the claim itself from being mounted would keep the others waiting as well.
 */
const NOT_WRITING_REASONS: readonly string[] = [
  ...CANNOT_START_REASONS,
  'Unschedulable',
  'VolumeNodeFull',
  'InsufficientGPU',
  'JobSuspended',
  'PodRejected',
  'PodSecurityViolation',
  'QuotaExceeded',
];

const isRepairing = ({ model }: OtherSharer) => (model.status?.fetch?.repairs ?? 0) > 0;

function hasVerified({ model: { status }, current }: OtherSharer, claimUid: string | undefined): boolean {
  return current && status?.fetch?.phase === 'Succeeded' && status.pvc?.uid === claimUid;
}

/** An attempt that was begun and may write. One whose Job is refused does not. */
function isRunning({ model: { status }, current }: OtherSharer): boolean {
  const reason = findCondition(status?.conditions, 'Ready')?.reason ?? '';
  return (
    current &&
    status?.fetch?.phase === 'Running' &&
    status.phase !== 'Failed' &&
    !NOT_WRITING_REASONS.includes(reason)
  );
}

/** Would begin in its next pass. */
function isEager({ model: { spec, status }, used, current }: OtherSharer): boolean {
  if (current) return false;
  const wanted = used || spec.fetch?.policy !== 'OnDemand';
  return wanted && status?.phase !== 'Failed';
}

const byAge = ({ metadata: a }: DeepfakeModel, { metadata: b }: DeepfakeModel) =>
  (a.creationTimestamp ?? '').localeCompare(b.creationTimestamp ?? '') || a.name.localeCompare(b.name);
