/** One measurement of a metric that the operator takes itself: asks pods or a Prometheus, and judges what they say. */
import type { Metric } from '../api/rollout/analysis.ts';
import type { ModelDeployment, Pod } from '../controllers/kinds.ts';
import { messageOf } from '../runtime/errors.ts';
import type { Taken } from './evaluate.ts';
import { type Builtin, builtinFigure, type Figure, isOf, isRate, judgeBuiltin } from './providers/builtin.ts';
import { judgeDrift, scoreBins } from './providers/drift.ts';
import { modelOf } from './providers/probe-job.ts';
import { measurePrometheus } from './providers/prometheus.ts';
import { DECISIONS_PATH, judgeDecisions, parseDecisions } from './providers/shadow.ts';
import { type AskPod, askAll, askedPods, type PodSamples } from './scrape.ts';

/** The revision on one side of a comparison. */
export interface Track {
  readonly revision: string;
  /** Its living pods, ready or not. */
  readonly pods: readonly Pod[];
  /** Where its service answers, e.g. `http://detector-canary.media.svc`. */
  readonly url: string;
}

/** What was counted when a rate was looked at last. */
export interface Baseline {
  readonly atMs: number;
  readonly canary: readonly PodSamples[];
  readonly stable: readonly PodSamples[];
}

/** A measurement, or the beginning of a span that a later one ends; either leaves something to measure the next one by. */
export interface Measured {
  readonly taken: Taken | undefined;
  readonly baseline?: Baseline;
}

export interface MeasureContext {
  readonly owner: ModelDeployment;
  readonly canary: Track;
  readonly stable: Track | undefined;
  readonly ask: AskPod;
  readonly nowMs: number;
  readonly signal: AbortSignal;
  /** Of this metric, from the last time. */
  readonly baseline: Baseline | undefined;
  /** `/metrics` of the pods of a track: metrics that are due at the same time share the answers. */
  readonly scrape: (track: Track) => Promise<readonly PodSamples[]>;
}

/** What cannot be measured is an Error that says why. Rejects only when the signal aborts. */
export async function measure(metric: Metric, context: MeasureContext): Promise<Measured> {
  try {
    const { builtin } = metric;
    if (builtin) return await measureBuiltin(builtin, context);
    return { taken: await measureOther(metric, context) };
  } catch (error) {
    context.signal.throwIfAborted();
    return { taken: { phase: 'Error', message: messageOf(error) } };
  }
}

/** @throws Error */
async function measureOther(metric: Metric, context: MeasureContext): Promise<Taken> {
  const { drift, shadow, prometheus } = metric;
  const { owner, canary, stable, scrape, signal } = context;
  if (prometheus) {
    const names = {
      name: owner.metadata.name,
      namespace: owner.metadata.namespace ?? '',
      canaryRevision: canary.revision,
      stableRevision: stable?.revision ?? '',
    };
    return measurePrometheus(prometheus, metric, names, signal);
  }
  if (!stable) return { phase: 'Inconclusive', message: 'there is no stable revision to compare with' };
  if (drift) {
    const model = modelOf(drift, owner.spec);
    const [ours, theirs] = await Promise.all([scrape(canary), scrape(stable)]);
    return judgeDrift(drift, model, scoreBins(ours, model), scoreBins(theirs, model));
  }
  if (!shadow) throw new Error('this operator does not know how to measure it');
  const model = modelOf(shadow, owner.spec);
  const parse = (text: string) => parseDecisions(text, model);
  const decisionsOf = async ({ pods }: Track) =>
    (await askAll(pods, DECISIONS_PATH, { ask: context.ask, parse, signal })).flat();
  const [ours, theirs] = await Promise.all([decisionsOf(canary), decisionsOf(stable)]);
  return judgeDecisions(shadow, ours, theirs);
}

/** @throws Error */
async function measureBuiltin(builtin: Builtin, context: MeasureContext): Promise<Measured> {
  const { canary, baseline, nowMs } = context;
  const stable = builtin.maxRatio === undefined ? undefined : context.stable;
  const scrape = async (track: Track) => {
    if (builtin.metric === 'restarts') return [];
    if (askedPods(track.pods).length === 0)
      throw new Error(`no pod of revision ${track.revision} takes requests`);
    return context.scrape(track);
  };
  const [ours, theirs] = await Promise.all([scrape(canary), stable ? scrape(stable) : []]);
  const figure = (track: Track, before: readonly PodSamples[], now: readonly PodSamples[]): Figure =>
    builtinFigure(builtin, before, now, track.pods);
  if (!isRate(builtin)) {
    const other = stable && figure(stable, [], theirs);
    return { taken: judgeBuiltin(builtin, figure(canary, [], ours), other) };
  }
  const next = { atMs: nowMs, canary: kept(builtin, ours), stable: kept(builtin, theirs) };
  if (!baseline) return { taken: undefined, baseline: next };
  const other = stable && figure(stable, baseline.stable, theirs);
  return { taken: judgeBuiltin(builtin, figure(canary, baseline.canary, ours), other), baseline: next };
}

function kept(builtin: Builtin, pods: readonly PodSamples[]): readonly PodSamples[] {
  return pods.map((pod) => ({ ...pod, samples: pod.samples.filter(isOf(builtin)) }));
}
