/** The next step of a fetch as a function of what was and what is. Pure. */
import type { DeepfakeModelStatus } from '../../api/deepfake-model.ts';
import { hashOf } from '../../runtime/apply.ts';
import { type Backoff, backoffMs } from '../../runtime/backoff.ts';
import { timestamp } from '../../runtime/conditions.ts';
import type { Problem } from '../problems.ts';
import type { FetchOutcome, FetchResult, Retry } from './fetch-outcome.ts';

export type FetchState = NonNullable<DeepfakeModelStatus['fetch']>;

export type RetryPolicy = Readonly<Record<Exclude<Retry, 'never'>, Backoff>>;
export const DEFAULT_RETRY: RetryPolicy = {
  soon: { baseMs: 10_000, capMs: 300_000 },
  seldom: { baseMs: 60_000, capMs: 3_600_000 },
};

/** A package that was verified and is found damaged this often within a day is not fetched again. */
export const MAX_REPAIRS = 5;
const REPAIRS_FORGOTTEN_MS = 24 * 3_600_000;

export interface FetchInput {
  readonly previous: FetchState | undefined;
  readonly id: string;
  /** Of the Job of the current attempt; undefined if there is no such Job. */
  readonly outcome: FetchOutcome | undefined;
  /** What a serving pod says of the package that was verified. */
  readonly damage?: Problem | undefined;
  /** The spec was edited since the last pass: a person may have mended what failed, or what keeps a pod from running. */
  readonly edited: boolean;
  /** No pod of the current attempt has run yet. */
  readonly idle: boolean;
  /** No other model works on the claim. */
  readonly mayBegin: boolean;
  readonly nowMs: number;
  readonly policy: RetryPolicy;
}

export interface FetchStep {
  /** undefined: nothing was ever begun. */
  readonly state: FetchState | undefined;
  /** The Job of `state.attempts` has to exist. */
  readonly start: boolean;
  /** An attempt is due, and another model has to end its own before. */
  readonly waits?: boolean;
  /** What pods say of the verified package, where its repair is not due yet. */
  readonly damage?: Problem;
  readonly result?: FetchResult;
  readonly requeueAfterMs?: number;
}

/** The attempt that a Job is looked for under. */
export const currentAttempt = (previous: FetchState | undefined, id: string) =>
  previous?.id === id ? previous.attempts : 0;

/** A failure whose retry is due: kept in status, so that an edit counts even where the attempt cannot begin in this pass. */
export const dueNow = (state: FetchState, nowMs: number): FetchState =>
  state.phase === 'Failed' ? { ...state, nextRetryAt: timestamp(nowMs) } : state;

/**
 * A Job that vanished while it ran is made again under its own name; one that failed is followed by the next attempt once its
 * time has come; a package found damaged is followed by a repair. An edit of the spec makes a retry due, and replaces an attempt
 * that has no running pod: it may wait for what the edit brings.
 */
export function nextFetch(input: FetchInput): FetchStep {
  const { previous, id, outcome, policy, edited, idle, nowMs } = input;
  if (previous?.id !== id) return begin({ id, attempts: 0 }, input);
  if (previous.phase === 'Succeeded') return afterSuccess(previous, input);
  const mended = (state: FetchState) => (edited ? dueNow(state, nowMs) : state);
  if (previous.phase === 'Failed') return afterFailure(mended(previous), input);
  switch (outcome?.state) {
    case undefined:
      return { state: previous, start: true };
    case 'running':
      if (edited && idle) return begin(previous, { ...input, mayBegin: true });
      return { state: previous, start: false, ...after(outcome.lookAgainMs) };
    case 'unknown':
      return { state: previous, start: false, requeueAfterMs: 1_000 };
    case 'succeeded':
      return { state: succeeded(previous, outcome), start: false, result: outcome.result };
    case 'failed':
      return afterFailure(mended(failed(previous, outcome, policy)), input);
  }
}

