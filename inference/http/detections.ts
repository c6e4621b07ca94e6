/** The use case that all analysing routes share: take a file, judge it within its limits, count it, tell those who watch. */
import type { FastifyRequest } from 'fastify';
import { isReused, type Judged } from '../cache/judgements.ts';
import { type ErrorCode, ServiceError, serviceError } from '../errors.ts';
import type { MediaKind } from '../media/sniff.ts';
import type { Judge } from '../models/judge.ts';
import type { NamedPackage } from '../models/package.ts';
import type { Verdict } from '../models/verdict.ts';
import { recordDetection, recordFusion } from '../observability/detection-spans.ts';
import { ProgressTeller, type Watchers } from '../observability/progress-teller.ts';
import type { Analysis, Extras, ProgressStep } from '../pipelines/analysis.ts';
import type { Assignment } from '../pipelines/analyzer.ts';
import type { Group } from '../pipelines/fusion/ensemble.ts';
import type { Wanted } from '../pipelines/fusion/selection.ts';
import type { ServerDependencies } from './dependencies.ts';
import { cacheUseOf, type Exchange, withinDeadline } from './exchange.ts';
import {
  type Failure,
  type JointJudgement,
  type JointPlan,
  judgeTogether,
  type Member,
} from './joint-detection.ts';
import {
  envelopeBytes,
  type ReceivedMedia,
  type Reception,
  receiveMultipart,
  removeAll,
} from './reception.ts';
import { roundedScore } from './views/numbers.ts';

export interface DetectionRequest extends Watchers, Wanted {
  readonly media: ReceivedMedia;
  /** Default: nothing. */
  readonly extras?: Extras;
}

