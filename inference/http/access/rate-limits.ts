/** How many requests a client may send per minute: counted in Redis for all pods together, or in memory for this one. */
import rateLimit, { normalizeIP } from '@fastify/rate-limit';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Redis } from 'ioredis';
import { isLimited, type RateLimits, type Scope } from '../../config/scopes.ts';
import { messageOf } from '../../errors.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Principal } from './principal.ts';

export interface RateLimiterOptions {
  /** For clients without limits of their own. */
  readonly limits: RateLimits;
  /** May hold a password; undefined for counting in memory. */
  readonly redisUrl: string | undefined;
  readonly logger: Logger;
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
/** A Redis that is slower than this is of no help to a request that waits for it. */
const commandTimeoutMs = 250;
/** A connection that owes an answer for so long is closed and made again. */
const silenceMs = 1_000;

/** Windows of one minute that begin with a client's first request. */
export async function createRateLimiter(
  app: FastifyInstance,
  { limits, redisUrl, logger, onFallback }: RateLimiterOptions,
): Promise<RateLimiter> {
  const inMemory = await counterIn(app, undefined);
  const inRedis = redisUrl === undefined ? undefined : await counterIn(app, connect(app, redisUrl, logger));
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
  redis: Redis | undefined,
): Promise<(request: FastifyRequest, count: Count) => Promise<Allowance>> {
  const counts = new WeakMap<FastifyRequest, Count>();
  const created = Promise.withResolvers<ReturnType<FastifyInstance['createRateLimit']>>();
  await app.register(async (context) => {
    await context.register(rateLimit, {
      global: false,
      timeWindow: windowMs,
      cache: maxClients,
      redis,
      nameSpace: 'deepfake-rate-limit:',
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

/** Connects in the background and whenever the connection is lost; the server's end closes it. */
function connect(app: FastifyInstance, url: string, logger: Logger): Redis {
  const redis = new Redis(url, {
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    enableReadyCheck: false,
    commandTimeout: commandTimeoutMs,
    socketTimeout: silenceMs,
  });
  let troubled = false;
  const warnOnce = (reason: string) => {
    if (troubled) return;
    troubled = true;
    logger.warn({ reason }, 'Redis cannot be used: each pod counts requests alone until it is back');
  };
  redis.on('error', (error) => warnOnce(messageOf(error)));
  redis.on('close', () => warnOnce('the connection was closed'));
  redis.on('ready', () => {
    troubled = false;
    logger.info('requests are counted in Redis, for all pods together');
  });
  app.addHook('onClose', async () => {
    troubled = true;
    redis.disconnect();
  });
  return redis;
}
