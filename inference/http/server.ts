/** The HTTP server: what every route shares. Routes hand files to the analyzer and never see a tensor. */
import { randomUUID } from 'node:crypto';
import multipart from '@fastify/multipart';
import {
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  fastify,
  LogController,
} from 'fastify';
import type { Config } from '../config/config.ts';
import { messageOf, ServiceError, serviceError } from '../errors.ts';
import type { Spool } from '../media/spool.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { ProgressPublisher } from '../observability/progress.ts';
import type { Analyzer } from '../pipelines/analyzer.ts';
import { analyzeRoute } from './analyze-route.ts';
import { keyChecker } from './auth.ts';
import { statusRoutes } from './status-routes.ts';

export interface ServerDependencies {
  readonly config: Config;
  readonly analyzer: Analyzer;
  readonly spool: Spool;
  readonly metrics: Metrics;
  readonly progress: ProgressPublisher;
  readonly logger: Logger;
  /** True from the moment at which the process was asked to stop. */
  readonly isDraining: () => boolean;
  /** Aborted when a stopping process waits for uploads no longer; the reason is what their clients are told. */
  readonly uploadsEnd: AbortSignal;
}

/** Probes, the scraper and the front page need no key. */
const publicRoutes = new Set(['/', '/ping', '/health/live', '/health/ready', '/metrics']);
/** Counted for a connection that closed before its answer; nobody receives it. */
const clientLeft = 499;
const retryAfterSeconds = 1;
const keepAliveMs = 75_000;

export async function createServer(dependencies: ServerDependencies): Promise<FastifyInstance> {
  const { config, logger, metrics, isDraining } = dependencies;
  const app = fastify({
    loggerInstance: logger as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request_id' }),
    genReqId: (request) => requestId(request.headers['x-request-id']),
    keepAliveTimeout: keepAliveMs,
    requestTimeout: config.uploadTimeoutMs,
    maxRequestsPerSocket: config.maxRequestsPerConnection,
    return503OnClosing: false,
    forceCloseConnections: 'idle',
  });
  app.removeAllContentTypeParsers();
  await app.register(multipart);

  const isKnownKey = keyChecker(config.apiKeys);
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id);
    reply.raw.once('close', () => recordRequest(request, reply));
    if (publicRoutes.has(request.routeOptions.url ?? '')) return;
    if (!isKnownKey(request.headers['x-api-key'])) throw serviceError('unauthorized', {});
  });
  app.addHook('onSend', async (_request, reply) => {
    if (isDraining()) reply.header('connection', 'close');
  });
  app.setNotFoundHandler((request) => {
    throw serviceError('not_found', { method: request.method, path: request.url.split('?', 1)[0] ?? '' });
  });
  app.setErrorHandler((error: FastifyError | ServiceError, request, reply) => {
    const known = asServiceError(error, request);
    if (known.status >= 500 && known.code !== 'queue_full')
      request.log.error({ err: error, code: known.code }, known.message);
    else request.log.info({ code: known.code }, known.message);
    if (known.status === 503 || known.status === 507) reply.header('retry-after', retryAfterSeconds);
    if (known.status === 408 || known.status === 413) reply.header('connection', 'close');
    return reply.code(known.status).send({
      error: known.code,
      message: known.message,
      detail: known.message,
      ...(Object.keys(known.params).length === 0 ? {} : { details: known.params }),
      request_id: request.id,
      status_code: known.status,
    });
  });
  statusRoutes(app, dependencies);
  analyzeRoute(app, dependencies);
  return app;

  function recordRequest(request: FastifyRequest, reply: FastifyReply): void {
    const route = request.routeOptions.url ?? 'unknown';
    const code = reply.raw.writableFinished ? reply.statusCode : clientLeft;
    metrics.requests.inc({ route, code: String(code) });
    metrics.requestSeconds.observe({ route }, reply.elapsedTime / 1000);
  }
}

/** A client's own id is kept where it is harmless in logs and headers. */
function requestId(presented: string | string[] | undefined): string {
  return typeof presented === 'string' && /^[\w.:-]{1,128}$/.test(presented) ? presented : randomUUID();
}

function asServiceError(error: FastifyError | ServiceError, request: FastifyRequest): ServiceError {
  if (error instanceof ServiceError) return error;
  if ('statusCode' in error && error.statusCode === 415) {
    return serviceError(
      'not_multipart',
      { found: request.headers['content-type'] ?? 'no Content-Type' },
      { cause: error },
    );
  }
  if ('statusCode' in error && error.statusCode !== undefined && error.statusCode < 500) {
    return serviceError('malformed_body', { reason: messageOf(error) }, { cause: error });
  }
  return serviceError('inference_failed', { requestId: request.id }, { cause: error });
}
