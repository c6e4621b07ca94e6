/** The main thread's face of the detectors: which models are served, hands files to their workers, knows whether it all works. */
import { batchLimits, slotsFor } from '../engine/batch-limits.ts';
import { revive } from '../engine/failure.ts';
import { type PoolState, type RunOptions, WorkerPool } from '../engine/pool.ts';
import { type GraphMetadata, type NamedTensor, transferable } from '../engine/tensors.ts';
import { messageOf, ServiceError, serviceError } from '../errors.ts';
import { type MediaKind, sniffMedia } from '../media/sniff.ts';
import type { MediaSource } from '../media/source.ts';
import type { GraphName } from '../models/graphs.ts';
import type { NamedPackage } from '../models/package.ts';
import type { Analysis, Extras, ProgressStep, WorkerEvent } from './analysis.ts';
import type { Ensemble, Group } from './fusion/ensemble.ts';
import { type Absentee, type Served, select, type Wanted } from './fusion/selection.ts';
import { type KnownMedia, knownModels, unsupportedMedia } from './model-choice.ts';
import type { AnalysisJob, AnalysisWork, Computation, TensorsJob, WorkerSettings } from './worker-types.ts';

export interface AnalyzerOptions {
  readonly settings: WorkerSettings;
  /** Serving name; where it is not served, the first model stands in. */
  readonly defaultModel: string;
  readonly workers: number;
  readonly maxQueue: number;
  /** Beside the models. Default: none. */
  readonly ensembles?: readonly Ensemble[];
  /** The package of that name as it is on disk now. @throws ServiceError model_not_found, or Error, one line */
  readonly loadPackage: (name: string) => Promise<NamedPackage>;
  readonly onWorkerEvent: (event: WorkerEvent) => void;
  readonly onWorkerLost: (reason: string) => void;
}

export interface CompletedAnalysis {
  readonly model: NamedPackage;
  readonly mime: string;
  readonly kind: MediaKind;
  readonly analysis: Analysis;
  /** Milliseconds before a worker took the job. */
  readonly queueMs: number;
}

export interface JointOptions extends Pick<RunOptions<ProgressStep>, 'signal' | 'priority'> {
  readonly onProgress: (model: string, step: ProgressStep) => void;
}

export interface CompletedComputation extends Computation {
  /** Milliseconds before a worker took the job. */
  readonly queueMs: number;
}

/** A file, what it is, and the model that is to judge it. */
export interface Assignment extends MediaSource {
  readonly media: KnownMedia;
  readonly model: NamedPackage;
  /** Default: nothing. */
  readonly extras?: Extras;
}

/** Who judges a file: a model, or several together. */
export type Plan =
  | { readonly type: 'one'; readonly assignment: Assignment }
  | {
      readonly type: 'several';
      readonly group: Group;
      readonly media: KnownMedia;
      /** At least one. */
      readonly assignments: readonly Assignment[];
      readonly absentees: readonly Absentee[];
    };

export type WaitingJob = Pick<AnalysisJob, 'type' | 'model'> | Pick<TensorsJob, 'type' | 'model' | 'graph'>;

/** A model that is served or that somebody wanted to be. */
export interface IndexEntry {
  /** Serving name. */
  readonly name: string;
  /** Of what is served; null where nothing is. */
  readonly version: string | null;
  readonly state: 'READY' | 'LOADING' | 'UNLOADING' | 'UNAVAILABLE';
  /** What has to be known beside the state: why it is not served, or why another version of it is not. */
  readonly reason: string | null;
}

/** What is known of a model beside that it is served. */
interface Note {
  readonly state: IndexEntry['state'];
  readonly reason: string | null;
}

const reloading: Note = { state: 'READY', reason: 'the package on disk is being loaded' };
const unloaded: Note = { state: 'UNAVAILABLE', reason: 'it was unloaded' };
const stalledQueueMs = 60_000;

