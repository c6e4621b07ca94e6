/** What the controller calls once in a pass: analyses that are due are measured, the others are left as they are. */
import { LRUCache } from 'lru-cache';
import { LABEL } from '../api/names.ts';
import type { AnalysisRun, Metric } from '../api/rollout/analysis.ts';
import type { Job, ModelDeployment, Pod } from '../controllers/kinds.ts';
import type { InferenceImage } from '../controllers/pods.ts';
import type { AnalysisOutcome, WantedAnalysis } from '../rollout/contract.ts';
import { durationMs } from '../rollout/duration.ts';
import { type Clock, sleep } from '../runtime/clock.ts';
import { timestamp } from '../runtime/conditions.ts';
import { isControlledBy } from '../runtime/object.ts';
import {
  brokenRun,
  type Delegated,
  dueAt,
  endedRun,
  isFinal,
  type Reading,
  type RunPlan,
  underWay,
  withReadings,
} from './evaluate.ts';
import { type Baseline, type MeasureContext, type Measured, measure, type Track } from './measure.ts';
import { planOf } from './plan.ts';
import { isRate } from './providers/builtin.ts';
import { desiredProbeJob, type ProbeSet, probeJobName } from './providers/probe-job.ts';
import { judgeProbe, probeOutcome } from './providers/probe-outcome.ts';
import { type AskPod, askAll, askPod, type PodSamples, podSamples } from './scrape.ts';

export type { Track } from './measure.ts';

export interface AnalysesInput {
  /** With its parsed spec, defaults filled in: what is measured stands in its strategy. */
  readonly owner: ModelDeployment;
  readonly wanted: readonly WantedAnalysis[];
  /**
   * status.canary.analysis. A run that is wanted goes on if it is about the same revision, and stays as it is once it has ended: leave
   * it out to measure anew. Those that are not wanted are ended and kept.
   */
  readonly previous: readonly AnalysisRun[];
  readonly canary: Track;
  /** undefined: there is none, so nothing can be compared. */
  readonly stable: Track | undefined;
  /** Jobs of the owner, those of `LABEL.probe` at least, and the pods of these (see `probeKeysOf` for an index of both). */
  readonly probeJobs: readonly Job[];
  readonly probePods: readonly Pod[];
  readonly image: InferenceImage;
  readonly signal: AbortSignal;
}

export interface AnalysesOutput {
  /** For status.canary.analysis, bounded. Equal to `previous` where nothing happened. */
  readonly analysis: readonly AnalysisRun[];
  /** Of those that are wanted, in their order. */
  readonly outcomes: readonly AnalysisOutcome[];
  /** When a measurement is due, ms from now; undefined where none is. */
  readonly lookAgainInMs: number | undefined;
  /** To be created once `analysis` has been written to status; one of that name that is there already is the same. */
  readonly createJobs: readonly Job[];
  /** Names of Jobs to be deleted with their pods (propagation Background): their analyses have ended before them. */
  readonly deleteJobs: readonly string[];
}

export interface AnalysesOptions {
  readonly clock: Clock;
  /** How pods are asked (default: over HTTP at their addresses). */
  readonly ask?: AskPod;
}

/** A pass waits this long for measurements; what takes longer is collected by a later one, ms. */
const PASS_MS = 2_000;
/** When to look again for these, ms. */
const COLLECT_MS = 1_000;
/** A Job's events bring passes, too; this is for one that is lost, ms. */
const JOB_CHECK_MS = 15_000;
/** A finished Job whose pod has not been seen, ms. */
const RESULT_CHECK_MS = 2_000;
/** Of rates without an interval, ms. */
const DEFAULT_SPAN_MS = 30_000;
/** Longer than any measurement takes, ms. */
const STALE_MS = 600_000;
/** As many as status takes. */
const MAX_RUNS = 34;
const MAX_BASELINES = 2_000;

interface Inflight {
  readonly begunMs: number;
  readonly done: Promise<void>;
  readonly abort: AbortController;
  measured?: Measured;
}

/** One analysis in one pass. */
interface Work {
  readonly run: AnalysisRun;
  readonly plan: RunPlan;
  readonly readings: Map<string, Reading>;
}

