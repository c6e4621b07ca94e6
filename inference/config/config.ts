/** The process' configuration: every variable, and what the program makes of them. Where their values come from is in settings.ts. */
import { z } from 'zod';
import { StartupError } from '../errors.ts';
import { canonicalName } from '../models/names.ts';
import type { Ensemble } from '../pipelines/fusion/ensemble.ts';
import { type AccessConfig, accessConfig, accessContradictions, accessVariables } from './access.ts';
import { count, list, type Problem } from './fields.ts';
import { fusion, fusionContradictions } from './fusion.ts';
import { environmentLayer, placeOf, type Settings } from './settings.ts';

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
const httpUrl = z.url({ protocol: /^https?$/, error: 'is not http://HOST or https://HOST' });
const attributes = z.string().transform((text, context) => {
  const parsed = text.split(',').map((pair) => decodedPair(pair.trim()));
  if (parsed.every((pair) => pair !== undefined)) return Object.fromEntries(parsed);
  context.addIssue({ code: 'custom', message: 'is not KEY=VALUE,... with percent-encoded values' });
  return z.NEVER;
});

/** Room for nineteen of the largest uploads. */
const defaultSpoolBytes = 960 * 1024 ** 2;

/** Kept out of everything that is printed or logged. */
const secret = { secret: true };

/**
 * Every variable, under the name that it has in the environment. The description is the last call, on the outermost type: the reference
 * and the YAML keys of docs/configuration.md come from here.
 */
