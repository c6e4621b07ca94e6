/** How many requests a client may send per minute: counted in Redis for all pods together, or in memory for this one. */
import rateLimit, { type FastifyRateLimitStoreCtor, normalizeIP } from '@fastify/rate-limit';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { isLimited, type RateLimits, type Scope } from '../../config/scopes.ts';
import type { RedisConnection } from '../../redis/connection.ts';
import { countInWindow } from '../../redis/window-counter.ts';
import type { Principal } from './principal.ts';

export interface RateLimiterOptions {
  /** For clients without limits of their own. */
  readonly limits: RateLimits;
  /** Undefined for counting in memory. */
  readonly redis: RedisConnection | undefined;
  /** Told of every request that was counted in memory because Redis could not be used. */
  readonly onFallback: () => void;
}

export interface Allowance {
  readonly limit: number;
  readonly remaining: number;
  /** Seconds until the client's minute is over. */
  readonly resetSeconds: number;
  readonly exceeded: boolean;
}

/** Says what is left after this request; undefined where no limit holds. */
export type RateLimiter = (
  request: FastifyRequest,
  principal: Principal,
  scope: Scope,
) => Promise<Allowance | undefined>;

interface Count {
  /** Whose requests are counted together. */
  readonly key: string;
  readonly limit: number;
}

const windowMs = 60_000;
/** Clients that are remembered in memory; the one that was silent longest is forgotten for a new one. */
const maxClients = 10_000;
const keyPrefix = 'deepfake-rate-limit:';

/** Windows of one minute that begin with a client's first request. */
export async function createRateLimiter(
  app: FastifyInstance,
  { limits, redis, onFallback }: RateLimiterOptions,
): Promise<RateLimiter> {
  const inMemory = await counterIn(app, undefined);
  const inRedis = redis === undefined ? undefined : await counterIn(app, storeIn(redis));
  return async (request, principal, scope) => {
    const limit = isLimited(scope) ? (principal.rateLimits[scope] ?? limits[scope]) : 0;
    if (limit === 0) return undefined;
    const count = { key: `${scope}:${clientKey(principal, request.ip)}`, limit };
    if (inRedis === undefined) return inMemory(request, count);
    try {
      return await inRedis(request, count);
    } catch {
      onFallback();
      return inMemory(request, count);
    }
  };
}

/** Whoever has a name is counted by it, wherever they send from; others by their address (IPv6: by its /64). */
export function clientKey({ method, subject }: Principal, address: string): string {
  return method === 'none' ? `address:${normalizeIP(address)}` : `${method}:${subject}`;
}

/** The plugin belongs to a context of its own: it knows one store per context. */
async function counterIn(
  app: FastifyInstance,
  store: FastifyRateLimitStoreCtor | undefined,
): Promise<(request: FastifyRequest, count: Count) => Promise<Allowance>> {
  const counts = new WeakMap<FastifyRequest, Count>();
  const created = Promise.withResolvers<ReturnType<FastifyInstance['createRateLimit']>>();
  await app.register(async (context) => {
    await context.register(rateLimit, {
      global: false,
      timeWindow: windowMs,
      cache: maxClients,
      ...(store === undefined ? {} : { store }),
      keyGenerator: (request) => counts.get(request)?.key ?? '',
      max: (request) => counts.get(request)?.limit ?? 0,
    });
    created.resolve(context.createRateLimit());
  });
  const take = await created.promise;
  return async (request, count) => {
    counts.set(request, count);
    const taken = await take(request);
    if (taken.isAllowed) throw new Error('no client is exempt from its limit');
    const { max: limit, remaining, ttlInSeconds: resetSeconds, isExceeded: exceeded } = taken;
    return { limit, remaining, resetSeconds, exceeded };
  };
}

function storeIn(redis: RedisConnection): FastifyRateLimitStoreCtor {
  return class RedisCounts {
    incr(
      key: string,
      done: (error: Error | null, count?: { readonly current: number; readonly ttl: number }) => void,
    ): void {
      countInWindow(redis, keyPrefix + key, windowMs).then((count) => done(null, count), done);
    }

    child(): RedisCounts {
      return this;
    }
  };
}
