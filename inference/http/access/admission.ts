/** The gate before every route: who asks, may they, and not too often. Nothing of a body is read before it has opened. */
import cors from '@fastify/cors';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Scope } from '../../config/scopes.ts';
import { ServiceError, serviceError } from '../../errors.ts';
import { answerHeaderNames } from '../answer-headers.ts';
import type { ServerDependencies } from '../dependencies.ts';
import type { Caller } from './audit.ts';
import type { Principal } from './principal.ts';
import { type Allowance, createRateLimiter } from './rate-limits.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a client needs for the route; a route without is public: probes, the scraper and the front page need no key. */
    readonly scope?: Scope;
  }
  interface FastifyRequest {
    /** Null on public routes, and before credentials are accepted. */
    principal: Principal | null;
  }
}

/** How long a browser may keep the answer to a preflight request. */
const preflightSeconds = 600;

/** Adds the gate to an instance that has no routes yet. */
export async function registerAdmission(
  app: FastifyInstance,
  { config: { access }, authenticator, audit, metrics, redis }: ServerDependencies,
): Promise<void> {
  app.decorateRequest('principal', null);
  if (access.corsOrigins !== undefined) {
    await app.register(cors, {
      origin: access.corsOrigins.includes('*') ? '*' : [...access.corsOrigins],
      methods: ['GET', 'HEAD', 'POST', 'DELETE'],
      exposedHeaders: [...answerHeaderNames],
      maxAge: preflightSeconds,
      strictPreflight: false,
    });
  }
  const allowanceOf = await createRateLimiter(app, {
    limits: access.rateLimits,
    redis,
    onFallback: () => metrics.rateLimitFallbacks.inc(),
  });

  app.addHook('onRequest', async (request, reply) => {
    const { scope } = request.routeOptions.config;
    // An unknown path is told only to those who may ask.
    if (scope === undefined && !request.is404) return;
    try {
      const principal = await identify(request, scope);
      if (scope !== undefined) await limit(request, reply, principal, scope);
    } catch (error) {
      if (error instanceof ServiceError) recordRefusal(request, reply, error);
      throw error;
    }
  });

  async function identify(request: FastifyRequest, scope: Scope | undefined): Promise<Principal> {
    const credential = authenticator.read(request.headers);
    const { method } = credential;
    try {
      const principal = await authenticator.authenticate(credential);
      request.principal = principal;
      if (scope !== undefined) requireScope(principal, scope);
      metrics.authentications.inc({ method, result: 'accepted' });
      return principal;
    } catch (error) {
      metrics.authentications.inc({ method, result: resultOf(error) });
      throw error;
    }
  }

  async function limit(
    request: FastifyRequest,
    reply: FastifyReply,
    principal: Principal,
    scope: Scope,
  ): Promise<void> {
    const allowance = await allowanceOf(request, principal, scope);
    if (allowance === undefined) return;
    reply.headers(headersOf(allowance));
    if (!allowance.exceeded) return;
    metrics.rateLimited.inc({ scope });
    const { limit, resetSeconds: retryAfterSeconds } = allowance;
    throw serviceError('rate_limited', { limit, scope, retryAfterSeconds });
  }

  function recordRefusal(request: FastifyRequest, reply: FastifyReply, { code, status }: ServiceError): void {
    const ms = Math.round(reply.elapsedTime);
    const { method } = authenticator.read(request.headers);
    const caller = { ...callerOf(request), method };
    audit.write({ event: 'refusal', ...caller, request_id: request.id, status, error: code, ms });
  }
}

/** What the audit trail says of who sends a request. */
export function callerOf(request: FastifyRequest): Caller {
  const { principal, ip: address, routeOptions } = request;
  return {
    method: principal?.method ?? 'none',
    subject: principal?.subject ?? null,
    address,
    route: routeOptions.url ?? 'unknown',
  };
}

function requireScope({ scopes }: Principal, scope: Scope): void {
  if (!scopes.has(scope))
    throw serviceError('insufficient_scope', { scope, granted: [...scopes].join(', ') || 'none' });
}

function resultOf(error: unknown): 'insufficient_scope' | 'unavailable' | 'refused' {
  const code = error instanceof ServiceError ? error.code : undefined;
  if (code === 'insufficient_scope') return code;
  return code === 'unauthorized' || code === 'invalid_token' ? 'refused' : 'unavailable';
}

function headersOf({ limit, remaining, resetSeconds }: Allowance): Readonly<Record<string, number>> {
  return { 'ratelimit-limit': limit, 'ratelimit-remaining': remaining, 'ratelimit-reset': resetSeconds };
}
