/** What became of a fetch attempt, read from its Job and pods. Pure. */
import { z } from 'zod';
import { type DeepfakeModelSpec, modelCard } from '../../api/deepfake-model.ts';
import type { Job, Pod } from '../kinds.ts';

/** How soon the next attempt may help: soon, seldom, or only once the spec changes. */
export type Retry = 'soon' | 'seldom' | 'never';

export type FetchOutcome =
  | { readonly state: 'running' }
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
];

const RETRY: Readonly<Record<string, Retry>> = {
  DigestMismatch: 'seldom',
  InvalidPackage: 'seldom',
  PackageTooLarge: 'seldom',
  SourceNotFound: 'seldom',
  UnknownBuiltin: 'seldom',
  VersionMismatch: 'never',
  ModalityMismatch: 'never',
};

const MESSAGE_MAX = 1500;

/** `patienceOver`: the pod's last words were waited for long enough. */
export function fetchOutcome(
  job: Job,
  pods: readonly Pod[],
  spec: DeepfakeModelSpec,
  patienceOver: boolean,
): FetchOutcome {
  const ended = job.status?.conditions?.find(
    ({ type, status }) => (type === 'Complete' || type === 'Failed') && status === 'True',
  );
  if (!ended) return { state: 'running' };
  const endedAt = String(ended.lastTransitionTime ?? job.metadata.creationTimestamp);
  const said = lastWords(pods);
  if (said === undefined && !patienceOver) return { state: 'unknown' };
  const parsed = parseJson(said);
  const success = result.safeParse(parsed);
  if (ended.type === 'Complete' && success.success) return accept(success.data, spec, endedAt);
  if (ended.type === 'Complete' && parsed !== undefined) {
    return fail(
      'InvalidPackage',
      `what the package says of itself cannot be kept: ${issuesOf(success)}`,
      endedAt,
    );
  }
  const failed = failure.safeParse(parsed);
  if (failed.success) return fail(failed.data.error.reason, failed.data.error.message, endedAt);
  if (ended.reason === 'DeadlineExceeded') {
    return fail('DeadlineExceeded', `${ended.message ?? 'the attempt took too long'}`, endedAt);
  }
  const detail = said?.trim() || ended.message || 'its pod left no message';
  return fail('FetchFailed', `the fetch ended without a result: ${detail}`, endedAt);
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

function lastWords(pods: readonly Pod[]): string | undefined {
  const ends = pods.flatMap((pod) => pod.status?.containerStatuses?.[0]?.state?.terminated ?? []);
  return ends.length === 0 ? undefined : (ends.find(({ message }) => message)?.message ?? '');
}

function parseJson(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch {
    return undefined;
  }
}