export class Analyzer {
  readonly #options: AnalyzerOptions;
  readonly #pool: WorkerPool<AnalysisWork>;
  readonly #loadMs = new Map<string, number>();
  readonly #graphs = new Map<string, AnalysisWork['ready']['graphs'][string]>();
  readonly #notes = new Map<string, Note>();
  #packages: readonly NamedPackage[];
  #changes: Promise<unknown> = Promise.resolve();
  #started = false;
  #failure: string | undefined;

  constructor(options: AnalyzerOptions) {
    this.#options = options;
    this.#packages = options.settings.packages;
    const { session, batch } = options.settings;
    this.#pool = new WorkerPool({
      entry: new URL('./worker.ts', import.meta.url),
      settings: options.settings,
      size: options.workers,
      slotsPerWorker: slotsFor(batchLimits(session.device, batch).maxItems),
      maxQueue: options.maxQueue,
      heartbeatMs: 5_000,
      stallMs: 60_000,
      onReady: ({ loadMs, graphs }) => {
        for (const [name, ms] of Object.entries(loadMs)) this.#loadMs.set(name, ms);
        for (const [name, ofModel] of Object.entries(graphs)) this.#graphs.set(name, ofModel);
      },
      onEvent: options.onWorkerEvent,
      onWorkerLost: options.onWorkerLost,
    });
  }

  /** Resolves when every worker has loaded every model and reproduced its golden scores. @throws Error, one line */
  async start(): Promise<void> {
    await this.#pool.start();
    this.#started = true;
  }

  /** Gives up for good: readiness and every request tell the reason. */
  async fail(reason: string): Promise<void> {
    this.#started = false;
    this.#failure = reason;
    await this.#pool.close();
  }

  async close(): Promise<void> {
    await this.#pool.close();
  }

  /** Those that are served, in order. */
  get models(): readonly NamedPackage[] {
    return this.#packages;
  }

  get ensembles(): readonly Ensemble[] {
    return this.#options.ensembles ?? [];
  }

  /** All that a request can ask for. */
  get served(): Served {
    const { models, ensembles, defaultModel } = this;
    return { models, ensembles, defaultModel };
  }

  get defaultModel(): string {
    const { defaultModel } = this.#options;
    return this.#serves(defaultModel) ? defaultModel : (this.#packages[0]?.name ?? '');
  }

  /** How long a worker took to load and test the model; undefined when it is not served, or not yet. */
  loadMs(name: string): number | undefined {
    return this.#serves(name) ? this.#loadMs.get(name) : undefined;
  }

  /** What a graph of a model takes and gives; undefined while it is not served, where tensors cannot hold it and where there is none. */
  graph(name: string, graph: GraphName): GraphMetadata | undefined {
    return this.#serves(name) ? this.#graphs.get(name)?.[graph] : undefined;
  }

  /** What waits for a worker; a job of several models counts for each. */
  waitingJobs(): readonly WaitingJob[] {
    return this.#pool.waitingJobs().flatMap((job): WaitingJob[] => {
      if (job.type !== 'analyse-jointly') return [job];
      return job.models.map(({ name }) => ({ type: 'analyse' as const, model: name }));
    });
  }

  poolState(): PoolState {
    return this.#pool.state();
  }

  /** Jobs that the workers hold at a time. */
  get capacity(): number {
    return this.#pool.capacity;
  }

  /** The models that are served, in order, and then those that were to be. */
  index(): IndexEntry[] {
    const served = this.#packages.map(({ name, manifest: { version } }) => {
      const note = this.#notes.get(name) ?? { state: this.#started ? 'READY' : 'LOADING', reason: null };
      return { name, version, ...note };
    });
    const others = [...this.#notes].filter(([name]) => !this.#serves(name));
    return [...served, ...others.map(([name, note]) => ({ name, version: null, ...note }))];
  }

  /**
   * Serves a model as it is on disk now, in place of what is served under its name. The others go on, and so does what runs already.
   * @throws ServiceError not_ready, model_not_found, model_change_failed; nothing has changed then
   */
  load(name: string): Promise<void> {
    return this.#change(name, 'LOADING', async () => {
      const loaded = await this.#options.loadPackage(name);
      const replaced = this.#packages.map((model) => (model.name === name ? loaded : model));
      return replaced.includes(loaded) ? replaced : [...replaced, loaded];
    });
  }

  /**
   * Serves a model no longer; requests that wait for it fail with unknown_model. One model has to stay; the default model need not.
   * @throws ServiceError not_ready, unknown_model, last_model, model_change_failed; nothing has changed then
   */
  unload(name: string): Promise<void> {
    return this.#change(name, 'UNLOADING', async () => {
      if (!this.#serves(name))
        throw serviceError('unknown_model', { model: name, known: knownModels(this.#packages) });
      const rest = this.#packages.filter((model) => model.name !== name);
      if (rest.length === 0) throw serviceError('last_model', { model: name });
      return rest;
    });
  }

  /** One change after the other, each of what the one before has left. */
  #change(
    name: string,
    begun: 'LOADING' | 'UNLOADING',
    wanted: () => Promise<readonly NamedPackage[]>,
  ): Promise<void> {
    const change = this.#changes.then(() => this.#apply(name, begun, wanted));
    this.#changes = change.catch(() => undefined);
    return change;
  }

  async #apply(
    name: string,
    begun: 'LOADING' | 'UNLOADING',
    wanted: () => Promise<readonly NamedPackage[]>,
  ): Promise<void> {
    this.refuseUnlessStarted();
    const noteBefore = this.#notes.get(name);
    const isReload = begun === 'LOADING' && this.#serves(name);
    this.#note(name, isReload ? reloading : { state: begun, reason: null });
    try {
      const packages = await wanted();
      await this.#pool.replace({ ...this.#options.settings, packages });
      this.#packages = packages;
      this.#note(name, this.#serves(name) ? undefined : unloaded);
    } catch (error) {
      if (error instanceof ServiceError) {
        this.#note(name, noteBefore);
        throw error;
      }
      const reason = messageOf(error);
      this.#note(name, { state: this.#serves(name) ? 'READY' : 'UNAVAILABLE', reason });
      const change = begun === 'LOADING' ? 'loaded' : 'unloaded';
      throw serviceError('model_change_failed', { model: name, change, reason }, { cause: error });
    }
  }

  #note(name: string, note: Note | undefined): void {
    if (note === undefined) this.#notes.delete(name);
    else this.#notes.set(name, note);
  }

  #serves(name: string): boolean {
    return this.#packages.some((model) => model.name === name);
  }

  /** Why requests should go elsewhere; undefined when the detectors are ready. */
  notReadyReason(): string | undefined {
    if (this.#failure !== undefined) return this.#failure;
    if (!this.#started) return 'the models are being loaded and tested';
    const { readyWorkers, size, oldestQueuedMs } = this.#pool.state();
    if (readyWorkers < size) return `${size - readyWorkers} of ${size} inference workers are restarting`;
    return oldestQueuedMs > stalledQueueMs ? 'the queue does not move' : undefined;
  }

  /** @throws ServiceError not_ready before the first start */
  refuseUnlessStarted(): void {
    if (!this.#started) throw serviceError('not_ready', { reason: this.notReadyReason() ?? '' });
  }

  /** @throws ServiceError not_ready before the first start, queue_full */
  refuseWhenBusy(): void {
    this.refuseUnlessStarted();
    this.#pool.refuseWhenFull();
  }

  /**
   * What a file is and which models judge it. A model of sound judges the sound of a video when it is asked for or no model judges its
   * pictures.
   * @throws ServiceError unsupported_media, unknown_model, wrong_modality, no_model_for_media, invalid_request
   */
  async plan({ path, content }: MediaSource, wanted: Wanted, extras: Extras = {}): Promise<Plan> {
    const media = await sniffMedia({ path, content });
    if (media.kind === 'unsupported') throw unsupportedMedia(media.found, this.models);
    const selection = select(media, wanted, this.served);
    const common = { path, content, media };
    if (selection.type === 'one')
      return { type: 'one', assignment: { ...common, model: selection.model, extras } };
    const { members, ...rest } = selection;
    const assignments = members.map((model) => ({ ...common, model, extras }));
    return { ...rest, media, assignments };
  }

  /**
   * The answer's model is the one that judged: a file that waited while its model was loaded anew is judged by the new one.
   * @throws ServiceError queue_full, worker_lost, unknown_model where the model was unloaded meanwhile, those of the detector; the signal's
   * reason where it was aborted
   */
  async analyze(
    { path, content, media, model, extras = {} }: Assignment,
    options: RunOptions<ProgressStep>,
  ): Promise<CompletedAnalysis> {
    const job = { type: 'analyse', model: model.name, path, content, media, extras } as const;
    const { result, queueMs, settings } = await this.#pool.run(job, options);
    if (result.type !== job.type) throw new Error(`the worker answered an analysis with ${result.type}`);
    const judge = settings.packages.find(({ name }) => name === model.name) ?? model;
    return { model: judge, mime: media.mime, kind: media.kind, analysis: result.analysis, queueMs };
  }

  /**
   * The same for several models of one file in one job: what they read of the file is read once where they read the same.
   * @returns by serving name, what the model says or why it alone says nothing
   * @throws ServiceError queue_full, worker_lost; the signal's reason where it was aborted
   */
  async analyzeJointly(
    assignments: readonly [Assignment, ...Assignment[]],
    { signal, priority, onProgress }: JointOptions,
  ): Promise<ReadonlyMap<string, CompletedAnalysis | Error>> {
    const [{ path, content, media }] = assignments;
    const models = assignments.map(({ model, extras = {} }) => ({ name: model.name, extras }));
    const job = { type: 'analyse-jointly', models, path, content, media } as const;
    const { result, queueMs, settings } = await this.#pool.run(job, {
      signal,
      ...(priority === undefined ? {} : { priority }),
      onProgress: ({ model = '', ...step }) => onProgress(model, step),
    });
    if (result.type !== job.type) throw new Error(`the worker answered a joint analysis with ${result.type}`);
    const outcomes = assignments.map(({ model }, at): [string, CompletedAnalysis | Error] => {
      const outcome = result.outcomes[at];
      if (outcome === undefined)
        throw new Error('the worker answered for fewer models than it was asked for');
      if ('failure' in outcome) return [model.name, revive(outcome.failure)];
      const judge = settings.packages.find(({ name }) => name === model.name) ?? model;
      const { analysis } = outcome;
      return [model.name, { model: judge, mime: media.mime, kind: media.kind, analysis, queueMs }];
    });
    return new Map(outcomes);
  }

  /**
   * Hands tensors to a graph of a model as they are. The bytes of the inputs are given away.
   * @throws ServiceError queue_full, worker_lost, unknown_model where the model was unloaded meanwhile, graph_refused, invalid_tensor; the
   * signal's reason where it was aborted
   */
  async infer(
    model: NamedPackage,
    graph: GraphName,
    inputs: readonly NamedTensor[],
    outputs: readonly string[],
    options: RunOptions<ProgressStep>,
  ): Promise<CompletedComputation> {
    const { tensors, buffers } = transferable(inputs);
    const job = { type: 'tensors', model: model.name, graph, inputs: tensors, outputs } as const;
    const { result, queueMs } = await this.#pool.run(job, { ...options, transfer: buffers });
    if (result.type !== job.type) throw new Error(`the worker answered tensors with ${result.type}`);
    return { outputs: result.outputs, inferMs: result.inferMs, queueMs };
  }
}