/** What one pass asks for, beside the runs. */
interface Pass {
  readonly input: AnalysesInput;
  readonly nowMs: number;
  readonly scrape: MeasureContext['scrape'];
  readonly createJobs: Job[];
  /** Times from now, ms. */
  readonly looks: number[];
}

/**
 * Kept for as long as the operator leads: rates are differences to what pods said before. What it forgets in a restart costs a
 * measurement, never a verdict.
 */
export class Analyses {
  readonly #clock: Clock;
  readonly #ask: AskPod;
  readonly #inflight = new Map<string, Inflight>();
  readonly #baselines = new LRUCache<string, Baseline>({ max: MAX_BASELINES });

  constructor({ clock, ask = askPod }: AnalysesOptions) {
    this.#clock = clock;
    this.#ask = ask;
  }

  /** Ends within seconds whatever pods and servers do; rejects only when the signal aborts. */
  async run(input: AnalysesInput): Promise<AnalysesOutput> {
    input.signal.throwIfAborted();
    const nowMs = this.#clock.now();
    const pass: Pass = {
      input,
      nowMs,
      scrape: shared(({ pods }) =>
        askAll(pods, '/metrics', { ask: this.#ask, parse: podSamples, signal: NEVER }),
      ),
      createJobs: [],
      looks: [],
    };
    const begun = input.wanted.map((wanted) => begunRun(input, wanted, nowMs));
    const works = begun.map((run, index) => this.#work(pass, run, input.wanted[index]));
    await this.#collect(pass, works);
    const endedMs = this.#clock.now();
    const runs = works.map((work) =>
      'plan' in work ? withReadings(work.run, work.plan, work.readings, endedMs) : work.run,
    );
    for (const [index, work] of works.entries()) {
      const run = runs[index];
      if ('plan' in work && run) this.#lookAgain(pass, { ...work, run }, endedMs);
    }
    const analysis = mergedRuns(input.previous, runs, endedMs);
    const running = jobsUnderWay(analysis);
    return {
      analysis,
      outcomes: runs.map(({ id, phase, message = '' }) => ({ id, phase, message })),
      lookAgainInMs: pass.looks.length === 0 ? undefined : Math.max(0, Math.min(...pass.looks)),
      createJobs: pass.createJobs.filter(({ metadata }) => running.has(metadata.name)),
      deleteJobs: leftJobs(input, running),
    };
  }

  /** Begins what is due, and reads what Jobs have measured. */
  #work(
    pass: Pass,
    run: AnalysisRun,
    wanted: WantedAnalysis | undefined,
  ): Work | { readonly run: AnalysisRun } {
    if (isFinal(run.phase) || !wanted) return { run };
    const plan = planOf(pass.input.owner.spec, wanted);
    if ('problem' in plan) return { run: brokenRun(run, plan.problem, pass.nowMs) };
    const work: Work = { run, plan, readings: new Map() };
    for (const metric of plan.metrics) this.#begin(pass, work, metric);
    return work;
  }

  #begin(pass: Pass, { run, plan, readings }: Work, metric: Metric): void {
    const { probeSet, name } = metric;
    const running = underWay(run, metric);
    if (running?.job !== undefined && probeSet) {
      const reading = followJob(pass, metric.name, probeSet, running.job);
      if (reading) readings.set(name, reading);
      return;
    }
    const at = this.#nextAt(pass.input, run, metric, plan.background);
    if (at === undefined || at > pass.nowMs) return;
    if (probeSet) readings.set(name, beginJob(pass, run, metric.name, probeSet));
    else this.#start(pass, run, metric);
  }

  /** A rate needs a span of time: none is due before it is over. */
  #nextAt(input: AnalysesInput, run: AnalysisRun, metric: Metric, background: boolean): number | undefined {
    const due = dueAt(run, metric, background);
    const { builtin, interval } = metric;
    if (due === undefined || !builtin || !isRate(builtin)) return due;
    const baseline = this.#baselines.get(keyOf(input, run, metric));
    if (!baseline) return due;
    const span = interval === undefined ? DEFAULT_SPAN_MS : durationMs(interval);
    return Math.max(due, baseline.atMs + span);
  }

