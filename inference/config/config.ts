/** The process' configuration, read from the environment once. */
import { z } from 'zod';
import { StartupError } from '../errors.ts';

const count = (fallback: number, min: number, max: number) =>
  z.coerce.number().int().min(min).max(max).default(fallback);
const list = z.string().transform((text, context) => {
  const items = text.trim().startsWith('[') ? jsonList(text) : text.split(',').map((item) => item.trim());
  if (items !== undefined) return items.filter((item) => item !== '');
  context.addIssue({
    code: 'custom',
    message: 'is neither a comma-separated list nor a JSON array of strings',
  });
  return z.NEVER;
});
const digests = z.string().transform((text, context) => {
  const pairs = text
    .split(',')
    .map((pair) => pair.trim())
    .filter((pair) => pair !== '');
  const parsed = pairs.map((pair) => /^([^=]+)=(sha256:[0-9a-f]{64})$/.exec(pair));
  for (const [index, match] of parsed.entries()) {
    if (match === null)
      context.addIssue({ code: 'custom', message: `"${pairs[index]}" is not NAME=sha256:<64 hex>` });
  }
  return new Map(
    parsed.flatMap((match) => (match === null ? [] : [[match[1] ?? '', match[2] ?? ''] as const])),
  );
});
const redisUrl = z.string().refine(isRedisUrl, {
  // The value may hold a password and is not repeated.
  message:
    'is not redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE] or the same with rediss:// for TLS; special characters of a password are percent-encoded',
});

/** Room for nineteen of the largest uploads. */
const defaultSpoolBytes = 960 * 1024 ** 2;

const environment = z.object({
  PORT: count(8080, 0, 65535),
  HOST: z.string().min(1).default('127.0.0.1'),
  API_KEY: list.optional(),
  AUTH_MODE: z.enum(['required', 'off']).optional(),
  MODELS_DIR: z.string().min(1).default('./models'),
  ACTIVE_MODELS: list.optional(),
  DEFAULT_MODEL_NAME: z.string().optional(),
  MODEL_DIGESTS: digests.optional(),
  DEVICE: z.enum(['cpu', 'cuda', 'tensorrt']).default('cpu'),
  ENGINE_WORKERS: z.coerce.number().int().min(1).max(64).optional(),
  MAX_UPLOAD_BYTES: count(50 * 1024 * 1024, 1024, 8 * 1024 ** 3),
  MAX_SPOOL_BYTES: z.coerce.number().int().min(1024).optional(),
  MAX_IMAGE_PIXELS: count(52_000_000, 65_536, 1_000_000_000),
  MAX_QUEUE: count(32, 0, 10_000),
  UPLOAD_TIMEOUT_MS: count(300_000, 100, 3_600_000),
  REQUEST_TIMEOUT_MS: count(60_000, 100, 3_600_000),
  MAX_REQUESTS_PER_CONNECTION: count(0, 0, 1_000_000),
  SHUTDOWN_GRACE_MS: count(25_000, 0, 600_000),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
  REDIS_URL: redisUrl.optional(),
  MEDIA_PROGRESS_CHANNEL_NAME: z.string().default('media-progress-events'),
  MAX_PROGRESS_STREAMS: count(200, 0, 100_000),
  PROGRESS_STREAM_TIMEOUT_MS: count(600_000, 100, 86_400_000),
  CACHE_BACKEND: z.enum(['memory', 'redis', 'off']).default('memory'),
  CACHE_MAX_BYTES: count(32 * 1024 ** 2, 0, 8 * 1024 ** 3),
  CACHE_TTL_SECONDS: count(3600, 0, 30 * 24 * 3600),
  POD_NAME: z.string().optional(),
  POD_NAMESPACE: z.string().optional(),
  REVISION: z.string().optional(),
});

export interface Config {
  readonly port: number;
  readonly host: string;
  /** Accepted keys; undefined when requests need none. */
  readonly apiKeys: readonly string[] | undefined;
  readonly modelsDirectory: string;
  /** Serving names, in order; undefined for all that are there. */
  readonly activeModels: readonly string[] | undefined;
  readonly defaultModel: string | undefined;
  /** `sha256:<hex>` by serving name. */
  readonly modelDigests: ReadonlyMap<string, string>;
  readonly device: 'cpu' | 'cuda' | 'tensorrt';
  readonly workers: number | undefined;
  readonly maxUploadBytes: number;
  /** Of all uploads that are on disk at a time. */
  readonly maxSpoolBytes: number;
  readonly maxImagePixels: number;
  readonly maxQueue: number;
  /** From the first byte of a request to the last of its body. */
  readonly uploadTimeoutMs: number;
  /** From the end of the upload. */
  readonly requestTimeoutMs: number;
  /** After this many requests a connection is closed, so that load spreads over pods; 0 is no limit. */
  readonly maxRequestsPerConnection: number;
  readonly shutdownGraceMs: number;
  readonly logLevel: string;
  /** May hold a password; undefined when nobody listens for progress events. */
  readonly redisUrl: string | undefined;
  readonly progressChannel: string;
  /** Clients that follow a media at a time. */
  readonly maxProgressStreams: number;
  /** Of one of these. */
  readonly progressStreamTimeoutMs: number;
  readonly cache: CacheConfig;
  readonly servedBy: {
    readonly pod: string | null;
    readonly namespace: string | null;
    readonly revision: string | null;
  };
}

