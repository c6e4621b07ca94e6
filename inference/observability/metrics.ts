/** Every metric of the pod. Names and labels are a contract with dashboards and with the operator's analysis. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { isReused } from '../cache/judgements.ts';
import { type ErrorCode, ServiceError } from '../errors.ts';
import type { Judge } from '../models/judge.ts';
import type { NamedPackage } from '../models/package.ts';
import type { Verdict } from '../models/verdict.ts';
import { AidetectMetrics } from './aidetect-metrics.ts';
import { type DriftingModel, DriftMetric } from './drift-metric.ts';
import { stagesOf, type TimedDetection } from './stages.ts';

/** By priority. */
export type QueueReading = Readonly<
  Record<string, { readonly queued: number; readonly oldestQueuedMs: number }>
>;

export interface MetricsOptions {
  /** Is asked at every scrape. */
  readonly readQueue: () => QueueReading;
  /** Is asked at every scrape; undefined leaves the metric out, for a pod without Redis. */
  readonly redisIsUp?: (() => boolean) | undefined;
  /** Is asked at every scrape; undefined leaves the metrics out, for a pod that keeps no results. */
  readonly readCache?: (() => CacheReading) | undefined;
  /** Those that are served; is asked at every scrape. */
  readonly readModels: () => readonly DriftingModel[];
  readonly compat?: 'aidetect' | undefined;
}

export interface CacheReading {
  readonly bytes: number;
  readonly entries: number;
}

export interface CountedDetection extends TimedDetection {
  readonly model: NamedPackage;
  readonly analysis: TimedDetection['analysis'] & {
    readonly score: number | null;
    readonly verdict: Verdict;
  };
}

/** What several models say together. */
export interface FusedDetection {
  readonly model: Pick<Judge, 'name'> & { readonly manifest: Pick<Judge['manifest'], 'thresholds'> };
  readonly analysis: { readonly score: number | null; readonly verdict: Verdict };
  readonly uploadMs: number;
  readonly totalMs: number;
}

/** Errors that say something about the file that came. */
const rejections: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'missing_media',
  'empty_media',
  'too_many_files',
  'upload_too_large',
  'image_too_large',
  'unsupported_media',
  'corrupt_media',
  'wrong_modality',
  'no_model_for_media',
]);

const secondsBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const scoreBuckets = Array.from({ length: 20 }, (_, index) => (index + 1) / 20);

export class Metrics {
  readonly registry = new Registry();
  readonly requests: Counter<'route' | 'code'>;
  readonly requestSeconds: Histogram<'route'>;
  readonly stageSeconds: Histogram<'stage'>;
  readonly inferences: Counter<'model' | 'version' | 'result'>;
  readonly scores: Histogram<'model' | 'version'>;
  readonly verdicts: Counter<'model' | 'version' | 'verdict'>;
  readonly fusions: Counter<'ensemble' | 'verdict'>;
  readonly modelReady: Gauge<'model' | 'version'>;
  readonly modelInfo: Gauge<'model' | 'version' | 'digest'>;
  readonly batchSizes: Histogram<'model'>;
  readonly workerRestarts: Counter;
  readonly ffmpegExits: Counter<'reason'>;
  readonly progressEvents: Counter<'result'>;
  readonly cacheResults: Counter<'result'>;
  /** Clients that follow a media by server-sent events. */
  readonly progressStreams: Gauge;
  readonly inflight: Gauge;
  readonly modelLoadSeconds: Gauge<'model' | 'version'>;
  readonly rejectedMedia: Counter<'reason'>;
  readonly aidetect: AidetectMetrics | undefined;
  readonly drift: DriftMetric;
  readonly authentications: Counter<'method' | 'result'>;
  readonly rateLimited: Counter<'scope'>;
  readonly rateLimitFallbacks: Counter;
  readonly accessFileUsable: Gauge<'file'>;

