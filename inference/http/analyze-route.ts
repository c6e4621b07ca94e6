/** `POST /analyze`: upload, wait for a worker, answer; everything stops when the client leaves or the time is over. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type ErrorCode, ServiceError, serviceError } from '../errors.ts';
import type { ProgressEvent } from '../observability/progress.ts';
import type { CompletedAnalysis } from '../pipelines/analyzer.ts';
import type { ServerDependencies } from './server.ts';
import { receiveUpload, type Upload } from './upload.ts';
import { analysisView } from './views.ts';

/** Multipart framing and fields beside the file itself. */
const envelopeBytes = 64 * 1024;

export function analyzeRoute(app: FastifyInstance, dependencies: ServerDependencies): void {
  const { analyzer, config, spool, metrics, progress } = dependencies;
  const limitBytes = config.maxUploadBytes;
  let uploads = 0;

  app.post('/analyze', { bodyLimit: limitBytes + envelopeBytes }, async (request, reply) => {
    const startedAt = performance.now();
    if (Number(request.headers['content-length'] ?? 0) > limitBytes + envelopeBytes) {
      throw serviceError('upload_too_large', { limitBytes });
    }
    analyzer.refuseWhenBusy();
    const clientGone = signalOfClosedConnection(reply);
    const upload = await uploadWithin(request);
    try {
      const uploadMs = performance.now() - startedAt;
      const completed = await analyzeWithin(upload, clientGone);
      const totalMs = performance.now() - startedAt;
      record(completed, uploadMs);
      request.log.info(
        {
          model: completed.model.name,
          verdict: completed.analysis.verdict,
          score: completed.analysis.score,
          media: completed.mime,
          bytes: upload.file.bytes,
          ms: Math.round(totalMs),
        },
        'analysed',
      );
      const { servedBy, device } = config;
      const context = { requestId: request.id, now: new Date(), device, servedBy, uploadMs, totalMs };
      const answer = analysisView(upload, completed, context);
      const { verdict, score } = answer.data;
      publish(upload, 'ANALYSIS_COMPLETE', `${verdict} by ${answer.model_used}`, answer.model_used, {
        verdict,
        score,
        request_id: request.id,
      });
      return answer;
    } catch (error) {
      const code: ErrorCode = error instanceof ServiceError ? error.code : 'inference_failed';
      const message = error instanceof ServiceError ? error.message : 'the analysis failed inside the server';
      publish(upload, 'ANALYSIS_FAILED', message, upload.fields.get('model') || null, {
        error: code,
        request_id: request.id,
      });
      throw error;
    } finally {
      await spool.remove(upload.file.path);
    }
  });

  /** Uploads that are under way take places too: no more than would fit into the queue and the workers. */
  async function uploadWithin(request: FastifyRequest): Promise<Upload> {
    const limit = config.maxQueue + analyzer.capacity;
    if (uploads >= limit) throw serviceError('queue_full', { limit });
    const limitMs = config.uploadTimeoutMs;
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(serviceError('upload_timeout', { limitMs })), limitMs);
    uploads += 1;
    try {
      const signal = AbortSignal.any([deadline.signal, dependencies.uploadsEnd]);
      return await receiveUpload(request, spool, limitBytes, signal);
    } finally {
      uploads -= 1;
      clearTimeout(timer);
    }
  }

  async function analyzeWithin(upload: Upload, clientGone: AbortSignal): Promise<CompletedAnalysis> {
    const deadline = new AbortController();
    const limitMs = config.requestTimeoutMs;
    const timer = setTimeout(() => deadline.abort(serviceError('deadline_exceeded', { limitMs })), limitMs);
    const requested = upload.fields.get('model') || undefined;
    try {
      return await analyzer.analyze(
        upload.file.path,
        requested,
        AbortSignal.any([clientGone, deadline.signal]),
      );
    } catch (error) {
      countFailure(requested, error);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Tells who listens how the analysis ended, where the client named its media. */
  function publish(
    { fields }: Upload,
    event: ProgressEvent['event'],
    message: string,
    model: string | null,
    details: ProgressEvent['data']['details'],
  ): void {
    const mediaId = fields.get('mediaId') || undefined;
    if (mediaId === undefined) return;
    const data = { model_name: model, progress: null, total: null, details };
    progress.publish({ media_id: mediaId, user_id: fields.get('userId') || null, event, message, data });
  }

  function countFailure(requested: string | undefined, error: unknown): void {
    const model = analyzer.models.find((candidate) => candidate.name === requested);
    const result = error instanceof ServiceError && error.status < 500 ? 'rejected' : 'error';
    metrics.inferences.inc({
      model: model?.name ?? 'none',
      version: model?.manifest.version ?? 'none',
      result,
    });
  }

  function record({ model, analysis, queueMs }: CompletedAnalysis, uploadMs: number): void {
    const labels = { model: model.name, version: model.manifest.version };
    metrics.inferences.inc({ ...labels, result: analysis.score === null ? 'inconclusive' : 'ok' });
    metrics.verdicts.inc({ ...labels, verdict: analysis.verdict });
    if (analysis.score !== null) metrics.scores.observe(labels, analysis.score);
    for (const [stage, ms] of Object.entries({ upload: uploadMs, queue: queueMs, ...analysis.timingsMs })) {
      metrics.stageSeconds.observe({ stage }, ms / 1000);
    }
  }
}

function signalOfClosedConnection(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) controller.abort(serviceError('client_closed', {}));
  });
  return controller.signal;
}
