/** The use case that all analysing routes share: take a file, judge it within its limits, count it, tell those who watch. */
import type { FastifyRequest } from 'fastify';
import { type ErrorCode, ServiceError, serviceError } from '../errors.ts';
import type { ProgressEvent } from '../observability/progress.ts';
import type { ProgressStep } from '../pipelines/analysis.ts';
import type { CompletedAnalysis } from '../pipelines/analyzer.ts';
import type { ServerDependencies } from './dependencies.ts';
import type { Exchange } from './exchange.ts';
import {
  envelopeBytes,
  type ReceivedMedia,
  type Reception,
  receiveMultipart,
  removeAll,
} from './reception.ts';
import { roundedScore } from './views/numbers.ts';

export interface DetectionRequest {
  readonly media: ReceivedMedia;
  /** Serving name; undefined for the model that fits the media. */
  readonly model?: string | undefined;
  /** How the client calls its media: whoever watches is told by this name. */
  readonly mediaId?: string | undefined;
  readonly userId?: string | undefined;
  readonly onProgress?: ((event: ProgressEvent) => void) | undefined;
}

export interface Detection extends CompletedAnalysis {
  readonly media: ReceivedMedia;
  /** Milliseconds from the beginning of the request to the end of its upload, and to the verdict. */
  readonly uploadMs: number;
  readonly totalMs: number;
}

export class Detections {
  readonly #dependencies: ServerDependencies;
  #uploads = 0;