  constructor({ readQueue, redisIsUp, readCache, readModels, compat }: MetricsOptions) {
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry });
    this.requests = new Counter({
      name: 'deepfake_requests_total',
      help: 'HTTP requests by route and status code; 499 is a client that left',
      labelNames: ['route', 'code'],
      registers,
    });
    this.requestSeconds = new Histogram({
      name: 'deepfake_request_duration_seconds',
      help: 'Time from the first byte of a request to the end of its answer',
      labelNames: ['route'],
      buckets: secondsBuckets,
      registers,
    });
    this.stageSeconds = new Histogram({
      name: 'deepfake_stage_duration_seconds',
      help: 'Time of one stage of an analysis: upload, cache (the look-up), queue, decode, preprocess, infer, wait (for the run of an equal file), post (the rest) and total',
      labelNames: ['stage'],
      buckets: secondsBuckets,
      registers,
    });
    this.inferences = new Counter({
      name: 'deepfake_inference_total',
      help: 'Analyses by model; result is ok, inconclusive, rejected (bad media) or error',
      labelNames: ['model', 'version', 'result'],
      registers,
    });
    this.scores = new Histogram({
      name: 'deepfake_score',
      help: 'Calibrated P(fake) of the answers',
      labelNames: ['model', 'version'],
      buckets: scoreBuckets,
      registers,
    });
    this.verdicts = new Counter({
      name: 'deepfake_verdict_total',
      help: 'Verdicts by model',
      labelNames: ['model', 'version', 'verdict'],
      registers,
    });
    this.fusions = new Counter({
      name: 'deepfake_fusion_total',
      help: 'Verdicts of several models together; ensemble is its name in the configuration, or ad-hoc',
      labelNames: ['ensemble', 'verdict'],
      registers,
    });
    this.modelReady = new Gauge({
      name: 'deepfake_model_ready',
      help: '1 when the model is loaded and has reproduced its golden scores',
      labelNames: ['model', 'version'],
      registers,
    });
    this.modelInfo = new Gauge({
      name: 'deepfake_model_info',
      help: 'Which package is served, as the digest of its manifest',
      labelNames: ['model', 'version', 'digest'],
      registers,
    });
    this.batchSizes = new Histogram({
      name: 'deepfake_batch_size',
      help: 'Items (tiles, windows, frames) that one run of a graph computed',
      labelNames: ['model'],
      buckets: [1, 2, 4, 8, 16, 32, 64],
      registers,
    });
    this.workerRestarts = new Counter({
      name: 'deepfake_worker_restarts_total',
      help: 'Inference workers that stopped and were replaced',
      registers,
    });
    this.ffmpegExits = new Counter({
      name: 'deepfake_ffmpeg_exit_total',
      help: 'Ends of ffmpeg and ffprobe processes; reason is ok, failed, aborted, output_limit, memory_limit, codec_refused, killed or missing',
      labelNames: ['reason'],
      registers,
    });
    this.progressEvents = new Counter({
      name: 'deepfake_progress_events_total',
      help: 'Progress events; result is published, dropped (no working connection) or failed (not confirmed)',
      labelNames: ['result'],
      registers,
    });
    this.authentications = new Counter({
      name: 'deepfake_auth_total',
      help: 'Checks of credentials; method is key, token or none, result is accepted, refused, insufficient_scope or unavailable',
      labelNames: ['method', 'result'],
      registers,
    });
    this.rateLimited = new Counter({
      name: 'deepfake_rate_limited_total',
      help: 'Requests refused because their client sent too many',
      labelNames: ['scope'],
      registers,
    });
    this.rateLimitFallbacks = new Counter({
      name: 'deepfake_rate_limit_fallback_total',
      help: 'Requests that were counted in memory because Redis could not be used',
      registers,
    });
    this.accessFileUsable = new Gauge({
      name: 'deepfake_access_file_usable',
      help: '1 while the newest content of a file with keys is in use, 0 while an older one is because the newest is broken',
      labelNames: ['file'],
      registers,
    });
    this.cacheResults = new Counter({
      name: 'deepfake_cache_total',
      help: 'Judgements by where they came from: hit, miss, coalesced or bypass; error counts failures of a store beside these',
      labelNames: ['result'],
      registers,
    });
    this.progressStreams = new Gauge({
      name: 'deepfake_progress_streams',
      help: 'Clients that follow a media by server-sent events',
      registers,
    });
    if (readCache !== undefined) {
      new Gauge({
        name: 'deepfake_cache_bytes',
        help: 'Results in the memory of this pod',
        registers,
        collect() {
          this.set(readCache().bytes);
        },
      });
      new Gauge({
        name: 'deepfake_cache_entries',
        help: 'Number of results in the memory of this pod',
        registers,
        collect() {
          this.set(readCache().entries);
        },
      });
    }
    if (redisIsUp !== undefined) {
      new Gauge({
        name: 'deepfake_redis_up',
        help: '1 while the connection to Redis works',
        registers,
        collect() {
          this.set(redisIsUp() ? 1 : 0);
        },
      });
    }
    this.inflight = new Gauge({
      name: 'deepfake_inflight_requests',
      help: 'HTTP requests that have begun and are not answered',
      registers,
    });
    this.modelLoadSeconds = new Gauge({
      name: 'deepfake_model_load_seconds',
      help: 'Time from opening the graph to the last golden score, in the worker that started last',
      labelNames: ['model', 'version'],
      registers,
    });
    this.rejectedMedia = new Counter({
      name: 'deepfake_rejected_media_total',
      help: 'Files that were refused; reason is the code of the error',
      labelNames: ['reason'],
      registers,
    });
    new Gauge({
      name: 'deepfake_queue_depth',
      help: 'Analyses that wait for a worker, by priority',
      labelNames: ['priority'],
      registers,
      collect() {
        for (const [priority, { queued }] of Object.entries(readQueue())) this.set({ priority }, queued);
      },
    });
    new Gauge({
      name: 'deepfake_queue_age_seconds',
      help: 'How long the oldest waiting analysis has waited, by priority',
      labelNames: ['priority'],
      registers,
      collect() {
        for (const [priority, { oldestQueuedMs }] of Object.entries(readQueue()))
          this.set({ priority }, oldestQueuedMs / 1000);
      },
    });
    this.drift = new DriftMetric(this.registry, readModels);
    this.aidetect = compat === 'aidetect' ? new AidetectMetrics(this.registry) : undefined;
  }

  /** @param route the pattern of a route, never a path that a client made up */
  countRequest(route: string, code: number, seconds: number): void {
    this.requests.inc({ route, code: String(code) });
    this.requestSeconds.observe({ route }, seconds);
    if (code === 429) this.aidetect?.countRateLimit();
  }

  countDetection(detection: CountedDetection): void {
    this.countModel(detection);
    const { model, analysis, totalMs } = detection;
    this.aidetect?.countPrediction(analysis.score, model.manifest.thresholds, totalMs / 1000);
  }

  /** The verdict of several models, each of which is counted by `countModel`. */
  countFusion({ model, analysis, uploadMs, totalMs }: FusedDetection): void {
    this.fusions.inc({ ensemble: model.name, verdict: analysis.verdict });
    this.stageSeconds.observe({ stage: 'upload' }, uploadMs / 1000);
    this.aidetect?.countPrediction(analysis.score, model.manifest.thresholds, totalMs / 1000);
  }

  /** One model's part in an answer. */
  countModel(detection: CountedDetection): void {
    const { model, analysis, totalMs } = detection;
    const labels = { model: model.name, version: model.manifest.version };
    this.inferences.inc({ ...labels, result: analysis.score === null ? 'inconclusive' : 'ok' });
    this.verdicts.inc({ ...labels, verdict: analysis.verdict });
    if (analysis.score !== null) {
      this.scores.observe(labels, analysis.score);
      if (!isReused(detection.cache)) this.drift.add(model, analysis.score);
    }
    for (const [stage, ms] of Object.entries({ ...stagesOf(detection), total: totalMs })) {
      // Several models share one upload, which is counted with their fusion.
      if (stage !== 'upload' || ms > 0) this.stageSeconds.observe({ stage }, ms / 1000);
    }
  }

  /** @param model the one that was asked for, where there is such a model */
  countFailedDetection(model: NamedPackage | undefined, error: unknown): void {
    const result = error instanceof ServiceError && error.status < 500 ? 'rejected' : 'error';
    this.inferences.inc({ model: model?.name ?? 'none', version: model?.manifest.version ?? 'none', result });
    this.aidetect?.countFailure();
    this.countRejection(error);
  }

  /** Counts an error that is about the file; any other is left alone. */
  countRejection(error: unknown): void {
    if (!(error instanceof ServiceError) || !rejections.has(error.code)) return;
    this.rejectedMedia.inc({ reason: error.code });
    this.aidetect?.countRejection(error.code);
  }

  /** How many analyses each model, by its serving name, has answered. */
  async answeredByModel(): Promise<(model: string) => number> {
    const { values } = await this.inferences.get();
    const answered = values.filter(
      ({ labels }) => labels.result === 'ok' || labels.result === 'inconclusive',
    );
    return (model) =>
      answered.filter(({ labels }) => labels.model === model).reduce((sum, { value }) => sum + value, 0);
  }
}
