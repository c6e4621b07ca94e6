/** The use case that all analysing routes share: take a file, judge it within its limits, count it, tell those who watch. */
import type { FastifyRequest } from 'fastify';
import { isReused, type Judged } from '../cache/judgements.ts';
import { type ErrorCode, ServiceError, serviceError } from '../errors.ts';
import type { NamedPackage } from '../models/package.ts';
import type { Verdict } from '../models/verdict.ts';
import { recordDetection } from '../observability/detection-spans.ts';
import { ProgressTeller, type Watchers } from '../observability/progress-teller.ts';
import type { Extras, ProgressStep } from '../pipelines/analysis.ts';
import type { CompletedAnalysis } from '../pipelines/analyzer.ts';
import type { ServerDependencies } from './dependencies.ts';
import { cacheUseOf, type Exchange, withinDeadline } from './exchange.ts';
import {
  envelopeBytes,
  type ReceivedMedia,
  type Reception,
  receiveMultipart,
  removeAll,
} from './reception.ts';
import { roundedScore } from './views/numbers.ts';

export interface DetectionRequest extends Watchers {
  readonly media: ReceivedMedia;
  /** Serving name; undefined for the model that fits the media. */
  readonly model?: string | undefined;
  /** Default: nothing. */
  readonly extras?: Extras;
}

type JudgedAnalysis = CompletedAnalysis & Omit<Judged, 'judgement'>;

export interface Detection extends JudgedAnalysis {
  readonly media: ReceivedMedia;
  /** Milliseconds from the beginning of the request to the end of its upload, and to the verdict. */
  readonly uploadMs: number;
  readonly totalMs: number;
}

/** What the audit trail tells of an analysis. */
interface Outcome {
  readonly status: number;
  /** Undefined when the analysis failed before a model was chosen. */
  readonly model: NamedPackage | undefined;
  readonly verdict?: Verdict;
  readonly score?: number | null;
  readonly error?: ErrorCode;
}

/** Bodies up to this size are taken although the queue is full: the result may be known, and then no worker is needed. */
const hopefulBytes = 2 * 1024 ** 2;

export class Detections {
  readonly #dependencies: ServerDependencies;
  #uploads = 0;

  constructor(dependencies: ServerDependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * Refuses what would not get a place anyway before its body has come. With a full queue that is what is too large to be read in the
   * hope that its result is known.
   * @throws ServiceError not_ready, queue_full, upload_too_large
   */
  refuseEarly(request: FastifyRequest, maxFiles = 1): void {
    const { config, analyzer, metrics } = this.#dependencies;
    const limitBytes = config.maxUploadBytes * maxFiles;
    const bodyBytes = Number(request.headers['content-length'] ?? Number.NaN);
    if (bodyBytes > limitBytes + envelopeBytes) {
      const error = serviceError('upload_too_large', { limitBytes });
      metrics.countRejection(error);
      throw error;
    }
    if (bodyBytes <= hopefulBytes && this.#mayBeKnown(request)) analyzer.refuseUnlessStarted();
    else analyzer.refuseWhenBusy();
  }

  #mayBeKnown({ headers }: FastifyRequest): boolean {
    return this.#dependencies.judgements.isKeeping && cacheUseOf(headers['cache-control']) === 'use';
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
      request,
      (signal) => receiveMultipart(request, { ...options, spool, limitBytes, signal }),
      use,
    );
  }