export interface CacheConfig {
  /** `redis`: in memory, and behind it in Redis. */
  readonly backend: 'memory' | 'redis' | 'off';
  /** Of the memory of this pod. */
  readonly maxBytes: number;
  readonly ttlMs: number;
}

/**
 * An empty variable counts as absent.
 * @throws StartupError with exit code 2 that lists every problem in one line
 */
export function readConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const present = Object.fromEntries(
    Object.entries(env).filter(([, value]) => value !== undefined && value !== ''),
  );
  const parsed = environment.safeParse(present);
  if (!parsed.success) {
    throw invalid(parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`));
  }
  const { data } = parsed;
  const problems = contradictions(data);
  if (problems.length > 0) throw invalid(problems);
  return {
    port: data.PORT,
    host: data.HOST,
    apiKeys: authMode(data) === 'required' ? (data.API_KEY ?? []) : undefined,
    modelsDirectory: data.MODELS_DIR,
    activeModels: data.ACTIVE_MODELS,
    defaultModel: data.DEFAULT_MODEL_NAME,
    modelDigests: data.MODEL_DIGESTS ?? new Map(),
    device: data.DEVICE,
    workers: data.ENGINE_WORKERS,
    maxUploadBytes: data.MAX_UPLOAD_BYTES,
    maxSpoolBytes: data.MAX_SPOOL_BYTES ?? Math.max(defaultSpoolBytes, data.MAX_UPLOAD_BYTES),
    maxImagePixels: data.MAX_IMAGE_PIXELS,
    maxQueue: data.MAX_QUEUE,
    uploadTimeoutMs: data.UPLOAD_TIMEOUT_MS,
    requestTimeoutMs: data.REQUEST_TIMEOUT_MS,
    maxRequestsPerConnection: data.MAX_REQUESTS_PER_CONNECTION,
    shutdownGraceMs: data.SHUTDOWN_GRACE_MS,
    logLevel: data.LOG_LEVEL,
    redisUrl: data.REDIS_URL,
    progressChannel: data.MEDIA_PROGRESS_CHANNEL_NAME,
    maxProgressStreams: data.MAX_PROGRESS_STREAMS,
    progressStreamTimeoutMs: data.PROGRESS_STREAM_TIMEOUT_MS,
    cache: cacheConfig(data),
    servedBy: {
      pod: data.POD_NAME ?? null,
      namespace: data.POD_NAMESPACE ?? null,
      revision: data.REVISION ?? null,
    },
  };
}

type Environment = z.infer<typeof environment>;

function authMode(data: Environment): 'required' | 'off' {
  return data.AUTH_MODE ?? (data.API_KEY !== undefined || !isLoopback(data.HOST) ? 'required' : 'off');
}

function cacheConfig({ CACHE_BACKEND, CACHE_MAX_BYTES, CACHE_TTL_SECONDS }: Environment): CacheConfig {
  const keepsNothing = CACHE_TTL_SECONDS === 0 || CACHE_MAX_BYTES === 0;
  return {
    backend: keepsNothing ? 'off' : CACHE_BACKEND,
    maxBytes: CACHE_MAX_BYTES,
    ttlMs: CACHE_TTL_SECONDS * 1000,
  };
}

function contradictions(data: Environment): string[] {
  const problems: string[] = [];
  const keys = data.API_KEY ?? [];
  if (authMode(data) === 'required' && keys.length === 0) {
    problems.push(
      `API_KEY: is missing, but requests need one (HOST is ${data.HOST}); set API_KEY, or AUTH_MODE=off where something else guards the port`,
    );
  }
  if (data.MAX_SPOOL_BYTES !== undefined && data.MAX_SPOOL_BYTES < data.MAX_UPLOAD_BYTES) {
    problems.push(
      `MAX_SPOOL_BYTES: is below MAX_UPLOAD_BYTES (${data.MAX_UPLOAD_BYTES}), so that the largest upload would never fit`,
    );
  }
  if (data.CACHE_BACKEND === 'redis' && data.REDIS_URL === undefined) {
    problems.push('CACHE_BACKEND: is redis, but there is no REDIS_URL; set it, or CACHE_BACKEND=memory');
  }
  const active = data.ACTIVE_MODELS;
  if (active !== undefined && active.length === 0) problems.push('ACTIVE_MODELS: names no model');
  if (
    active !== undefined &&
    data.DEFAULT_MODEL_NAME !== undefined &&
    !active.includes(data.DEFAULT_MODEL_NAME)
  ) {
    problems.push(
      `DEFAULT_MODEL_NAME: "${data.DEFAULT_MODEL_NAME}" is not in ACTIVE_MODELS (${active.join(', ')})`,
    );
  }
  return problems;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}

function isRedisUrl(text: string): boolean {
  if (!/^rediss?:\/\//.test(text) || !URL.canParse(text)) return false;
  const { hostname, pathname, search, hash, username, password } = new URL(text);
  try {
    decodeURIComponent(username + password);
  } catch {
    return false;
  }
  return hostname !== '' && /^\/?\d*$/.test(pathname) && search === '' && hash === '';
}

function invalid(problems: readonly string[]): StartupError {
  return new StartupError(`configuration: ${problems.join('; ')}`, 2);
}

function jsonList(text: string): string[] | undefined {
  try {
    return z.array(z.string()).parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
