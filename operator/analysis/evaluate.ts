/**
 * What follows from measurements: which are due, and what a metric and a run are worth. Argo's rules, as functions of the spec, of what
 * status remembers, and of the time. Pure.
 */
import type { AnalysisRun, Measurement, Metric, MetricResult } from '../api/rollout/analysis.ts';
import type { AnalysisPhase } from '../rollout/contract.ts';
import { durationMs } from '../rollout/duration.ts';
import { timestamp } from '../runtime/conditions.ts';

export type FinalPhase = Exclude<AnalysisPhase, 'Pending' | 'Running'>;

/** What came of a measurement that is over. */
export interface Taken {
  readonly phase: FinalPhase;
  /** A number or compact JSON. */
  readonly value?: string | undefined;
  /** Why it is not a success. */
  readonly message?: string | undefined;
}

/** A Job measures, and goes on. */
export interface Delegated {
  readonly phase: 'Running';
  readonly job: string;
  /** What holds it up. */
  readonly message?: string | undefined;
}

export type Reading = Taken | Delegated;

export interface RunPlan {
  readonly metrics: readonly Metric[];
  /** It lasts as long as the rollout: a metric with an interval and without a count never ends by itself. */
  readonly background: boolean;
}

/** Measurements that could not be taken are repeated after this long where there is no interval, ms. */
const ERROR_RETRY_MS = 10_000;
const KEPT = 5;
const TEXT_MAX = 1024;
const TALLY_MAX = 1_000_000;

/** From the worst to the best. */
const WORST_FIRST: readonly AnalysisPhase[] = [
  'Failed',
  'Error',
  'Inconclusive',
  'Running',
  'Pending',
  'Successful',
];
const FINAL: ReadonlySet<AnalysisPhase> = new Set(['Failed', 'Error', 'Inconclusive', 'Successful']);

export const isFinal = (phase: AnalysisPhase): phase is FinalPhase => FINAL.has(phase);

/** undefined: without end. */
export function effectiveCount({ count, interval }: Metric, background: boolean): number | undefined {
  return count ?? (interval !== undefined && background ? undefined : 1);
}

const resultOf = ({ metrics = [] }: AnalysisRun, { name }: Metric) =>
  metrics.find((result) => result.name === name);

const lastOf = (result: MetricResult | undefined) => result?.measurements?.at(-1);

/** The measurement of a metric that a Job is taking. */
export function underWay(run: AnalysisRun, metric: Metric): Measurement | undefined {
  const last = lastOf(resultOf(run, metric));
  return last && !isFinal(last.phase) ? last : undefined;
}

/** When the next measurement of a metric is to begin, ms since the epoch; undefined: none is, or one is under way. */
export function dueAt(run: AnalysisRun, metric: Metric, background: boolean): number | undefined {
  const result = resultOf(run, metric);
  if (isFinal(run.phase) || (result && isFinal(result.phase))) return undefined;
  const last = lastOf(result);
  if (!last) return Date.parse(run.startedAt) + ofDuration(metric.initialDelay, 0);
  if (!isFinal(last.phase)) return undefined;
  const count = effectiveCount(metric, background);
  if (count !== undefined && (result?.count ?? 0) >= count) return undefined;
  const pause = ofDuration(metric.interval, last.phase === 'Error' ? ERROR_RETRY_MS : 0);
  return Date.parse(last.finishedAt ?? last.startedAt) + pause;
}

const ofDuration = (text: string | undefined, otherwise: number) =>
  text === undefined ? otherwise : durationMs(text);

/** The run with what was measured since, its phases assessed anew. One that has ended stays as it is. */
export function withReadings(
  run: AnalysisRun,
  { metrics, background }: RunPlan,
  readings: ReadonlyMap<string, Reading>,
  nowMs: number,
): AnalysisRun {
  if (isFinal(run.phase)) return run;
  const results = metrics.map((metric) => {
    const before: MetricResult = resultOf(run, metric) ?? { name: metric.name, phase: 'Pending' };
    const reading = readings.get(metric.name);
    return assessed(metric, reading ? withReading(before, reading, nowMs) : before, background);
  });
  const culprits = results.filter(({ phase }) => isFinal(phase) && phase !== 'Successful');
  const over = culprits.length > 0 || results.every(({ phase }) => isFinal(phase));
  if (!over) return { ...withoutEnd(run), phase: 'Running', metrics: results };
  const worst = worstOf(results.map(({ phase }) => phase).filter(isFinal));
  return concluded({ ...run, metrics: results.map(endedMetric) }, worst, nowMs);
}

/**
 * A run that nobody wants any more: what was measured so far counts. One in which nothing was measured is inconclusive: it has shown
 * nothing.
 */
export function endedRun(run: AnalysisRun, nowMs: number): AnalysisRun {
  if (isFinal(run.phase)) return run;
  const results = (run.metrics ?? []).map(endedMetric);
  const phases = results.map(({ phase }) => phase).filter(isFinal);
  return concluded(
    { ...run, metrics: results },
    worstOf(phases) ?? 'Inconclusive',
    nowMs,
    'ended before anything was measured',
  );
}

/** A run that cannot be measured at all, e.g. because the spec no longer names it. */
export const brokenRun = (run: AnalysisRun, message: string, nowMs: number): AnalysisRun =>
  isFinal(run.phase) ? run : { ...run, phase: 'Error', message: cut(message), finishedAt: timestamp(nowMs) };

