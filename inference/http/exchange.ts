/** One request and its answer, as the analysis behind it sees them: who asks, how urgently, for how long, and whether they still wait. */
import type { FastifyBaseLogger, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { CacheResult, CacheUse } from '../cache/judgements.ts';
import type { Priority } from '../engine/job-queue.ts';
import { serviceError } from '../errors.ts';
import type { RequestSpan } from '../observability/tracing.ts';
import { callerOf } from './access/admission.ts';
import type { Caller } from './access/audit.ts';

export interface Exchange {
  readonly requestId: string;
  readonly caller: Caller;
  readonly log: FastifyBaseLogger;
  readonly span: RequestSpan;
  readonly startedAt: number;
  readonly priority: Priority;
  /** How long an analysis may take, from the end of the upload. */
  readonly limitMs: number;
  /** Aborted with `client_closed` when the connection closes before the answer. */
  readonly clientGone: AbortSignal;
  readonly cacheUse: CacheUse;
  /** Told before a verdict or a refusal of the media where it comes from. */
  readonly onCache: (result: CacheResult) => void;
}

/** Headers that every analysing route understands. */
export const exchangeHeaders = z.object({
  'x-request-timeout-ms': z.coerce.number().int().min(1).max(3_600_000).optional(),
  'x-request-priority': z.enum(['interactive', 'batch']).optional(),
  'cache-control': z
    .string()
    .optional()
    .describe('no-cache: judged now although the result is known; no-store: neither looked up nor kept.'),
});

/** @throws ServiceError invalid_request for a header that cannot be read */
export function beginExchange(
  request: FastifyRequest,
  reply: FastifyReply,
  defaults: { readonly requestTimeoutMs: number; readonly priority: Priority },
): Exchange {
  const headers = exchangeHeaders.safeParse(request.headers);
  if (!headers.success) throw invalidRequest(headers.error, 'header');
  const { 'x-request-timeout-ms': wanted, 'x-request-priority': priority } = headers.data;
  return {
    requestId: request.id,
    caller: callerOf(request),
    log: request.log,
    span: request.span,
    startedAt: performance.now(),
    priority: priority ?? defaults.priority,
    limitMs: Math.min(wanted ?? Infinity, defaults.requestTimeoutMs),
    clientGone: signalOfClosedConnection(reply),
    cacheUse: cacheUseOf(headers.data['cache-control']),
    // A stream may have begun, and has its headers.
    onCache: (result) => {
      if (!reply.sent) reply.header('x-cache', result.toUpperCase());
    },
  };
}

/** What a client's `Cache-Control` asks of results that are known: `no-cache` makes a new one, `no-store` one that is not kept. */
export function cacheUseOf(header: string | undefined): CacheUse {
  const directives = (header ?? '').split(',').map((directive) => directive.trim().toLowerCase());
  if (directives.includes('no-store')) return 'none';
  return directives.includes('no-cache') ? 'refresh' : 'use';
}

/**
 * Runs the action until the client leaves or the time that the exchange has is over.
 * @throws ServiceError deadline_exceeded, client_closed; what the action throws
 */
export async function withinDeadline<T>(
  { limitMs, clientGone }: Pick<Exchange, 'limitMs' | 'clientGone'>,
  action: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(serviceError('deadline_exceeded', { limitMs })), limitMs);
  try {
    return await action(AbortSignal.any([clientGone, deadline.signal]));
  } finally {
    clearTimeout(timer);
  }
}

/** What a schema found wrong with a part of the request, as one error that lists every problem. */
export function invalidRequest(error: z.ZodError, part: string) {
  const problems = error.issues.map(({ path, message }) => `${[part, ...path].join('.')}: ${message}`);
  return serviceError('invalid_request', { reason: problems.join('; ') }, { cause: error });
}

function signalOfClosedConnection(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) controller.abort(serviceError('client_closed', {}));
  });
  return controller.signal;
}