/** What one model says; or several together, and then what each of them says beside it. */
interface JudgedAnalysis extends Omit<Judged, 'judgement' | 'model'> {
  readonly model: Judge;
  readonly mime: string;
  readonly kind: MediaKind;
  readonly analysis: Analysis;
  readonly joint?: Pick<JointJudgement, 'fusion' | 'avMismatch' | 'missing'> & {
    readonly group: Group;
    readonly members: readonly Member[];
  };
}

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
  readonly model: Pick<Judge, 'name' | 'digest'> | undefined;
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

  /** @throws ServiceError deadline_exceeded, client_closed, those of `Analyzer.plan`, `Analyzer.analyze` and `judgeTogether` */
  async detect(exchange: Exchange, request: DetectionRequest): Promise<Detection> {
    const uploadedAt = performance.now();
    const uploadMs = uploadedAt - exchange.startedAt;
    const { progress } = this.#dependencies;
    const name = request.model ?? (Array.isArray(request.models) ? request.models.join(',') : undefined);
    const teller = new ProgressTeller(request, progress, name);
    try {
      const completed = await withinDeadline(exchange, (signal) =>
        this.#judge(exchange, request, { signal, teller, uploadedAt, uploadMs }),
      );
      const totalMs = performance.now() - exchange.startedAt;
      const detection = { ...completed, media: request.media, uploadMs, totalMs };
      this.#remember(exchange, detection);
      if (detection.joint === undefined) recordDetection(exchange.span, uploadedAt, detection);
      else {
        this.#dependencies.metrics.countFusion(detection);
        recordFusion(exchange.span, uploadedAt, detection);
      }
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
      const { code, status, message } = toldOf(error);
      this.#audit(exchange, request.media, { status, model, error: code });
      exchange.span.record('analyse', uploadedAt, performance.now(), { error: code });
      teller.failed(message, { error: code, request_id: exchange.requestId });
      throw error;
    }
  }

  async #judge(exchange: Exchange, request: DetectionRequest, run: Run): Promise<JudgedAnalysis> {
    const { media, extras = {} } = request;
    const { config, analyzer } = this.#dependencies;
    if (extras.perturb === true && config.perturbationRuns === 0)
      throw serviceError('invalid_request', { reason: 'perturb: is switched off here; leave it out' });
    const plan = await analyzer.plan(media.file, request, extras);
    return plan.type === 'one'
      ? this.#judgeAlone(exchange, media, plan.assignment, run)
      : this.#judgeTogether(exchange, media, plan, run);
  }

  async #judgeAlone(
    { priority, cacheUse, onCache, startedAt }: Exchange,
    media: ReceivedMedia,
    assignment: Assignment,
    { signal, teller, uploadMs }: Run,
  ): Promise<JudgedAnalysis> {
    const { judgements, metrics } = this.#dependencies;
    const onProgress = (step: ProgressStep) => teller.step(step);
    const options = { signal, priority, cacheUse, onProgress };
    const { judgement, ...judged } = await judgements.judge(assignment, media.file.sha256, options);
    metrics.cacheResults.inc({ result: judged.cache });
    onCache(judged.cache);
    if (judgement.type === 'refusal') throw new ServiceError(judgement.error);
    const { kind, mime } = assignment.media;
    const { analysis } = judgement;
    const times = { uploadMs, totalMs: performance.now() - startedAt };
    metrics.countDetection({ ...judged, analysis, ...times });
    this.#countWork({ ...judged, analysis }, times.totalMs - uploadMs);
    return { ...judged, kind, mime, analysis };
  }

  async #judgeTogether(
    exchange: Exchange,
    media: ReceivedMedia,
    plan: JointPlan,
    { signal, teller, uploadedAt }: Run,
  ): Promise<JudgedAnalysis> {
    const { metrics } = this.#dependencies;
    const { priority, cacheUse, onCache, log, span } = exchange;
    const { kind, mime } = plan.media;
    const found = await judgeTogether(plan, this.#dependencies, {
      sha256: media.file.sha256,
      signal,
      priority,
      cacheUse,
      onProgress: (model, step) => teller.step(step, model),
      onEnd: (outcome) => tellEnd(teller, outcome),
    });
    onCache(found.cache);
    for (const member of found.members) {
      metrics.cacheResults.inc({ result: member.cache });
      metrics.countModel({ ...member, uploadMs: 0 });
      this.#countWork(member, member.totalMs);
      recordDetection(span, uploadedAt, { ...member, mime, uploadMs: 0 });
    }
    for (const { assignment, error, totalMs } of found.failures) {
      const model = assignment.model.name;
      if (!(error instanceof ServiceError))
        log.error({ err: error, model }, 'a model failed inside the server');
      this.#countFailure(assignment.model, error, totalMs);
    }
    const { judge, analysis, cache, queueMs, lookUpMs, fusion, avMismatch, missing, members } = found;
    const { group } = plan;
    const joint = { group, fusion, avMismatch, missing, members };
    const lookUp = lookUpMs === undefined ? {} : { lookUpMs };
    return { model: judge, kind, mime, analysis, cache, queueMs, ...lookUp, joint };
  }

  #countWork(
    { model, analysis, cache, queueMs }: Pick<Member, 'model' | 'analysis' | 'cache' | 'queueMs'>,
    requestMs: number,
  ): void {
    const { statistics } = this.#dependencies;
    if (isReused(cache)) {
      statistics.reused(model.name, requestMs);
      return;
    }
    const { decode, preprocess, infer: inferMs } = analysis.timingsMs;
    statistics.succeeded(model.name, { requestMs, queueMs, inputMs: decode + preprocess, inferMs });
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

  /** Of several models together, what each of them said, too. */
  #remember({ requestId }: Exchange, { media, joint, ...together }: Detection): void {
    for (const { model, analysis } of [together, ...(joint?.members ?? [])]) {
      const { score, verdict } = analysis;
      const { sha256 } = media.file;
      this.#dependencies.decisions.add({ requestId, sha256, model: model.name, score, verdict });
    }
  }

  #activeModel(requested: string | undefined): NamedPackage | undefined {
    return this.#dependencies.analyzer.models.find(({ name }) => name === requested);
  }
}

/** Of one analysis. */
interface Run {
  readonly signal: AbortSignal;
  readonly teller: ProgressTeller;
  /** By `performance.now()`, and since the beginning of the request. */
  readonly uploadedAt: number;
  readonly uploadMs: number;
}

function tellEnd(teller: ProgressTeller, outcome: Member | Failure): void {
  if ('error' in outcome) {
    const { code, message } = toldOf(outcome.error);
    teller.modelEnded(outcome.assignment.model.name, false, message, { error: code });
    return;
  }
  const {
    model: { name },
    analysis: { verdict, score },
  } = outcome;
  teller.modelEnded(name, true, `${verdict} by ${name}`, { verdict, score: roundedScore(score) });
}

/** What is said of an error to those who watch. */
function toldOf(error: unknown): { code: ErrorCode; status: number; message: string } {
  if (error instanceof ServiceError) return error;
  return { code: 'inference_failed', status: 500, message: 'the analysis failed inside the server' };
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
