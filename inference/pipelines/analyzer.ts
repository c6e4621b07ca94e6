/** The main thread's face of the detectors: chooses a model, hands the file to a worker, knows whether it all works. */
import { type PoolState, type RunOptions, WorkerPool } from '../engine/pool.ts';
import type { SessionOptions } from '../engine/session.ts';
import { serviceError } from '../errors.ts';
import { type MediaKind, readableFormats, type SniffedMedia, sniffMedia } from '../media/sniff.ts';
import type { VideoLimits } from '../media/video.ts';
import { canonicalName } from '../models/names.ts';
import type { NamedPackage } from '../models/package.ts';
import type { Analysis, ProgressStep, WorkerEvent } from './analysis.ts';
import type { AnalysisJob, WorkerReady, WorkerSettings } from './worker-types.ts';

export interface AnalyzerOptions {
  readonly packages: readonly NamedPackage[];
  readonly defaultModel: string;
  readonly session: SessionOptions;
  readonly workers: number;
  readonly maxQueue: number;
  readonly limitPixels: number;
  readonly videoLimits: VideoLimits;
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

type KnownMedia = Exclude<SniffedMedia, { kind: 'unsupported' }>;

/** A file, what it is, and the model that is to judge it. */
export interface Assignment {
  readonly path: string;
  readonly media: KnownMedia;
  readonly model: NamedPackage;
}

const slotsPerWorker = 2;
const stalledQueueMs = 60_000;

export class Analyzer {
  readonly #options: AnalyzerOptions;
  readonly #pool: WorkerPool<AnalysisJob, Analysis, WorkerReady, WorkerEvent, ProgressStep>;
  readonly #loadMs = new Map<string, number>();
  #started = false;
  #failure: string | undefined;

  constructor(options: AnalyzerOptions) {
    this.#options = options;
    const { packages, session, limitPixels, videoLimits } = options;
    this.#pool = new WorkerPool({
      entry: new URL('./worker.ts', import.meta.url),
      workerData: { packages, session, limitPixels, videoLimits } satisfies WorkerSettings,
      size: options.workers,
      slotsPerWorker,
      maxQueue: options.maxQueue,
      heartbeatMs: 5_000,
      stallMs: 60_000,
      onReady: ({ loadMs }) => {
        for (const [name, ms] of Object.entries(loadMs)) this.#loadMs.set(name, ms);
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

  get models(): readonly NamedPackage[] {
    return this.#options.packages;
  }

  get defaultModel(): string {
    return this.#options.defaultModel;
  }

  loadMs(name: string): number | undefined {
    return this.#loadMs.get(name);
  }

  poolState(): PoolState {
    return this.#pool.state();
  }

  /** Jobs that the workers hold at a time. */
  get capacity(): number {
    return this.#options.workers * slotsPerWorker;
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
   * What a file is and which model judges it. A model of sound judges the sound of a video when it is asked for or no model judges its
   * pictures.
   * @param requested serving name, or undefined for the model that fits the media
   * @throws ServiceError unsupported_media, unknown_model, wrong_modality, no_model_for_media
   */
  async assign(path: string, requested: string | undefined): Promise<Assignment> {
    const media = await sniffMedia(path);
    if (media.kind === 'unsupported') throw this.#unsupported(media.found);
    return { path, media, model: this.#choose(media, requested) };
  }

  /** @throws ServiceError queue_full, worker_lost, those of the detector; the signal's reason where it was aborted */
  async analyze(
    { path, media, model }: Assignment,
    options: RunOptions<ProgressStep>,
  ): Promise<CompletedAnalysis> {
    const { result, queueMs } = await this.#pool.run({ model: model.name, path, media }, options);
    return { model, mime: media.mime, kind: media.kind, analysis: result, queueMs };
  }

  #choose(media: KnownMedia, requested: string | undefined): NamedPackage {
    const fits = (model: NamedPackage) => model.manifest.modality === media.kind;
    const judgesPart = (model: NamedPackage) => media.kind === 'video' && model.manifest.modality === 'audio';
    if (requested !== undefined) {
      const name = canonicalName(
        requested,
        this.models.map((candidate) => candidate.name),
      );
      const model = this.models.find((candidate) => candidate.name === name);
      if (model === undefined)
        throw serviceError('unknown_model', { model: requested, known: this.#known() });
      if (fits(model) || judgesPart(model)) return model;
      const { modality } = model.manifest;
      throw serviceError('wrong_modality', {
        model: requested,
        modality,
        found: media.mime,
        known: this.#known(),
      });
    }
    const judging = this.models.filter(fits);
    const fitting = judging.length > 0 ? judging : this.models.filter(judgesPart);
    const model = fitting.find((candidate) => candidate.name === this.defaultModel) ?? fitting[0];
    if (model === undefined)
      throw serviceError('no_model_for_media', { found: media.mime, known: this.#known() });
    return model;
  }

  #known(): string {
    return this.models.map((model) => `${model.name} (${model.manifest.modality})`).join(', ');
  }

  #unsupported(found: string) {
    const modalities = this.models.map((model) => model.manifest.modality);
    const kinds = new Set(
      modalities.flatMap((kind): MediaKind[] => (kind === 'audio' ? ['audio', 'video'] : [kind])),
    );
    const supported = [...kinds].map((kind) => readableFormats[kind]).join('; ');
    return serviceError('unsupported_media', { found, supported });
  }
}
