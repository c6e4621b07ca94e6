/** Has labelled files judged by one or two servers, and compares. */
import { Agent } from 'undici';
import { type Answer, type AskOptions, ask } from './ask.ts';
import { ProbeError } from './errors.ts';
import { type Answerer, type ProbedFile, type ProbeReport, probeReport, type Said } from './figures.ts';
import type { ProbeFile } from './manifest.ts';

export interface ProbeOptions
  extends Pick<AskOptions, 'apiKey' | 'model' | 'attempts' | 'retryMs' | 'timeoutMs' | 'signal'> {
  readonly canary: string;
  readonly stable: string | undefined;
  /** Requests under way at a time. */
  readonly concurrency: number;
}

/** So many files in a row that a server leaves unanswered, and none before them: it will not answer the others either. */
const hopeless = 8;

type Side = 'canary' | 'stable';

/** What one server said, by path. */
interface Witness {
  readonly side: Side;
  readonly url: string;
  readonly answers: Map<string, Answer>;
}

/** @throws ProbeError Unauthorized, NoModel, MixedModels, NothingAnswered; the signal's reason */
export async function probe(files: readonly ProbeFile[], options: ProbeOptions): Promise<ProbeReport> {
  const canary: Witness = { side: 'canary', url: options.canary, answers: new Map() };
  const stable: Witness | undefined =
    options.stable === undefined ? undefined : { side: 'stable', url: options.stable, answers: new Map() };
  const witnesses = stable ? [canary, stable] : [canary];
  await askAll(
    files.flatMap((file) => witnesses.map((witness) => ({ file, witness }))),
    options,
  );
  const probed = files.map(
    (file): ProbedFile => ({
      path: file.path,
      fake: file.fake,
      canary: saidTo(file, canary),
      ...(stable ? { stable: saidTo(file, stable) } : {}),
    }),
  );
  return probeReport(probed, {
    canary: answererOf(canary),
    ...(stable ? { stable: answererOf(stable) } : {}),
  });
}

interface Task {
  readonly file: ProbeFile;
  readonly witness: Witness;
}

async function askAll(tasks: readonly Task[], options: ProbeOptions): Promise<void> {
  const { concurrency } = options;
  // Directly: the proxies of the environment are for what is outside of the cluster.
  const dispatcher = new Agent({ connections: concurrency, headersTimeout: 0, bodyTimeout: 0 });
  // The first error of one is the end of all.
  const failed = new AbortController();
  const signal = AbortSignal.any([options.signal, failed.signal]);
  try {
    await inParallel(tasks, concurrency, async ({ file, witness }) => {
      try {
        const answer = await ask(file.file, { ...options, url: witness.url, dispatcher, signal });
        witness.answers.set(file.path, answer);
        refuseHopeless(witness);
      } catch (error) {
        const told = error instanceof ProbeError ? named(error, witness) : error;
        failed.abort(told);
        throw told;
      }
    });
  } finally {
    await dispatcher.destroy();
  }
}

function refuseHopeless({ answers }: Witness): void {
  if (answers.size !== hopeless) return;
  const reasons = [...answers.values()].map(({ said }) => (said.type === 'unanswered' ? said.reason : ''));
  if (reasons.includes('')) return;
  throw new ProbeError('NothingAnswered', `none of the first ${hopeless} files was answered: ${reasons[0]}`);
}

const named = (error: ProbeError, { side, url }: Witness) =>
  new ProbeError(error.reason, `${side} at ${url}: ${error.message}`, { cause: error });

const saidTo = ({ path }: ProbeFile, { answers }: Witness): Said =>
  answers.get(path)?.said ?? { type: 'unanswered', reason: 'not asked' };

/** The one package that all answers of a side come from. */
function answererOf({ side, answers }: Witness): Answerer {
  const found = new Map<string, Answerer>();
  let why = '';
  for (const one of answers.values()) {
    if ('by' in one) found.set(JSON.stringify(one.by), one.by);
    else why = one.said.reason;
  }
  const [by, another] = found.values();
  if (!by) throw new ProbeError('NothingAnswered', `${side} answered none of ${answers.size} files: ${why}`);
  if (another)
    throw new ProbeError(
      'MixedModels',
      `${side} answered by ${by.model} ${by.version} and by ${another.model} ${another.version}: name one model, of media of one kind`,
    );
  return by;
}

async function inParallel<T>(
  items: readonly T[],
  atOnce: number,
  act: (item: T) => Promise<void>,
): Promise<void> {
  const queue = items.values();
  const worker = async () => {
    for (const item of queue) await act(item);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker));
}