  /**
   * The same for files that `receive` puts into the spool.
   * @param span of the request
   * @throws ServiceError upload_timeout, queue_full, those of `receive`, those of `use`
   */
  async withReception<Received extends Pick<Reception, 'media'>, T>(
    { span }: Pick<FastifyRequest, 'span'>,
    receive: (signal: AbortSignal) => Promise<Received>,
    use: (reception: Received) => Promise<T>,
  ): Promise<T> {
    const { metrics } = this.#dependencies;
    const startedAt = performance.now();
    const reception = await this.#whileUploading(receive).catch((error: unknown) => {
      metrics.countRejection(error);
      throw error;
    });
    span.record('upload', startedAt, performance.now());
    metrics.aidetect?.countBatch(reception.media.length);
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
    const uploadedAt = performance.now();
    const uploadMs = uploadedAt - exchange.startedAt;
    const teller = new ProgressTeller(request, this.#dependencies.progress, request.model);
    try {
      const completed = await this.#judgeWithin(exchange, request, (step) => teller.step(step));
      const totalMs = performance.now() - exchange.startedAt;
      const detection = { ...completed, media: request.media, uploadMs, totalMs };
      this.#count(detection);
      recordDetection(exchange.span, uploadedAt, detection);
      logDetection(exchange, detection);
      this.#audit(exchange, request.media, { status: 200, model: completed.model, ...completed.analysis });
      const { analysis, model } = completed;
      teller.completed(`${analysis.verdict} by ${model.name}`, model.name, {
        verdict: analysis.verdict,
        score: roundedScore(analysis.score),
        request_id: exchange.requestId,
      });
      return detection;
    } catch (error) {
      const model = this.#activeModel(request.model);
      this.#countFailure(model, error, performance.now() - uploadedAt);
      const code: ErrorCode = error instanceof ServiceError ? error.code : 'inference_failed';
      const status = error instanceof ServiceError ? error.status : 500;
      this.#audit(exchange, request.media, { status, model, error: code });
      const message = error instanceof ServiceError ? error.message : 'the analysis failed inside the server';
      exchange.span.record('analyse', uploadedAt, performance.now(), { error: code });
      teller.failed(message, { error: code, request_id: exchange.requestId });
      throw error;
    }
  }

  async #judgeWithin(
    exchange: Exchange,
    { media, model, extras = {} }: DetectionRequest,
    onProgress: (step: ProgressStep) => void,
  ): Promise<JudgedAnalysis> {
    const { config, analyzer, judgements, metrics } = this.#dependencies;
    if (extras.perturb === true && config.perturbationRuns === 0)
      throw serviceError('invalid_request', { reason: 'perturb: is switched off here; leave it out' });
    const { priority, cacheUse, onCache } = exchange;
    return withinDeadline(exchange, async (signal) => {
      const assignment = { ...(await analyzer.assign(media.file, model)), extras };
      const options = { signal, priority, cacheUse, onProgress };
      const { judgement, ...judged } = await judgements.judge(assignment, media.file.sha256, options);
      metrics.cacheResults.inc({ result: judged.cache });
      onCache(judged.cache);
      if (judgement.type === 'refusal') throw new ServiceError(judgement.error);
      const { kind, mime } = assignment.media;
      return { ...judged, kind, mime, analysis: judgement.analysis };
    });
  }

  #count(detection: Detection): void {
    const { metrics, statistics } = this.#dependencies;
    metrics.countDetection(detection);
    const { model, analysis, cache, queueMs, uploadMs, totalMs } = detection;
    if (isReused(cache)) {
      statistics.reused(model.name, totalMs - uploadMs);
      return;
    }
    const { decode, preprocess, infer: inferMs } = analysis.timingsMs;
    const stages = { requestMs: totalMs - uploadMs, queueMs, inputMs: decode + preprocess, inferMs };
    statistics.succeeded(model.name, stages);
  }

  #countFailure(model: NamedPackage | undefined, error: unknown, requestMs: number): void {
    const { metrics, statistics } = this.#dependencies;
    metrics.countFailedDetection(model, error);
    if (model !== undefined) statistics.failed(model.name, requestMs);
  }

  #audit({ caller, requestId, startedAt }: Exchange, media: ReceivedMedia, outcome: Outcome): void {
    this.#dependencies.audit.write({
      event: 'decision',
      ...caller,
      request_id: requestId,
      sha256: media.file.sha256,
      model: outcome.model?.name ?? null,
      model_digest: outcome.model?.digest ?? null,
      verdict: outcome.verdict ?? null,
      score: roundedScore(outcome.score ?? null),
      status: outcome.status,
      error: outcome.error ?? null,
      ms: Math.round(performance.now() - startedAt),
    });
  }

  #activeModel(requested: string | undefined): NamedPackage | undefined {
    return this.#dependencies.analyzer.models.find(({ name }) => name === requested);
  }
}

function logDetection({ log }: Exchange, { model, analysis, mime, media, cache, totalMs }: Detection): void {
  log.info(
    {
      component: 'analysis',
      status: analysis.score === null ? 'inconclusive' : 'ok',
      model: model.name,
      model_version: model.manifest.version,
      verdict: analysis.verdict,
      fake_probability: analysis.score,
      media: mime,
      size_bytes: media.file.bytes,
      cache,
      latency_ms: Math.round(totalMs),
    },
    'analysed',
  );
}