export const environment = z.object({
  PORT: count(8080, 0, 65535).describe('Port to listen on; 0 takes a free one.'),
  HOST: z
    .string()
    .min(1)
    .default('127.0.0.1')
    .describe('Address to listen on; `::` is every address, of IPv6 and IPv4.'),
  ...accessVariables,
  MODELS_DIR: z
    .string()
    .min(1)
    .default('./models')
    .meta({ path: true })
    .describe(
      'Every folder in it with a `model.yaml` is a package; the name of the folder is the serving name.',
    ),
  ACTIVE_MODELS: list.optional().describe('Serving names, in order; a list. By default all that are there.'),
  DEFAULT_MODEL_NAME: z.string().optional().describe('One of the active models; by default the first.'),
  MODEL_DIGESTS: digests
    .optional()
    .describe('`name=sha256:HEX,...` or a mapping: any other package is refused.'),
  FUSION: fusion
    .optional()
    .meta({ structured: true })
    .describe(
      'Ensembles `{name, models, method, weights, intercept, missing, thresholds, minModels, onDisagreement}`; a list, in the environment as JSON. See design/fusion.md.',
    ),
  ON_LOAD_FAILURE: z
    .enum(['exit', 'degraded'])
    .default('exit')
    .describe(
      'What a model that cannot be served does: end the process, or leave it alive and not ready, with the reason.',
    ),
  DEVICE: z
    .enum(['cpu', 'cuda', 'tensorrt'])
    .default('cpu')
    .describe('Refused at start where the libraries are missing.'),
  PRECISION: z
    .enum(['auto', 'fp32', 'fp16', 'int8'])
    .default('auto')
    .describe(
      'Which graph of a package is served; `auto` takes INT8 on processors and FP16 on GPUs where there is one.',
    ),
  ENGINE_WORKERS: z.coerce
    .number()
    .int()
    .min(1)
    .max(64)
    .optional()
    .describe(
      'Inference threads; by default one per processor, eight at most, or one per two where graphs are larger than 64 MiB or run on a GPU.',
    ),
  ENGINE_MAX_BATCH: z.coerce
    .number()
    .int()
    .min(1)
    .max(64)
    .optional()
    .describe(
      'Tiles, windows or frames that one run of a graph computes; by default 1 on processors, 8 on GPUs.',
    ),
  ENGINE_MAX_DELAY_MS: count(0, 0, 1000).describe(
    'How long a run that is not full waits for other requests.',
  ),
  MAX_UPLOAD_BYTES: count(50 * 1024 * 1024, 1024, 8 * 1024 ** 3).describe('Of one file.'),
  MAX_SPOOL_BYTES: z.coerce
    .number()
    .int()
    .min(1024)
    .optional()
    .describe(
      'Of all uploads at a time, in memory and on disk; by default 960 MiB, or MAX_UPLOAD_BYTES where that is more.',
    ),
  MAX_MEMORY_UPLOAD_BYTES: count(4 * 1024 ** 2, 0, 1024 ** 3).describe(
    'Of one upload that stays in memory instead of on disk; all together have eight times that. 0: all go to disk.',
  ),
  MAX_TENSOR_BYTES: count(16 * 1024 ** 2, 1024, 1024 ** 3).describe(
    'Of the body of one request of the inference protocol, which is in memory as a whole; all together have four times that.',
  ),
  MAX_IMAGE_PIXELS: count(52_000_000, 65_536, 1_000_000_000).describe('Width times height.'),
  MAX_VIDEO_SECONDS: count(600, 1, 86_400).describe('Of one video, declared and decoded.'),
  MAX_VIDEO_PIXELS: count(4096 * 2304, 4096, 100_000_000).describe(
    'Width times height of one frame, declared and decoded.',
  ),
  FFMPEG_THREADS: z.coerce
    .number()
    .int()
    .min(1)
    .max(64)
    .optional()
    .describe("Of each decoder of pictures; by default a worker's share of the processors, 4 at most."),
  MAX_QUEUE: count(32, 0, 10_000).describe('Analyses that may wait; one more is refused.'),
  UPLOAD_TIMEOUT_MS: count(300_000, 100, 3_600_000).describe(
    'From the first byte of a request to the last of its body.',
  ),
  FORENSICS: z
    .enum(['on', 'off'])
    .default('off')
    .describe(
      'Whether `/v1/detections` and `/analyze` report provenance and traces of the file beside the score; they take longer then.',
    ),
  PERTURBATION_RUNS: count(4, 0, 4).describe(
    'Changed copies of an image that are judged beside it where a request or a package asks for that; 0: none.',
  ),
  REQUEST_TIMEOUT_MS: count(60_000, 100, 3_600_000).describe('From the end of the upload to the verdict.'),
  FETCH_ALLOW_HOSTS: list
    .optional()
    .describe('Hosts of media that are trusted wherever they lead, with any port and without TLS; a list.'),
  FETCH_ALLOW_PRIVATE: z
    .stringbool()
    .default(false)
    .describe('Whether media may be fetched from addresses that are not public.'),
  FETCH_TIMEOUT_MS: count(30_000, 100, 3_600_000).describe('For fetching media by URL.'),
  MAX_REQUESTS_PER_CONNECTION: count(0, 0, 1_000_000).describe(
    'Then the connection is closed, so that load spreads over pods; 0 is no limit.',
  ),
  SHUTDOWN_GRACE_MS: count(25_000, 0, 600_000).describe('For running requests after SIGTERM.'),
  LOG_LEVEL: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])
    .default('info')
    .describe('Least severe level that is logged.'),
  METRICS_COMPAT: z
    .enum(['aidetect'])
    .optional()
    .describe('Also counts under the `aidetect_*` names of an older detector.'),
  OTEL_EXPORTER_OTLP_ENDPOINT: httpUrl
    .optional()
    .describe('OTLP/HTTP collector that gets the traces, at `/v1/traces` below it; none, no traces.'),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: httpUrl
    .optional()
    .describe('The same, as the whole URL; goes before the one above.'),
  OTEL_SDK_DISABLED: z
    .stringbool({ truthy: ['true'], falsy: ['false'] })
    .default(false)
    .describe('`true`: no traces, whatever else is set.'),
  OTEL_SERVICE_NAME: z.string().default('deepfake-inference').describe('Service that the traces name.'),
  OTEL_RESOURCE_ATTRIBUTES: attributes
    .optional()
    .describe('`key=value,...`, percent-encoded: what else the traces say of the process.'),
  OTEL_TRACES_SAMPLER: z
    .enum([
      'always_on',
      'always_off',
      'traceidratio',
      'parentbased_always_on',
      'parentbased_always_off',
      'parentbased_traceidratio',
    ])
    .default('parentbased_always_on')
    .describe('Which requests are traced.'),
  OTEL_TRACES_SAMPLER_ARG: z.coerce
    .number()
    .min(0)
    .max(1)
    .default(1)
    .describe('Share of the requests that the `traceidratio` samplers take.'),
  REDIS_URL: redisUrl
    .optional()
    .meta(secret)
    .describe(
      'Where progress events go, requests are counted for all pods together, and results are kept where CACHE_BACKEND says so; `redis://` or `rediss://`, no query.',
    ),
  MEDIA_PROGRESS_CHANNEL_NAME: z
    .string()
    .default('media-progress-events')
    .describe('Channel of the progress events.'),
  MAX_PROGRESS_STREAMS: count(200, 0, 100_000).describe(
    'Clients that follow a media by server-sent events at a time; one more is refused.',
  ),
  PROGRESS_STREAM_TIMEOUT_MS: count(600_000, 100, 86_400_000).describe('How long one of them stays.'),
  CACHE_BACKEND: z
    .enum(['memory', 'redis', 'off'])
    .default('memory')
    .describe('Where results are kept; `redis`: in memory, and behind it in the Redis of REDIS_URL.'),
  CACHE_MAX_BYTES: count(32 * 1024 ** 2, 0, 8 * 1024 ** 3).describe('Of results in memory; 0 is off.'),
  CACHE_TTL_SECONDS: count(3600, 0, 30 * 24 * 3600).describe('How long a result is kept; 0 is off.'),
  MAX_LOGGED_DECISIONS: count(2000, 0, 20_000).describe(
    'Decisions that `/decisions` tells, so that an operator can compare revisions by mirrored requests; 0 is off. See design/analysis.md.',
  ),
  POD_NAME: z.string().optional().describe('Reported in `served_by`.'),
  POD_NAMESPACE: z.string().optional().describe('Reported in `served_by`.'),
  REVISION: z.string().optional().describe('Reported in `served_by`.'),
});

