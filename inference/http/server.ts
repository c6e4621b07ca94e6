/** The HTTP server: what every route shares. Routes hand files to the detections and never see a tensor. */
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
import type { z } from 'zod';
import { type ServiceError, serviceError } from '../errors.ts';
import { keyChecker } from './auth.ts';
import type { ServerDependencies } from './dependencies.ts';
import { Detections } from './detections.ts';
import { type ErrorStyle, errorAnswer } from './error-view.ts';
import { invalidRequest } from './exchange.ts';
import { asServiceError, logFailure } from './failure.ts';
import { analyzeRoutes } from './routes/analyze.ts';
import { progressRoutes } from './routes/progress.ts';
import { statusRoutes } from './routes/status.ts';
import { closeUnusedConnections } from './unused-connections.ts';

export interface RouteDependencies extends ServerDependencies {
  readonly detections: Detections;
}

/** What a client may do; a route without a scope is public: probes, the scraper and the front page need no key. */
export type Scope = 'predict' | 'batch' | 'explain' | 'read' | 'admin';

declare module 'fastify' {
  interface FastifyContextConfig {
    readonly scope?: Scope;
    readonly errors?: ErrorStyle;
  }
}

/** Counted for a connection that closed before its answer; nobody receives it. */
const clientLeft = 499;
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
  closeUnusedConnections(app);
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'string' },
    app.getDefaultJsonParser('error', 'error'),
  );
  await app.register(multipart);
  app.setValidatorCompiler(({ schema, httpPart }) => validate(schema as z.ZodType, httpPart ?? 'request'));
  app.setSerializerCompiler(() => (value) => JSON.stringify(value));

  const isKnownKey = keyChecker(config.apiKeys);
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id);
    reply.raw.once('close', () => recordRequest(request, reply));
    if (!request.is404 && request.routeOptions.config.scope === undefined) return;
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
    logFailure(request, error, known);
    const { status, headers, body } = errorAnswer(known, request.id, request.routeOptions.config.errors);
    return reply.code(status).headers(headers).send(body);
  });
  const routeDependencies = { ...dependencies, detections: new Detections(dependencies) };
  for (const addRoutes of [statusRoutes, analyzeRoutes, progressRoutes]) addRoutes(app, routeDependencies);
  return app;

  function recordRequest(request: FastifyRequest, reply: FastifyReply): void {
    const route = request.routeOptions.url ?? 'unknown';
    const code = reply.raw.writableFinished ? reply.statusCode : clientLeft;
    metrics.requests.inc({ route, code: String(code) });
    metrics.requestSeconds.observe({ route }, reply.elapsedTime / 1000);
  }
}

/** Schemas are zod's; the data that a route sees is what its schema made of it. */
function validate(schema: z.ZodType, part: string) {
  return (data: unknown) => {
    const { success, data: value, error } = schema.safeParse(data);
    return success ? { value } : { error: invalidRequest(error, part) };
  };
}

/** A client's own id is kept where it is harmless in logs and headers. */
function requestId(presented: string | string[] | undefined): string {
  return typeof presented === 'string' && /^[\w.:-]{1,128}$/.test(presented) ? presented : randomUUID();
}
