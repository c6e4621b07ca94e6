/** Every metric of the pod. Names and labels are a contract with dashboards and with the operator's analysis. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

export interface QueueReading {
  readonly queued: number;
  readonly oldestQueuedMs: number;
}

export interface CacheReading {
  readonly bytes: number;
  readonly entries: number;
}

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
  readonly modelReady: Gauge<'model' | 'version'>;
  readonly modelInfo: Gauge<'model' | 'version' | 'digest'>;
  readonly workerRestarts: Counter;
  readonly ffmpegExits: Counter<'reason'>;
  readonly progressEvents: Counter<'result'>;
  readonly cacheResults: Counter<'result'>;
  /** Clients that follow a media by server-sent events. */
  readonly progressStreams: Gauge;

  /**
   * @param readQueue is asked at every scrape
   * @param redisIsUp is asked at every scrape; undefined leaves the metric out, for a pod without Redis
   * @param readCache is asked at every scrape; undefined leaves its metrics out, for a pod that keeps no results
   */
  constructor(readQueue: () => QueueReading, redisIsUp?: () => boolean, readCache?: () => CacheReading) {
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
      help: 'Time of one stage of an analysis',
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
    this.workerRestarts = new Counter({
      name: 'deepfake_worker_restarts_total',
      help: 'Inference workers that stopped and were replaced',
      registers,
    });
    this.ffmpegExits = new Counter({
      name: 'deepfake_ffmpeg_exit_total',
      help: 'Ends of ffmpeg processes; reason is ok, failed, aborted, output_limit or missing',
      labelNames: ['reason'],
      registers,
    });
    this.progressEvents = new Counter({
      name: 'deepfake_progress_events_total',
      help: 'Progress events; result is published, dropped (no working connection) or failed (not confirmed)',
      labelNames: ['result'],
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
    new Gauge({
      name: 'deepfake_queue_depth',
      help: 'Analyses that wait for a worker',
      registers,
      collect() {
        this.set(readQueue().queued);
      },
    });
    new Gauge({
      name: 'deepfake_queue_age_seconds',
      help: 'How long the oldest waiting analysis has waited',
      registers,
      collect() {
        this.set(readQueue().oldestQueuedMs / 1000);
      },
    });
  }
}