  #start({ input, nowMs, scrape }: Pass, run: AnalysisRun, metric: Metric): void {
    const key = keyOf(input, run, metric);
    if (this.#inflight.has(key)) return;
    const { owner, canary, stable } = input;
    const abort = new AbortController();
    const { signal } = abort;
    const baseline = this.#baselines.get(key);
    const context = { owner, canary, stable, ask: this.#ask, nowMs, signal, baseline, scrape };
    const done = measure(metric, context).then(
      (measured) => {
        entry.measured = measured;
      },
      // Aborted: nobody wants it any more.
      () => undefined,
    );
    const entry: Inflight = { begunMs: nowMs, done, abort };
    this.#inflight.set(key, entry);
  }

  /** Takes what was measured by now. What nobody waits for any more is given up. */
  async #collect({ input, looks, nowMs }: Pass, works: readonly (Work | { readonly run: AnalysisRun })[]) {
    const ours = new Map<string, { work: Work; metric: Metric }>();
    for (const work of works) {
      if (!('plan' in work)) continue;
      for (const metric of work.plan.metrics) ours.set(keyOf(input, work.run, metric), { work, metric });
    }
    this.#forget(input, new Set(ours.keys()), nowMs);
    const waiting = [...ours].flatMap(([key, wanted]) => {
      const entry = this.#inflight.get(key);
      return entry ? [{ key, entry, ...wanted }] : [];
    });
    if (waiting.length === 0) return;
    const patience = new AbortController();
    const { signal } = input;
    await Promise.race([
      Promise.all(waiting.map(({ entry }) => entry.done)),
      sleep(this.#clock, PASS_MS, AbortSignal.any([signal, patience.signal])),
    ]);
    patience.abort();
    signal.throwIfAborted();
    for (const { key, entry, work, metric } of waiting) {
      const { measured } = entry;
      if (!measured) {
        looks.push(COLLECT_MS);
        continue;
      }
      this.#inflight.delete(key);
      if (measured.baseline) this.#baselines.set(key, measured.baseline);
      if (measured.taken) work.readings.set(metric.name, measured.taken);
    }
  }

  /** Of a ModelDeployment that is gone no pass comes any more: others clear up behind it. */
  #forget(input: AnalysesInput, wanted: ReadonlySet<string>, nowMs: number): void {
    const prefix = ownerKey(input);
    for (const [key, { abort, begunMs }] of this.#inflight) {
      const isStale = nowMs - begunMs > STALE_MS;
      if (!isStale && (!key.startsWith(prefix) || wanted.has(key))) continue;
      abort.abort();
      this.#inflight.delete(key);
    }
    for (const key of this.#baselines.keys())
      if (key.startsWith(prefix) && !wanted.has(key)) this.#baselines.delete(key);
  }

  #lookAgain({ input, looks }: Pass, { run, plan }: Work, nowMs: number): void {
    if (isFinal(run.phase)) return;
    for (const metric of plan.metrics) {
      if (underWay(run, metric)) looks.push(JOB_CHECK_MS);
      const at = this.#nextAt(input, run, metric, plan.background);
      if (at !== undefined && !this.#inflight.has(keyOf(input, run, metric))) looks.push(at - nowMs);
    }
  }
}

/** Answers that several metrics of a pass share; what one of them gives up another may still want, and each ends by itself. */
const NEVER = new AbortController().signal;

function shared(scrape: (track: Track) => Promise<PodSamples[]>): MeasureContext['scrape'] {
  const answers = new Map<string, Promise<readonly PodSamples[]>>();
  return (track) => {
    const answer = answers.get(track.revision) ?? scrape(track);
    answers.set(track.revision, answer);
    return answer;
  };
}

const ownerKey = ({ owner: { metadata } }: AnalysesInput) => `${metadata.uid}/`;
const keyOf = (input: AnalysesInput, { id, revision, startedAt }: AnalysisRun, { name }: Metric) =>
  `${ownerKey(input)}${id}/${revision}/${startedAt}/${name}`;

function begunRun(
  { previous, canary }: AnalysesInput,
  { id, step }: WantedAnalysis,
  nowMs: number,
): AnalysisRun {
  const { revision } = canary;
  const known = previous.find((run) => run.id === id && run.revision === revision);
  const place = step === undefined ? {} : { step };
  return known ?? { id, revision, ...place, phase: 'Running', startedAt: timestamp(nowMs) };
}

/** In the order of status, new ones at the end. The oldest that have ended go where there are too many. */
function mergedRuns(
  previous: readonly AnalysisRun[],
  runs: readonly AnalysisRun[],
  nowMs: number,
): readonly AnalysisRun[] {
  const byId = new Map(previous.map((run) => [run.id, endedRunUnless(runs, run, nowMs)]));
  for (const run of runs) byId.set(run.id, run);
  const all = [...byId.values()];
  const surplus = all.length - MAX_RUNS;
  if (surplus <= 0) return all;
  const dropped = new Set(all.filter((run) => !runs.includes(run)).slice(0, surplus));
  return all.filter((run) => !dropped.has(run));
}

const endedRunUnless = (runs: readonly AnalysisRun[], run: AnalysisRun, nowMs: number) =>
  runs.some(({ id }) => id === run.id) ? run : endedRun(run, nowMs);

function jobsUnderWay(runs: readonly AnalysisRun[]): ReadonlySet<string> {
  const measurements = runs.flatMap(({ metrics = [] }) =>
    metrics.flatMap(({ measurements = [] }) => measurements),
  );
  return new Set(
    measurements.flatMap(({ phase, job }) => (isFinal(phase) || job === undefined ? [] : [job])),
  );
}

/** Finished ones go by themselves, later: people may want to read them. */
function leftJobs({ probeJobs }: AnalysesInput, running: ReadonlySet<string>): string[] {
  return probeJobs
    .filter(
      ({ metadata, status }) =>
        metadata.labels?.[LABEL.probe] !== undefined &&
        metadata.deletionTimestamp === undefined &&
        !running.has(metadata.name) &&
        !status?.conditions?.some(
          (condition) =>
            (condition.type === 'Complete' || condition.type === 'Failed') && condition.status === 'True',
        ),
    )
    .map(({ metadata }) => metadata.name);
}

function beginJob(pass: Pass, run: AnalysisRun, metric: string, probeSet: ProbeSet): Delegated {
  const { owner } = pass.input;
  const { count = 0, error = 0 } = run.metrics?.find(({ name }) => name === metric) ?? {};
  const { revision, id: analysis, startedAt: analysisStartedAt } = run;
  const identity = { revision, analysis, analysisStartedAt, metric, taken: count + error };
  const name = probeJobName(owner, identity);
  pass.createJobs.push(jobOf(pass, metric, probeSet, name));
  return { phase: 'Running', job: name };
}

function jobOf({ input }: Pass, metric: string, probeSet: ProbeSet, name: string): Job {
  const { owner, canary, stable, image } = input;
  const urls = { canaryUrl: canary.url, stableUrl: stable?.url };
  return desiredProbeJob({ owner, spec: owner.spec, metric, probeSet, name, image, ...urls });
}

/** undefined: nothing new. */
function followJob(pass: Pass, metric: string, probeSet: ProbeSet, name: string): Reading | undefined {
  const { probeJobs, probePods } = pass.input;
  const job = probeJobs.find(({ metadata }) => metadata.name === name);
  if (!job) {
    // Not made yet, or gone with what it found.
    pass.createJobs.push(jobOf(pass, metric, probeSet, name));
    return undefined;
  }
  const pods = probePods.filter((pod) => isControlledBy(pod, job));
  const outcome = probeOutcome(job, pods, pass.nowMs);
  switch (outcome.state) {
    case 'measured':
      return judgeProbe(probeSet, outcome.report);
    case 'failed':
      return { phase: 'Error', message: outcome.message };
    case 'unknown':
      pass.looks.push(RESULT_CHECK_MS);
      return undefined;
    case 'running':
      return { phase: 'Running', job: name, message: outcome.problem };
  }
}
