/** Entry point of a worker thread: opens every model's session, proves it with its golden files, then analyses what arrives. */
import { join } from 'node:path';
import { workerData } from 'node:worker_threads';
import { batchLimits } from '../engine/batch-limits.ts';
import { Classifier } from '../engine/session.ts';
import { hostJobs, type JobContext } from '../engine/worker-host.ts';
import { serviceError } from '../errors.ts';
import { PixelBudget } from '../media/pixel-budget.ts';
import type { NamedPackage } from '../models/package.ts';
import { logitOf } from '../models/verdict.ts';
import type { Analysis, DetectorInput, ProgressStep, WorkerEvent } from './analysis.ts';
import { analyzerOf } from './families.ts';
import { scoreGoldenFiles } from './self-test.ts';
import type { AnalysisJob, WorkerReady, WorkerSettings } from './worker-types.ts';

type Analyze = (input: DetectorInput, context: JobContext<ProgressStep>) => Promise<Analysis>;

const settings = workerData as WorkerSettings;
const pixelBudget = new PixelBudget(settings.limitPixels);
const { videoLimits } = settings;

async function loadModel(
  model: NamedPackage,
  emit: (event: WorkerEvent) => void,
): Promise<{ analyze: Analyze; loadMs: number }> {
  const startedAt = performance.now();
  const { classifier } = model.manifest.graphs;
  const graph = await Classifier.open(
    join(model.directory, classifier.file),
    classifier,
    {
      ...settings.session,
      batch: batchLimits(settings.session.device, model.precision, settings.batch),
      onRun: (items, ms) => emit({ type: 'batch', model: model.name, items, ms }),
    },
    (row) => logitOf(row, model.manifest.output),
  );
  const analyzer = analyzerOf(model.manifest, graph);
  const analyze: Analyze = (input, context) =>
    analyzer(input, { ...context, pixelBudget, videoLimits, emit });
  const unwatched = { signal: new AbortController().signal, report: () => undefined };
  await scoreGoldenFiles(model, (input) => analyze(input, unwatched));
  return { analyze, loadMs: performance.now() - startedAt };
}

await hostJobs<AnalysisJob, Analysis, WorkerReady, WorkerEvent, ProgressStep>(async (emit) => {
  const loaded = new Map<string, { analyze: Analyze; loadMs: number }>();
  const outcomes = await Promise.allSettled(
    settings.packages.map(async (model) => loaded.set(model.name, await loadModel(model, emit))),
  );
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  return {
    ready: { loadMs: Object.fromEntries([...loaded].map(([name, { loadMs }]) => [name, loadMs])) },
    run: async (job, context) => {
      const model = loaded.get(job.model);
      // It was served when the job was queued.
      if (model === undefined)
        throw serviceError('unknown_model', { model: job.model, known: [...loaded.keys()].join(', ') });
      return model.analyze(job, context);
    },
  };
});
