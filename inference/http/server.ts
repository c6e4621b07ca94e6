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
import { type ErrorCode, ServiceError, serviceError } from '../errors.ts';
import { noTracing, type RequestSpan } from '../observability/tracing.ts';
import { registerAdmission } from './access/admission.ts';
import type { AnswerHeader } from './answer-headers.ts';
import type { ServerDependencies } from './dependencies.ts';
import { Detections } from './detections.ts';
import { type ErrorStyle, errorAnswer, inferenceProtocolErrors } from './error-view.ts';
import { invalidRequest } from './exchange.ts';
import { asServiceError, logFailure } from './failure.ts';
import { MediaFetcher } from './fetch-media.ts';
import { inferenceProtocolRoutes } from './oip/routes.ts';
import { collectRoutes, type DocumentedRoute, methodsOf } from './route-table.ts';
import { analyzeRoutes } from './routes/analyze.ts';
import { detectionRoutes } from './routes/detections.ts';
import { docsRoutes } from './routes/docs.ts';
import { explanationRoutes } from './routes/explain.ts';
import { healthRoutes } from './routes/health.ts';
import { modelRoutes } from './routes/models.ts';
import { predictionRoutes } from './routes/predict.ts';
import { progressRoutes } from './routes/progress.ts';
import { statusRoutes } from './routes/status.ts';
import { closeUnusedConnections } from './unused-connections.ts';

export interface RouteDependencies extends ServerDependencies {
  readonly detections: Detections;
  readonly fetcher: MediaFetcher;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    readonly errors?: ErrorStyle;
    /** What the route takes in a form; for the documentation, as the route validates it itself. */
    readonly multipart?: z.ZodObject;
    /** What the route takes in a JSON body that it reads itself. */
    readonly json?: z.ZodType;
    /** Codes of errors that only this route has; for the documentation. */
    readonly failsWith?: readonly ErrorCode[];
    /** Headers that only this route's answers have; for the documentation. */
    readonly answerHeaders?: readonly AnswerHeader[];
  }
  interface FastifySchema {
    readonly summary?: string;
    readonly description?: string;
    readonly tags?: readonly string[];
  }
  interface FastifyRequest {
    /** Set before anything else happens to a request. */
    span: RequestSpan;
  }
}

/** Counted for a connection that closed before its answer; nobody receives it. */
const clientLeft = 499;
const keepAliveMs = 75_000;
/** Longer than any request line that Node reads: how long a parameter of a path may be is for its schema to say. */
const maxParamLength = 64 * 1024;
const routes = [
  healthRoutes,
  statusRoutes,
  modelRoutes,
  analyzeRoutes,
  predictionRoutes,
  explanationRoutes,
  detectionRoutes,
  inferenceProtocolRoutes,
  progressRoutes,
];

export async function createServer(dependencies: ServerDependencies): Promise<FastifyInstance> {
  const { config, logger, metrics, tracing, isDraining } = dependencies;
  const app = fastify({
    loggerInstance: logger as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request_id' }),
    genReqId: (request) => requestId(request.headers['x-request-id']),
    keepAliveTimeout: keepAliveMs,
    requestTimeout: config.uploadTimeoutMs,
    maxRequestsPerSocket: config.maxRequestsPerConnection,
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    trustProxy: [...(config.access.trustedProxies ?? [])],
    routerOptions: { maxParamLength },
    frameworkErrors: (error, request, reply) => {
      // No hook has seen the request: the router could not read its path.
      reply.header('x-request-id', request.id);
      const known = serviceError('invalid_request', { reason: error.message }, { cause: error });
      const style = pathOf(request).startsWith('/v2/') ? inferenceProtocolErrors : undefined;
      sendError(reply, error, known, style);
    },
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

  app.decorateRequest('span');
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id);
    beginSpan(request, reply);
    metrics.inflight.inc();
    reply.raw.once('close', () => recordRequest(request, reply));
  });
  app.addHook('onSend', async (_request, reply) => {
    if (isDraining()) reply.header('connection', 'close');
  });
  const table = collectRoutes(app);
  app.setNotFoundHandler((request) => {
    throw unknownRoute(request, table);
  });
  app.setErrorHandler((error: FastifyError | ServiceError, request, reply) => {
    // What is wrong with a body does not matter where nobody would read it.
    const isUnread = request.is404 && !(error instanceof ServiceError);
    const known = isUnread ? unknownRoute(request, table) : asServiceError(error, request);
    return sendError(reply, error, known, errorStyleOf(request));
  });
  await registerAdmission(app, dependencies);
  const fetcher = new MediaFetcher(config.fetch);
  app.addHook('onClose', () => fetcher.close());
  const routeDependencies = { ...dependencies, detections: new Detections(dependencies), fetcher };
  for (const addRoutes of routes) addRoutes(app, routeDependencies);
  docsRoutes(app, table, config.access);
  return app;

  /** Probes, the scraper and paths that are no routes come too often to be worth a span. */
  function beginSpan(request: FastifyRequest, reply: FastifyReply): void {
    const {
      url: route,
      config: { scope },
    } = request.routeOptions;
    const { method, headers } = request;
    const path = pathOf(request);
    const isTraced = route !== undefined && scope !== undefined;
    request.span = (isTraced ? tracing : noTracing).begin({ method, path, route: route ?? '', headers });
    const { traceId, traceresponse } = request.span;
    if (traceId !== undefined) request.log = request.log.child({ trace_id: traceId });
    if (traceresponse !== undefined) reply.header('traceresponse', traceresponse);
  }

  function recordRequest(request: FastifyRequest, reply: FastifyReply): void {
    const route = request.routeOptions.url ?? 'unknown';
    const code = reply.raw.writableFinished ? reply.statusCode : clientLeft;
    request.span.end(code);
    metrics.inflight.dec();
    metrics.countRequest(route, code, reply.elapsedTime / 1000);
  }
}

function sendError(
  reply: FastifyReply,
  error: unknown,
  known: ServiceError,
  style: ErrorStyle | undefined,
): FastifyReply {
  const { request } = reply;
  logFailure(request, error, known);
  const { status, headers, body } = errorAnswer(known, request.id, style);
  return reply.code(status).headers(headers).send(body);
}

function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0] ?? '';
}

function errorStyleOf(request: FastifyRequest): ErrorStyle | undefined {
  const isUnknownProtocolPath = request.is404 && request.url.startsWith('/v2/');
  return isUnknownProtocolPath ? inferenceProtocolErrors : request.routeOptions.config.errors;
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

function unknownRoute({ method, url }: FastifyRequest, table: readonly DocumentedRoute[]): ServiceError {
  const path = url.split('?', 1)[0] ?? '';
  const allowed = methodsOf(table, path).join(', ');
  return allowed === ''
    ? serviceError('not_found', { method, path })
    : serviceError('method_not_allowed', { method, path, allowed });
}
