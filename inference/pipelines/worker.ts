/** Entry point of a worker thread: opens every model's session, proves it with its golden files, then analyses what arrives. */
import { workerData } from 'node:worker_threads';
import { batchLimits } from '../engine/batch-limits.ts';
import { failureOf } from '../engine/failure.ts';
import { type GraphMetadata, transferable } from '../engine/tensors.ts';
import { hostJobs, type JobContext } from '../engine/worker-host.ts';
import { serviceError } from '../errors.ts';
import type { FaceFinder } from '../faces/faces.ts';
import { openFaceFinder } from '../faces/finder.ts';
import { PixelBudget } from '../media/pixel-budget.ts';
import { release } from '../media/release.ts';
import { SharedVideo, type VideoReader } from '../media/video-reader.ts';
import type { GraphName } from '../models/graphs.ts';
import type { NamedPackage } from '../models/package.ts';
import {
  type Analysis,
  type DetectorInput,
  type Extras,
  type ProgressStep,
  timed,
  type WorkerEvent,
} from './analysis.ts';
import { checked } from './checks/checked.ts';
import { analyzerOf } from './families.ts';
import { withForensics } from './forensic-analysis.ts';
import { openGraphs, tensorGraphs } from './graphs.ts';
import { scoreGoldenFiles } from './self-test.ts';
import type {
  AnalysisWork,
  Computation,
  JointAnalysisJob,
  TensorsJob,
  WorkerReady,
  WorkerResult,
  WorkerSettings,
} from './worker-types.ts';

interface ModelContext extends JobContext<ProgressStep> {
  readonly videoReader?: VideoReader;
}

interface LoadedModel {
  readonly loadMs: number;
  readonly graphs: Readonly<Partial<Record<GraphName, GraphMetadata>>>;
  analyze(input: DetectorInput, context: ModelContext, extras: Extras): Promise<Analysis>;
  compute(job: TensorsJob): Promise<Computation>;
}

const settings = workerData as WorkerSettings;
const pixelBudget = new PixelBudget(settings.limitPixels);
const { videoLimits, perturbationRuns } = settings;

/** One for all models of the worker, opened for the first that looks for faces. */
let faces: Promise<FaceFinder> | undefined;

async function loadModel(model: NamedPackage, emit: (event: WorkerEvent) => void): Promise<LoadedModel> {
  const startedAt = performance.now();
  // What the golden files cost is not a request's.
  let isProven = false;
  const { classifier, ...others } = await openGraphs(model, {
    ...settings.session,
    batch: batchLimits(settings.session.device, settings.batch),
    openFaces: () => (faces ??= openFaceFinder(settings.session)),
    onRun: (items, ms) => {
      if (isProven) emit({ type: 'batch', model: model.name, items, ms });
    },
  });
  const graphs = tensorGraphs({ classifier, ...others });
  const analyzer = withForensics(
    checked(model.manifest, analyzerOf(model.manifest, classifier, others), perturbationRuns),
  );
  const analyze: LoadedModel['analyze'] = (input, context, extras) =>
    analyzer(input, { ...context, pixelBudget, videoLimits, emit }, extras);
  const unwatched = { signal: new AbortController().signal, report: () => undefined };
  await scoreGoldenFiles(model, (input) => analyze(input, unwatched, { perturb: false }));
  isProven = true;
  return {
    loadMs: performance.now() - startedAt,
    graphs: Object.fromEntries([...graphs].map(([name, { metadata }]) => [name, metadata])),
    analyze,
    compute: async ({ graph: name, inputs, outputs }) => {
      const graph = graphs.get(name);
      // The package was exchanged while the job waited.
      if (graph === undefined)
        throw serviceError('graph_refused', { model: model.name, reason: `it has no graph "${name}"` });
      const { value, ms } = await timed(() => graph.compute(model.name, inputs, outputs));
      return { outputs: value, inferMs: ms };
    },
  };
}

type JobProgress = AnalysisWork['progress'];

await hostJobs<AnalysisWork['job'], WorkerResult, WorkerReady, WorkerEvent, JobProgress>(async (emit) => {
  const loaded = new Map<string, LoadedModel>();
  const outcomes = await Promise.allSettled(
    settings.packages.map(async (model) => loaded.set(model.name, await loadModel(model, emit))),
  );
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  const modelCalled = (name: string): LoadedModel => {
    const model = loaded.get(name);
    // It was served when the job was queued.
    if (model === undefined)
      throw serviceError('unknown_model', { model: name, known: [...loaded.keys()].join(', ') });
    return model;
  };
  const analyzeJointly = async (job: JointAnalysisJob, context: JobContext<JobProgress>) => {
    const videoReader = new SharedVideo();
    const outcomes = await Promise.allSettled(
      job.models.map(async ({ name, extras }) => {
        const report = (step: ProgressStep) => context.report({ ...step, model: name });
        return modelCalled(name).analyze(job, { ...context, report, videoReader }, extras);
      }),
    );
    return outcomes.map((outcome) =>
      outcome.status === 'fulfilled' ? { analysis: outcome.value } : { failure: failureOf(outcome.reason) },
    );
  };
  return {
    ready: {
      loadMs: Object.fromEntries([...loaded].map(([name, { loadMs }]) => [name, loadMs])),
      graphs: Object.fromEntries([...loaded].map(([name, { graphs }]) => [name, graphs])),
    },
    run: async (job, context) => {
      if (job.type === 'analyse-jointly') {
        const outcomes = await analyzeJointly(job, context);
        const areOver = outcomes.every((outcome) => 'analysis' in outcome);
        if (areOver && job.content !== undefined) release(job.content);
        return { type: job.type, outcomes };
      }
      const model = modelCalled(job.model);
      if (job.type === 'analyse') {
        const analysis = await model.analyze(job, context, job.extras);
        if (job.content !== undefined) release(job.content);
        return { type: job.type, analysis };
      }
      const { outputs, inferMs } = await model.compute(job);
      return { type: job.type, outputs: transferable(outputs).tensors, inferMs };
    },
    transferOf: (result) => (result.type === 'tensors' ? transferable(result.outputs).buffers : []),
  };
});
