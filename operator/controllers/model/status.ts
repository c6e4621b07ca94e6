/** The status of a DeepfakeModel as a function of what was observed. Pure. */
import type { DeepfakeModelStatus } from '../../api/deepfake-model.ts';
import type { Verdict } from '../../runtime/conditions.ts';
import type { Problem } from '../problems.ts';
import { INTEGRITY_REASONS } from './fetch-outcome.ts';
import type { FetchState } from './fetch-state.ts';
import { progressText } from './progress.ts';

/** The verified package that deployments may serve. */
export type Artifact = {
  readonly [Field in 'digest' | 'sizeBytes' | 'pvc' | 'card']: NonNullable<DeepfakeModelStatus[Field]>;
};

export interface ModelObservation {
  /** undefined: no fetch could be planned; `blocked` says why. */
  readonly fetch: FetchState | undefined;
  readonly artifact: Artifact | undefined;
  readonly blocked?: Problem | undefined;
  /** Nothing is wrong, and nothing is begun until something else happens. */
  readonly waiting?: Problem | undefined;
  /** Found by a pod in the verified package; its repair is not due yet. */
  readonly damage?: Problem | undefined;
  /** The claim could not be resized; the package is kept on it as it is. */
  readonly refused?: Problem | undefined;
  /** What keeps the running attempt from starting. */
  readonly pending?: Problem | undefined;
  readonly podRunning: boolean;
}

export interface ModelSummary {
  readonly phase: 'Pending' | 'Fetching' | 'Ready' | 'Failed';
  readonly message: string;
  readonly conditions: readonly Verdict[];
}

/** The definition's bound. */
const STATUS_MESSAGE_MAX = 4096;

export function summarize(observation: ModelObservation): ModelSummary {
  const state = currentState(observation);
  const serving =
    state.phase !== 'Ready' && observation.artifact
      ? `; ${observation.artifact.digest} stays served meanwhile`
      : '';
  const message = `${state.message}${serving}`;
  return {
    phase: state.phase,
    message: message.slice(0, STATUS_MESSAGE_MAX),
    conditions: [
      {
        type: 'Fetched',
        status: state.phase === 'Ready' ? 'True' : 'False',
        reason: state.phase === 'Ready' ? 'Fetched' : state.reason,
        message: state.message,
      },
      verifiedCondition(state),
      {
        type: 'Ready',
        status: state.phase === 'Ready' ? 'True' : 'False',
        reason: state.reason,
        message,
      },
      ...(observation.refused
        ? [{ type: 'ClaimResized', status: 'False', ...observation.refused } as const]
        : []),
    ],
  };
}

interface State {
  readonly phase: ModelSummary['phase'];
  readonly reason: string;
  readonly message: string;
}

function currentState(observation: ModelObservation): State {
  const { fetch, artifact, blocked, waiting, damage, pending } = observation;
  if (blocked) return { phase: 'Failed', ...blocked };
  if (waiting) return { phase: 'Pending', ...waiting };
  if (fetch?.phase === 'Succeeded' && artifact) {
    if (damage) return { phase: 'Failed', ...damage };
    const { name, version } = artifact.card;
    return { phase: 'Ready', reason: 'Ready', message: `${name} ${version} verified (${artifact.digest})` };
  }
  if (fetch?.phase === 'Failed') {
    const next = fetch.nextRetryAt
      ? `next attempt at ${fetch.nextRetryAt}`
      : 'not retried until the spec changes';
    return {
      phase: 'Failed',
      reason: fetch.reason ?? 'FetchFailed',
      message: `${fetch.message} (attempt ${fetch.attempts}; ${next})`,
    };
  }
  return pending ? { phase: 'Pending', ...pending } : running(observation);
}

function running({ fetch, podRunning }: ModelObservation): State {
  const { attempts = 1, reason = 'WeightsFetching', message: before } = fetch ?? {};
  const progress = fetch && podRunning ? progressText(fetch) : undefined;
  const now = progress ?? `attempt ${attempts} ${podRunning ? 'runs' : 'waits for its pod'}`;
  const history =
    before === undefined
      ? ''
      : reason === 'PackageDamaged'
        ? `; repairs: ${before}`
        : `; attempt ${attempts - 1}: ${before}`;
  return { phase: podRunning ? 'Fetching' : 'Pending', reason, message: `${now}${history}` };
}

function verifiedCondition({ phase, reason, message }: State): Verdict {
  if (phase === 'Ready') return { type: 'Verified', status: 'True', reason: 'DigestVerified', message };
  if (INTEGRITY_REASONS.includes(reason)) {
    return { type: 'Verified', status: 'False', reason, message };
  }
  return { type: 'Verified', status: 'Unknown', reason: 'NotFetched', message: 'no bytes to verify yet' };
}

/** What a deleted model says while ModelDeployments keep it from going. */
export function heldCondition(heldBy: readonly string[]): Verdict {
  const names =
    heldBy.slice(0, 10).join(', ') + (heldBy.length > 10 ? ` and ${heldBy.length - 10} more` : '');
  const message = `deletion waits: used by ModelDeployment ${names}`;
  return { type: 'DeletionBlocked', status: 'True', reason: 'InUse', message };
}

/** The package that a status says may be served; undefined before the first was verified. */
export function artifactOf(status: DeepfakeModelStatus | undefined): Artifact | undefined {
  if (!status?.digest || !status.pvc || !status.card || status.sizeBytes === undefined) return undefined;
  const { digest, sizeBytes, pvc, card } = status;
  return { digest, sizeBytes, pvc, card };
}
