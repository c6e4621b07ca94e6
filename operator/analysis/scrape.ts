/** What pods say of themselves at `/metrics`, which needs no credentials. */
import type { Pod } from '../controllers/kinds.ts';
import { messageOf } from '../runtime/errors.ts';
import { parseExposition, type Sample } from './exposition.ts';
import { getText } from './http.ts';

/** What the analyses read; see inference/observability/metrics.ts. */
export const METRIC = {
  requests: 'deepfake_requests_total',
  stageBuckets: 'deepfake_stage_duration_seconds_bucket',
  scoreBuckets: 'deepfake_score_bucket',
  queueAge: 'deepfake_queue_age_seconds',
  gpuMemoryUsed: 'nv_gpu_memory_used_bytes',
  gpuMemoryTotal: 'nv_gpu_memory_total_bytes',
  startedAt: 'process_start_time_seconds',
} as const;
const wanted: ReadonlySet<string> = new Set(Object.values(METRIC));

const TIMEOUT_MS = 3_000;
const MAX_BYTES = 4 * 1024 ** 2;
/** Of one revision; the same ones every time, as rates are differences. */
const MAX_PODS = 64;
const AT_ONCE = 8;

/** One pod's samples. */
export interface PodSamples {
  readonly uid: string;
  /** When its process began, seconds since the epoch; NaN where it does not say. */
  readonly startedAt: number;
  readonly samples: readonly Sample[];
}

/** Asks one address of a pod. @throws Error that says what kept the answer away */
export type AskPod = (pod: Pod, path: string, signal: AbortSignal) => Promise<string>;

export const askPod: AskPod = async (pod, path, signal) => {
  const { status, text } = await getText(`${podUrl(pod)}${path}`, {
    timeoutMs: TIMEOUT_MS,
    maxBytes: MAX_BYTES,
    signal,
  });
  if (status !== 200) throw new Error(`${path} answered ${status}`);
  return text;
};

/** @throws Error for a pod without an address or without a port `http` */
export function podUrl({ spec, status }: Pod): string {
  const ip = status?.podIP;
  if (!ip) throw new Error('it has no address yet');
  const ports = (spec?.containers ?? []).flatMap((container) => container.ports ?? []);
  const port = ports.find(({ name }) => name === 'http')?.containerPort;
  if (port === undefined) throw new Error('it has no container port called http');
  return `http://${ip.includes(':') ? `[${ip}]` : ip}:${port}`;
}

/** Those that take requests: others have nothing to say of them. */
export function askedPods(pods: readonly Pod[]): readonly Pod[] {
  return pods
    .filter(isReady)
    .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
    .slice(0, MAX_PODS);
}

const isReady = ({ metadata, status }: Pod) =>
  metadata.deletionTimestamp === undefined &&
  status?.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True') === true;

/**
 * What each pod that takes requests answers.
 * @throws Error that names the first pod that does not: without it the figure would be about the others alone
 */
export async function askAll<T>(
  pods: readonly Pod[],
  path: string,
  { ask, parse, signal }: { ask: AskPod; parse: (text: string, pod: Pod) => T; signal: AbortSignal },
): Promise<T[]> {
  const asked = askedPods(pods);
  const answers: T[] = [];
  for (let from = 0; from < asked.length; from += AT_ONCE) {
    const some = asked.slice(from, from + AT_ONCE).map(async (pod) => {
      try {
        return parse(await ask(pod, path, signal), pod);
      } catch (error) {
        signal.throwIfAborted();
        throw new Error(`pod ${pod.metadata.name}: ${messageOf(error)}`, { cause: error });
      }
    });
    answers.push(...(await Promise.all(some)));
  }
  return answers;
}

/** For `askAll` at `/metrics`. */
export function podSamples(text: string, { metadata }: Pod): PodSamples {
  const samples = parseExposition(text, wanted);
  const startedAt = samples.find(({ name }) => name === METRIC.startedAt)?.value ?? Number.NaN;
  return { uid: metadata.uid ?? metadata.name, startedAt, samples };
}

/**
 * What was counted since `before`, summed over the pods that are in both. A pod whose process began anew, or a counter that is less than it
 * was, counts from 0.
 */
export function increases(
  before: readonly PodSamples[],
  now: readonly PodSamples[],
  keep: (sample: Sample) => boolean,
): Sample[] {
  const known = new Map(before.map((pod) => [pod.uid, pod]));
  return now.flatMap((pod) => {
    const earlier = known.get(pod.uid);
    if (!earlier) return [];
    const restarted = earlier.startedAt !== pod.startedAt && !Number.isNaN(pod.startedAt);
    const counted = new Map(restarted ? [] : earlier.samples.map((sample) => [keyOf(sample), sample.value]));
    return pod.samples.filter(keep).map((sample) => {
      const was = counted.get(keyOf(sample)) ?? 0;
      return { ...sample, value: sample.value >= was ? sample.value - was : sample.value };
    });
  });
}

const keyOf = ({ name, labels }: Sample) =>
  JSON.stringify([name, ...Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1))]);

export const total = (samples: readonly Sample[]) => samples.reduce((sum, { value }) => sum + value, 0);

/** Cumulative buckets by `le`, summed over everything else. */
export function bucketsOf(samples: readonly Sample[]): { le: number; count: number }[] {
  const counts = new Map<number, number>();
  for (const { labels, value } of samples) {
    const le = labels['le'] === '+Inf' ? Number.POSITIVE_INFINITY : Number(labels['le']);
    counts.set(le, (counts.get(le) ?? 0) + value);
  }
  return [...counts].map(([le, count]) => ({ le, count })).sort((a, b) => a.le - b.le);
}