  constructor(dependencies: ServerDependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * Refuses what would not get a place anyway before its body has come.
   * @throws ServiceError not_ready, queue_full, upload_too_large
   */
  refuseEarly(request: FastifyRequest, maxFiles = 1): void {
    const { config, analyzer } = this.#dependencies;
    const limitBytes = config.maxUploadBytes * maxFiles;
    if (Number(request.headers['content-length'] ?? 0) > limitBytes + envelopeBytes)
      throw serviceError('upload_too_large', { limitBytes });
    analyzer.refuseWhenBusy();
  }

  /**
   * Takes the files of a multipart body, hands them to `use`, and removes them whatever happens.
   * @throws ServiceError upload_timeout, queue_full, those of `receiveMultipart`, those of `use`
   */
  async withMultipart<T>(
    request: FastifyRequest,
    options: { readonly fileFields: readonly [string, ...string[]]; readonly maxFiles: number },
    use: (reception: Reception) => Promise<T>,
  ): Promise<T> {
    const { spool, config } = this.#dependencies;
    const limitBytes = config.maxUploadBytes;
    return this.withReception(
      (signal) => receiveMultipart(request, { ...options, spool, limitBytes, signal }),
      use,
    );
  }

  /**
   * The same for files that `receive` puts into the spool.
   * @throws ServiceError upload_timeout, queue_full, those of `receive`, those of `use`
   */
  async withReception<Received extends Pick<Reception, 'media'>, T>(
    receive: (signal: AbortSignal) => Promise<Received>,
    use: (reception: Received) => Promise<T>,
  ): Promise<T> {
    const reception = await this.#whileUploading(receive);
    try {
      return await use(reception);
    } finally {
      await removeAll(this.#dependencies.spool, reception.media);
    }
  }

  /** Uploads that are under way take places too: no more than would fit into the queue and the workers. */
  async #whileUploading<T>(receive: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { config, analyzer, uploadsEnd } = this.#dependencies;
    const limit = config.maxQueue + analyzer.capacity;
    if (this.#uploads >= limit) throw serviceError('queue_full', { limit });
    const limitMs = config.uploadTimeoutMs;
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(serviceError('upload_timeout', { limitMs })), limitMs);
    this.#uploads += 1;
    try {
      return await receive(AbortSignal.any([deadline.signal, uploadsEnd]));
    } finally {
      this.#uploads -= 1;
      clearTimeout(timer);
    }
  }

  /** @throws ServiceError deadline_exceeded, client_closed, those of `Analyzer.assign` and `Analyzer.analyze` */
  async detect(exchange: Exchange, request: DetectionRequest): Promise<Detection> {
    const uploadMs = performance.now() - exchange.startedAt;
    try {
      const completed = await this.#analyzeWithin(exchange, request);
      const totalMs = performance.now() - exchange.startedAt;
      const detection = { ...completed, media: request.media, uploadMs, totalMs };
      this.#record(detection);
      logDetection(exchange, detection);
      const { analysis, model } = completed;
      this.#tell(request, 'ANALYSIS_COMPLETE', `${analysis.verdict} by ${model.name}`, model.name, {
        verdict: analysis.verdict,
        score: roundedScore(analysis.score),
        request_id: exchange.requestId,
      });
      return detection;
    } catch (error) {
      this.#countFailure(request.model, error);
      const code: ErrorCode = error instanceof ServiceError ? error.code : 'inference_failed';
      const message = error instanceof ServiceError ? error.message : 'the analysis failed inside the server';
      const details = { error: code, request_id: exchange.requestId };
      this.#tell(request, 'ANALYSIS_FAILED', message, request.model ?? null, details);
      throw error;
    }
  }

  async #analyzeWithin(exchange: Exchange, request: DetectionRequest): Promise<CompletedAnalysis> {
    const { limitMs, priority, clientGone } = exchange;
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(serviceError('deadline_exceeded', { limitMs })), limitMs);
    const signal = AbortSignal.any([clientGone, deadline.signal]);
    const onProgress = ({ event, message, progress, total }: ProgressStep) =>
      this.#tell(request, event, message, request.model ?? null, {}, { progress, total });
    try {
      const { analyzer } = this.#dependencies;
      const assignment = await analyzer.assign(request.media.file.path, request.model);
      return await analyzer.analyze(assignment, { signal, priority, onProgress });
    } finally {
      clearTimeout(timer);
    }
  }

  /** Tells who listens, where the client named its media. */
  #tell(
    { mediaId, userId, onProgress }: DetectionRequest,
    event: ProgressEvent['event'],
    message: string,
    model: string | null,
    details: ProgressEvent['data']['details'],
    { progress, total }: Pick<ProgressStep, 'progress' | 'total'> = { progress: null, total: null },
  ): void {
    const told = {
      user_id: userId ?? null,
      event,
      message,
      data: { model_name: model, progress, total, details },
    };
    onProgress?.({ media_id: mediaId ?? '', ...told });
    if (mediaId !== undefined) this.#dependencies.progress.publish({ media_id: mediaId, ...told });
  }

  #countFailure(requested: string | undefined, error: unknown): void {
    const { analyzer, metrics } = this.#dependencies;
    const model = analyzer.models.find((candidate) => candidate.name === requested);
    const result = error instanceof ServiceError && error.status < 500 ? 'rejected' : 'error';
    metrics.inferences.inc({
      model: model?.name ?? 'none',
      version: model?.manifest.version ?? 'none',
      result,
    });
  }

  #record({ model, analysis, queueMs, uploadMs }: Detection): void {
    const { metrics } = this.#dependencies;
    const labels = { model: model.name, version: model.manifest.version };
    metrics.inferences.inc({ ...labels, result: analysis.score === null ? 'inconclusive' : 'ok' });
    metrics.verdicts.inc({ ...labels, verdict: analysis.verdict });
    if (analysis.score !== null) metrics.scores.observe(labels, analysis.score);
    for (const [stage, ms] of Object.entries({ upload: uploadMs, queue: queueMs, ...analysis.timingsMs })) {
      metrics.stageSeconds.observe({ stage }, ms / 1000);
    }
  }
}

function logDetection({ log }: Exchange, { model, analysis, mime, media, totalMs }: Detection): void {
  log.info(
    {
      model: model.name,
      verdict: analysis.verdict,
      score: analysis.score,
      media: mime,
      bytes: media.file.bytes,
      ms: Math.round(totalMs),
    },
    'analysed',
  );
}