function concluded(
  run: AnalysisRun,
  worst: FinalPhase | undefined,
  nowMs: number,
  otherwise = '',
): AnalysisRun {
  const phase = worst ?? 'Successful';
  const culprits = (run.metrics ?? []).filter((result) => result.phase === phase && phase !== 'Successful');
  const message = culprits.map(({ name, message: why = '' }) => `${name}: ${why}`).join('; ');
  const told = message || (phase === 'Successful' ? '' : otherwise);
  return {
    ...withoutEnd(run),
    phase,
    ...(told === '' ? {} : { message: cut(told) }),
    finishedAt: timestamp(nowMs),
  };
}

function withoutEnd({
  message: _,
  finishedAt: __,
  ...run
}: AnalysisRun): Omit<AnalysisRun, 'message' | 'finishedAt'> {
  return run;
}

/** Measured without a complaint so far: a success. Never measured: left Pending. What a Job is measuring is dropped. */
function endedMetric(result: MetricResult): MetricResult {
  if (isFinal(result.phase)) return result;
  const measurements = (result.measurements ?? []).filter(({ phase }) => isFinal(phase));
  const { measurements: _, ...rest } = result;
  const kept = measurements.length === 0 ? rest : { ...rest, measurements };
  if (!result.successful)
    return { ...kept, phase: 'Pending', message: 'ended before a measurement succeeded' };
  return { ...kept, phase: 'Successful' };
}

function withReading(result: MetricResult, reading: Reading, nowMs: number): MetricResult {
  const now = timestamp(nowMs);
  const { measurements = [] } = result;
  const open = measurements.find(({ phase }) => !isFinal(phase));
  const closed = measurements.filter(({ phase }) => isFinal(phase));
  const startedAt = open?.startedAt ?? now;
  if (reading.phase === 'Running') {
    const { job, message } = reading;
    const held = message === undefined ? {} : { message: cut(message) };
    const running: Measurement = { phase: 'Running', startedAt, job, ...held };
    return { ...result, measurements: [...closed, running].slice(-KEPT) };
  }
  const { phase, value, message } = reading;
  const taken: Measurement = {
    phase,
    startedAt,
    finishedAt: now,
    ...(value === undefined ? {} : { value: cut(value) }),
    ...(message === undefined ? {} : { message: cut(message) }),
    ...(open?.job === undefined ? {} : { job: open.job }),
  };
  return { ...counted(result, phase), measurements: [...closed, taken].slice(-KEPT) };
}

const TALLY = {
  Successful: 'successful',
  Failed: 'failed',
  Inconclusive: 'inconclusive',
  Error: 'error',
} as const;

function counted(result: MetricResult, phase: FinalPhase): MetricResult {
  const more = (count: number | undefined) => Math.min(TALLY_MAX, (count ?? 0) + 1);
  const tally = { [TALLY[phase]]: more(result[TALLY[phase]]) };
  if (phase === 'Error') return { ...result, ...tally, consecutiveError: more(result.consecutiveError) };
  return { ...result, ...tally, count: more(result.count), consecutiveError: 0 };
}

function assessed(metric: Metric, result: MetricResult, background: boolean): MetricResult {
  if (isFinal(result.phase)) return result;
  const last = lastOf(result);
  if (!last) return { ...result, phase: 'Pending' };
  const { message: _, ...rest } = result;
  const why = last.message;
  const told = why === undefined ? {} : { message: why };
  if (!isFinal(last.phase)) return { ...rest, ...told, phase: 'Running' };
  const limit = limitExceeded(metric, result);
  if (limit)
    return { ...rest, phase: limit.phase, message: cut([limit.message, why].filter(Boolean).join(': ')) };
  const count = effectiveCount(metric, background);
  if (count === undefined || (result.count ?? 0) < count) return { ...rest, ...told, phase: 'Running' };
  if (result.successful) return { ...rest, ...told, phase: 'Successful' };
  return {
    ...rest,
    phase: 'Inconclusive',
    message: cut(['no measurement succeeded', why].filter(Boolean).join(': ')),
  };
}

function limitExceeded(
  { failureLimit, inconclusiveLimit, consecutiveErrorLimit }: Metric,
  { failed = 0, inconclusive = 0, consecutiveError = 0 }: MetricResult,
): { phase: FinalPhase; message: string } | undefined {
  const rows = [
    ['Failed', failed, failureLimit, `failed (${failed}) > failureLimit (${failureLimit})`],
    [
      'Inconclusive',
      inconclusive,
      inconclusiveLimit,
      `inconclusive (${inconclusive}) > inconclusiveLimit (${inconclusiveLimit})`,
    ],
    [
      'Error',
      consecutiveError,
      consecutiveErrorLimit,
      `errors in a row (${consecutiveError}) > consecutiveErrorLimit (${consecutiveErrorLimit})`,
    ],
  ] as const;
  const hit = rows.find(([, count, limit]) => count > limit);
  return hit && { phase: hit[0], message: hit[3] };
}

/** undefined of none. */
export function worstOf<P extends AnalysisPhase>(phases: readonly P[]): P | undefined {
  return [...phases].sort((a, b) => WORST_FIRST.indexOf(a) - WORST_FIRST.indexOf(b))[0];
}

const cut = (text: string) => (text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX - 1)}…` : text);