export interface TracingConfig {
  /** Takes `POST` with OTLP as JSON. */
  readonly url: string;
  readonly serviceName: string;
  readonly resourceAttributes: Readonly<Record<string, string>>;
  readonly sampler: z.infer<typeof environment>['OTEL_TRACES_SAMPLER'];
  /** Share of the requests that the samplers by ratio take, 0..1. */
  readonly samplerRatio: number;
}

export interface CacheConfig {
  /** `redis`: in memory, and behind it in Redis. */
  readonly backend: 'memory' | 'redis' | 'off';
  /** Of the memory of this pod. */
  readonly maxBytes: number;
  readonly ttlMs: number;
}

export interface Config {
  readonly port: number;
  readonly host: string;
  readonly access: AccessConfig;
  readonly modelsDirectory: string;
  /** Serving names, in order; undefined for all that are there. */
  readonly activeModels: readonly string[] | undefined;
  readonly defaultModel: string | undefined;
  /** `sha256:<hex>` by serving name. */
  readonly modelDigests: ReadonlyMap<string, string>;
  readonly ensembles: readonly Ensemble[];
  readonly onLoadFailure: 'exit' | 'degraded';
  readonly device: 'cpu' | 'cuda' | 'tensorrt';
  /** Which of a package's graphs is served; `auto` is the one that suits the device. */
  readonly precision: 'auto' | 'fp32' | 'fp16' | 'int8';
  readonly workers: number | undefined;
  /** Items that one run of a graph takes (undefined: what suits the device), and how long it waits for more. */
  readonly batch: { readonly maxItems: number | undefined; readonly maxDelayMs: number };
  readonly maxUploadBytes: number;
  /** Of all uploads that are on disk at a time. */
  readonly maxSpoolBytes: number;
  /** Of one upload. */
  readonly maxMemoryUploadBytes: number;
  /** Of the body of one request of the inference protocol. */
  readonly maxTensorBytes: number;
  readonly maxImagePixels: number;
  readonly maxVideoSeconds: number;
  /** Of one frame. */
  readonly maxVideoPixels: number;
  /** Threads of each decoder of pictures; undefined for a worker's share. */
  readonly ffmpegThreads: number | undefined;
  readonly maxQueue: number;
  /** From the first byte of a request to the last of its body. */
  readonly uploadTimeoutMs: number;
  /** Whether the answers that show everything show provenance and traces, too. */
  readonly forensics: boolean;
  /** Changed copies of an image that are judged beside it where that is asked for; 0: none. */
  readonly perturbationRuns: number;
  /** From the end of the upload. */
  readonly requestTimeoutMs: number;
  /** Media by URL. */
  readonly fetch: {
    /** Host names that are trusted wherever they lead, with any port and without TLS. */
    readonly allowHosts: readonly string[];
    /** Trusts every host. */
    readonly allowPrivate: boolean;
    /** From the request to the last byte. */
    readonly timeoutMs: number;
  };
  /** After this many requests a connection is closed, so that load spreads over pods; 0 is no limit. */
  readonly maxRequestsPerConnection: number;
  readonly shutdownGraceMs: number;
  readonly logLevel: string;
  readonly metricsCompat: 'aidetect' | undefined;
  /** Undefined where nobody takes traces. */
  readonly tracing: TracingConfig | undefined;
  /** May hold a password; undefined when nobody listens for progress events. */
  readonly redisUrl: string | undefined;
  readonly progressChannel: string;
  /** Clients that follow a media at a time. */
  readonly maxProgressStreams: number;
  /** Of one of these. */
  readonly progressStreamTimeoutMs: number;
  readonly cache: CacheConfig;
  /** Decisions that the pod remembers and tells; 0 is off. */
  readonly maxLoggedDecisions: number;
  readonly servedBy: {
    readonly pod: string | null;
    readonly namespace: string | null;
    readonly revision: string | null;
  };
}

