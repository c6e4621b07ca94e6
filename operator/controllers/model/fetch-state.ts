/** The next step of a fetch as a function of what was and what is. Pure. */
import type { DeepfakeModelStatus } from '../../api/deepfake-model.ts';
import { hashOf } from '../../runtime/apply.ts';
import { type Backoff, backoffMs } from '../../runtime/backoff.ts';
import { timestamp } from '../../runtime/conditions.ts';
import type { FetchOutcome, FetchResult, Retry } from './fetch-outcome.ts';

export type FetchState = NonNullable<DeepfakeModelStatus['fetch']>;

export type RetryPolicy = Readonly<Record<Exclude<Retry, 'never'>, Backoff>>;
export const DEFAULT_RETRY: RetryPolicy = {
  soon: { baseMs: 10_000, capMs: 300_000 },
  seldom: { baseMs: 60_000, capMs: 3_600_000 },
};

export interface FetchStep {
  readonly state: FetchState;
  /** The Job of `state.attempts` has to exist. */
  readonly start: boolean;
  readonly result?: FetchResult;
  readonly requeueAfterMs?: number;
}

/** The attempt that a Job is looked for under. */
export const currentAttempt = (previous: FetchState | undefined, id: string) =>
  previous?.id === id ? previous.attempts : 0;

/**
 * @param outcome of the Job of the current attempt; undefined if there is no such Job.
 * A Job that vanished while it ran is made again under its own name; one that failed is followed by the next attempt
 * once its time has come.
 */
export function nextFetch(
  previous: FetchState | undefined,
  id: string,
  outcome: FetchOutcome | undefined,
  nowMs: number,
  policy: RetryPolicy,
): FetchStep {
  if (previous?.id !== id) return begin({ id, attempts: 0 }, nowMs);
  if (previous.phase === 'Succeeded') return { state: previous, start: false };
  if (previous.phase === 'Failed') return afterFailure(previous, nowMs);
  switch (outcome?.state) {
    case undefined:
      return { state: previous, start: true };
    case 'running':
      return { state: previous, start: false };
    case 'unknown':
      return { state: previous, start: false, requeueAfterMs: 1_000 };
    case 'succeeded': {
      const { result, endedAt } = outcome;
      const { startedAt } = previous;
      const durationMs = Math.round(result.durationMs);
      const state: FetchState = {
        id,
        phase: 'Succeeded',
        attempts: previous.attempts,
        ...(startedAt === undefined ? {} : { startedAt }),
        completedAt: endedAt,
        durationMs,
      };
      return { state, start: false, result };
    }
    case 'failed': {
      const state = failed(previous, outcome, policy);
      return afterFailure(state, nowMs);
    }
  }
}

/** The next attempt. Why the one before failed stays told until there is news. */
function begin(
  { id, attempts, reason, message }: Pick<FetchState, 'id' | 'attempts' | 'reason' | 'message'>,
  nowMs: number,
): FetchStep {
  const state: FetchState = {
    id,
    phase: 'Running',
    attempts: attempts + 1,
    startedAt: timestamp(nowMs),
    ...(reason === undefined ? {} : { reason }),
    ...(message === undefined ? {} : { message }),
  };
  return { state, start: true };
}

function failed(
  previous: FetchState,
  outcome: Extract<FetchOutcome, { state: 'failed' }>,
  policy: RetryPolicy,
): FetchState {
  const { reason, message, retry, endedAt } = outcome;
  const { id, attempts, startedAt } = previous;
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
    reason,
    message,
    ...(retryAt === undefined ? {} : { nextRetryAt: timestamp(Math.ceil(retryAt / 1000) * 1000) }),
  };
}

/** 0..1, the same whenever one failure is looked at: a second look does not move the retry. */
const jitterOf = (id: string, attempts: number) =>
  Number.parseInt(hashOf([id, attempts]).slice(0, 8), 16) / 2 ** 32;

/** Waits for the retry, or begins it. Without a time for it only another id helps. */
function afterFailure(state: FetchState, nowMs: number): FetchStep {
  if (state.nextRetryAt === undefined) return { state, start: false };
  const wait = Date.parse(state.nextRetryAt) - nowMs;
  if (wait > 0) return { state, start: false, requeueAfterMs: wait };
  return begin(state, nowMs);
}
