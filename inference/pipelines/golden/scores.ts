/** What a pod says of files, without the golden files that it would have to reproduce before. */
import { configOf } from '../../config/config.ts';
import { availableProcessors, planThreads } from '../../engine/cpu-budget.ts';
import { messageOf, StartupError } from '../../errors.ts';
import type { NamedPackage } from '../../models/package.ts';
import { Analyzer } from '../analyzer.ts';

/**
 * @param files paths
 * @returns the score of each, 0..1
 * @throws StartupError, one line: the graphs cannot be opened, or a file has no score
 */
export async function scoresOf(model: NamedPackage, files: readonly string[]): Promise<number[]> {
  const analyzer = analyzerOf(model);
  try {
    await analyzer.start().catch((error: unknown) => {
      throw refusal(`${model.directory}: cannot be served`, error);
    });
    const scores: number[] = [];
    for (const file of files) scores.push(await scoreOf(analyzer, model, file));
    return scores;
  } finally {
    await analyzer.close();
  }
}

async function scoreOf(analyzer: Analyzer, model: NamedPackage, path: string): Promise<number> {
  const { score, inconclusiveReasons } = await analyze(analyzer, model, path).catch((error: unknown) => {
    throw refusal(`${path}: cannot be judged`, error);
  });
  if (score !== null) return score;
  throw new StartupError(
    `golden: ${path}: the model does not judge it (${inconclusiveReasons.join(', ')}); a golden file needs a score`,
    1,
  );
}

async function analyze(analyzer: Analyzer, { name }: NamedPackage, path: string) {
  const plan = await analyzer.plan({ path }, { model: name }, { perturb: false });
  if (plan.type !== 'one') throw new Error('the plan for one model has several');
  return (await analyzer.analyze(plan.assignment, { signal: new AbortController().signal })).analysis;
}

/** An error that a worker did not foresee comes with its stack; its first line is the message. */
function refusal(what: string, error: unknown): StartupError {
  const [reason = ''] = messageOf(error)
    .replace(/^Error: /, '')
    .split('\n', 1);
  return new StartupError(`golden: ${what}: ${reason}`, 1, { cause: error });
}

/** One worker, with the limits of a pod that is not configured. */
function analyzerOf(model: NamedPackage): Analyzer {
  const limits = configOf(new Map());
  const plan = planThreads(availableProcessors(), { requestedWorkers: 1, onProcessors: true });
  return new Analyzer({
    settings: {
      packages: [{ ...model, manifest: { ...model.manifest, golden: [] } }],
      session: { device: 'cpu', intraOpThreads: plan.intraOpThreads },
      batch: limits.batch,
      limitPixels: limits.maxImagePixels,
      perturbationRuns: 0,
      videoLimits: {
        maxSeconds: limits.maxVideoSeconds,
        maxPixels: limits.maxVideoPixels,
        decoderThreads: plan.ffmpegThreads,
      },
    },
    defaultModel: model.name,
    workers: 1,
    maxQueue: 1,
    loadPackage: () => Promise.resolve(model),
    onWorkerEvent: () => undefined,
    onWorkerLost: () => undefined,
  });
}