/**
 * The configuration of an environment alone. An empty variable counts as absent.
 * @throws StartupError with exit code 2 that lists every problem in one line
 */
export function readConfig(env: Readonly<Record<string, string | undefined>>): Config {
  return configOf(environmentLayer(env));
}

/**
 * @param found problems of the layers that the settings come from
 * @throws StartupError with exit code 2 that lists them and every other problem in one line, with the place of each value that is not in
 * the environment
 */
export function configOf(settings: Settings, found: readonly string[] = []): Config {
  const parsed = environment.safeParse(
    Object.fromEntries([...settings].map(([name, { value }]) => [name, value])),
  );
  const problems = [
    ...found,
    ...problemsOf(parsed).map(
      ({ variable, message }) => `${variable}${placeOf(settings, variable)}: ${message}`,
    ),
  ];
  if (!parsed.success || problems.length > 0)
    throw new StartupError(`configuration: ${problems.join('; ')}`, 2);
  const { data } = parsed;
  return {
    port: data.PORT,
    host: data.HOST,
    access: accessConfig(data),
    modelsDirectory: data.MODELS_DIR,
    activeModels: data.ACTIVE_MODELS,
    defaultModel: data.DEFAULT_MODEL_NAME,
    modelDigests: data.MODEL_DIGESTS ?? new Map(),
    ensembles: data.FUSION ?? [],
    onLoadFailure: data.ON_LOAD_FAILURE,
    device: data.DEVICE,
    precision: data.PRECISION,
    workers: data.ENGINE_WORKERS,
    batch: { maxItems: data.ENGINE_MAX_BATCH, maxDelayMs: data.ENGINE_MAX_DELAY_MS },
    maxUploadBytes: data.MAX_UPLOAD_BYTES,
    maxMemoryUploadBytes: data.MAX_MEMORY_UPLOAD_BYTES,
    maxSpoolBytes: data.MAX_SPOOL_BYTES ?? Math.max(defaultSpoolBytes, data.MAX_UPLOAD_BYTES),
    maxTensorBytes: data.MAX_TENSOR_BYTES,
    maxImagePixels: data.MAX_IMAGE_PIXELS,
    maxVideoSeconds: data.MAX_VIDEO_SECONDS,
    maxVideoPixels: data.MAX_VIDEO_PIXELS,
    ffmpegThreads: data.FFMPEG_THREADS,
    maxQueue: data.MAX_QUEUE,
    uploadTimeoutMs: data.UPLOAD_TIMEOUT_MS,
    forensics: data.FORENSICS === 'on',
    perturbationRuns: data.PERTURBATION_RUNS,
    requestTimeoutMs: data.REQUEST_TIMEOUT_MS,
    fetch: {
      allowHosts: (data.FETCH_ALLOW_HOSTS ?? []).map((host) => host.toLowerCase()),
      allowPrivate: data.FETCH_ALLOW_PRIVATE,
      timeoutMs: data.FETCH_TIMEOUT_MS,
    },
    maxRequestsPerConnection: data.MAX_REQUESTS_PER_CONNECTION,
    shutdownGraceMs: data.SHUTDOWN_GRACE_MS,
    logLevel: data.LOG_LEVEL,
    metricsCompat: data.METRICS_COMPAT,
    tracing: tracingOf(data),
    redisUrl: data.REDIS_URL,
    progressChannel: data.MEDIA_PROGRESS_CHANNEL_NAME,
    maxProgressStreams: data.MAX_PROGRESS_STREAMS,
    progressStreamTimeoutMs: data.PROGRESS_STREAM_TIMEOUT_MS,
    cache: cacheConfig(data),
    maxLoggedDecisions: data.MAX_LOGGED_DECISIONS,
    servedBy: {
      pod: data.POD_NAME ?? null,
      namespace: data.POD_NAMESPACE ?? null,
      revision: data.REVISION ?? null,
    },
  };
}