const after = (requeueAfterMs: number | undefined) =>
  requeueAfterMs === undefined ? {} : { requeueAfterMs };

type Kept = Pick<FetchState, 'id' | 'attempts' | 'repairs' | 'reason' | 'message'>;

/** The next attempt. Why the one before failed stays told until there is news. */
function begin(before: Kept, { previous, mayBegin, nowMs }: FetchInput): FetchStep {
  if (!mayBegin) return { state: previous, start: false, waits: true };
  const { id, attempts, repairs, reason, message } = before;
  const state: FetchState = {
    id,
    phase: 'Running',
    attempts: attempts + 1,
    startedAt: timestamp(nowMs),
    ...(repairs === undefined ? {} : { repairs }),
    ...(reason === undefined ? {} : { reason }),
    ...(message === undefined ? {} : { message }),
  };
  return { state, start: true };
}

/** A repair as soon as damage is told, later ones with growing pauses, and none once it is clear that they do not help. */
function afterSuccess(previous: FetchState, input: FetchInput): FetchStep {
  const { damage, nowMs, policy } = input;
  if (!damage) return { state: previous, start: false };
  const verifiedAt = Date.parse(previous.completedAt ?? '');
  const repairs = nowMs - verifiedAt > REPAIRS_FORGOTTEN_MS ? 0 : (previous.repairs ?? 0);
  if (repairs >= MAX_REPAIRS) {
    const message = `${damage.message}; repaired ${repairs} times, and damaged again each time: look at the storage, then delete the claim or edit the spec`;
    return { state: { ...previous, phase: 'Failed', reason: 'DamagedAgain', message }, start: false };
  }
  const pause =
    repairs === 0
      ? 0
      : verifiedAt + backoffMs(repairs, policy.seldom, () => jitterOf(previous.id, repairs)) - nowMs;
  if (pause > 0) return { state: previous, start: false, damage, requeueAfterMs: pause };
  return begin({ ...previous, ...damage, repairs: repairs + 1 }, input);
}

function succeeded(
  { id, attempts, startedAt, repairs }: FetchState,
  { result, endedAt }: Extract<FetchOutcome, { state: 'succeeded' }>,
): FetchState {
  return {
    id,
    phase: 'Succeeded',
    attempts,
    ...(startedAt === undefined ? {} : { startedAt }),
    completedAt: endedAt,
    durationMs: Math.round(result.durationMs),
    ...(repairs === undefined ? {} : { repairs }),
  };
}

function failed(
  previous: FetchState,
  outcome: Extract<FetchOutcome, { state: 'failed' }>,
  policy: RetryPolicy,
): FetchState {
  const { reason, message, retry, endedAt } = outcome;
  const { id, attempts, startedAt, repairs } = previous;
  const retryAt =
    retry === 'never'
      ? undefined
      : Date.parse(endedAt) + backoffMs(attempts, policy[retry], () => jitterOf(id, attempts));
  return {
    id,
    phase: 'Failed',
    attempts,
    ...(startedAt === undefined ? {} : { startedAt }),
    completedAt: endedAt,
    ...(repairs === undefined ? {} : { repairs }),
    reason,
    message,
    ...(retryAt === undefined ? {} : { nextRetryAt: timestamp(Math.ceil(retryAt / 1000) * 1000) }),
  };
}

/** 0..1, the same whenever one failure is looked at: a second look does not move the retry. */
const jitterOf = (id: string, attempts: number) =>
  Number.parseInt(hashOf([id, attempts]).slice(0, 8), 16) / 2 ** 32;

/** Waits for the retry, or begins it. Without a time for it only another id or an edit helps. */
function afterFailure(state: FetchState, input: FetchInput): FetchStep {
  if (state.nextRetryAt === undefined) return { state, start: false };
  const wait = Date.parse(state.nextRetryAt) - input.nowMs;
  if (wait > 0) return { state, start: false, requeueAfterMs: wait };
  return begin(state, { ...input, previous: state });
}