type Environment = z.infer<typeof environment>;

function tracingOf(data: Environment): TracingConfig | undefined {
  const base = data.OTEL_EXPORTER_OTLP_ENDPOINT?.replace(/\/$/, '');
  const url =
    data.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? (base === undefined ? undefined : `${base}/v1/traces`);
  if (url === undefined || data.OTEL_SDK_DISABLED) return undefined;
  return {
    url,
    serviceName: data.OTEL_SERVICE_NAME,
    resourceAttributes: data.OTEL_RESOURCE_ATTRIBUTES ?? {},
    sampler: data.OTEL_TRACES_SAMPLER,
    samplerRatio: data.OTEL_TRACES_SAMPLER_ARG,
  };
}

function cacheConfig({ CACHE_BACKEND, CACHE_MAX_BYTES, CACHE_TTL_SECONDS }: Environment): CacheConfig {
  const keepsNothing = CACHE_TTL_SECONDS === 0 || CACHE_MAX_BYTES === 0;
  return {
    backend: keepsNothing ? 'off' : CACHE_BACKEND,
    maxBytes: CACHE_MAX_BYTES,
    ttlMs: CACHE_TTL_SECONDS * 1000,
  };
}

function problemsOf(parsed: z.ZodSafeParseResult<Environment>): Problem[] {
  if (parsed.success) return contradictions(parsed.data);
  return parsed.error.issues.map(({ path, message }) => ({ variable: path.join('.'), message }));
}

function contradictions(data: Environment): Problem[] {
  const problems = accessContradictions(data);
  if (data.MAX_SPOOL_BYTES !== undefined && data.MAX_SPOOL_BYTES < data.MAX_UPLOAD_BYTES) {
    problems.push({
      variable: 'MAX_SPOOL_BYTES',
      message: `is below MAX_UPLOAD_BYTES (${data.MAX_UPLOAD_BYTES}), so that the largest upload would never fit`,
    });
  }
  if (data.CACHE_BACKEND === 'redis' && data.REDIS_URL === undefined) {
    problems.push({
      variable: 'CACHE_BACKEND',
      message: 'is redis, but there is no REDIS_URL; set it, or CACHE_BACKEND=memory',
    });
  }
  problems.push(...fusionContradictions(data.FUSION ?? [], data.ACTIVE_MODELS));
  const { ACTIVE_MODELS: active, DEFAULT_MODEL_NAME: preferred } = data;
  if (active?.length === 0) problems.push({ variable: 'ACTIVE_MODELS', message: 'names no model' });
  if (active !== undefined && preferred !== undefined && !active.includes(canonicalName(preferred, active))) {
    problems.push({
      variable: 'DEFAULT_MODEL_NAME',
      message: `"${preferred}" is not in ACTIVE_MODELS (${active.join(', ')})`,
    });
  }
  return problems;
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

/** One pair of the form that W3C Baggage has, which OpenTelemetry uses for attributes. */
function decodedPair(pair: string): [string, string] | undefined {
  const split = pair.indexOf('=');
  try {
    return split < 1 ? undefined : [pair.slice(0, split), decodeURIComponent(pair.slice(split + 1))];
  } catch {
    return undefined;
  }
}
