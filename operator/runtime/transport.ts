import { HttpMethod, RequestContext } from '@kubernetes/client-node';
import { type Dispatcher, type FormData, request } from 'undici';
import { ApiError } from './errors.ts';
import type { PooledKubeConfig } from './kube-config.ts';
import { unlessAborted } from './link.ts';

export interface Call {
  readonly method: HttpMethod;
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly form?: FormData;
  readonly signal?: AbortSignal | undefined;
  /** Called right before the request leaves; what it throws keeps it from leaving. */
  readonly permit?: (() => void) | undefined;
}

/** One request that was answered, or not. */
export interface RequestOutcome {
  readonly method: string;
  readonly host: string;
  /** 0: no answer. */
  readonly status: number;
  /** Until the head of the answer. */
  readonly seconds: number;
  readonly watch: boolean;
}

/**
 * Sends one request on the pool of `config`, and resolves with an answer 2xx whose body is still to be read. The call's
 * signal is the only clock.
 * @throws ApiError for any other answer, undici's errors for none
 */
export async function send(
  config: PooledKubeConfig,
  call: Call,
  onRequest?: (outcome: RequestOutcome) => void,
): Promise<Dispatcher.ResponseData> {
  const url = urlOf(config, call);
  const context = new RequestContext(url.href, call.method);
  await config.applySecurityAuthentication(context);
  call.signal?.throwIfAborted();
  call.permit?.();
  const startedAt = performance.now();
  let status = 0;
  try {
    const dispatcher = context.getDispatcher();
    const answer = request(url, {
      method: call.method as Dispatcher.HttpMethod,
      headers: {
        ...context.getHeaders(),
        accept: 'application/json',
        ...call.headers,
        ...contentType(call),
      },
      ...payload(call),
      ...(dispatcher ? { dispatcher: dispatcher as Dispatcher } : {}),
      ...(call.signal ? { signal: call.signal } : {}),
      // undici's own would cut quiet watches.
      bodyTimeout: 0,
      headersTimeout: 0,
    });
    const response = await heard(answer, call.signal);
    status = response.statusCode;
    if (status >= 200 && status <= 299) return response;
    const action = `${call.method} ${url.pathname}`;
    const asked = retryAfterMs(response.headers['retry-after'], Date.now());
    throw apiErrorFrom(action, status, await response.body.text(), asked);
  } finally {
    const seconds = (performance.now() - startedAt) / 1000;
    const watch = call.query?.['watch'] === true;
    onRequest?.({ method: call.method, host: url.host, status, seconds, watch });
  }
}

function urlOf(config: PooledKubeConfig, { path, query = {} }: Call): URL {
  const cluster = config.getCurrentCluster();
  if (!cluster) throw new Error('no cluster: set KUBECONFIG or run in a pod with a service account');
  const url = new URL(cluster.server.replace(/\/$/, '') + path);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) url.searchParams.set(name, String(value));
  }
  return url;
}

const contentType = ({ body, contentType = 'application/json' }: Call) =>
  body === undefined ? {} : { 'content-type': contentType };

function payload({ body, form }: Call): { body?: string | FormData } {
  if (form) return { body: form };
  return body === undefined ? {} : { body: JSON.stringify(body) };
}

/** undici heeds a signal only once it is connected; a caller must not wait for that. */
async function heard(
  answer: Promise<Dispatcher.ResponseData>,
  signal: AbortSignal | undefined,
): Promise<Dispatcher.ResponseData> {
  if (!signal) return answer;
  try {
    return await unlessAborted(answer, signal);
  } catch (error) {
    answer.then(({ body }) => body.destroy()).catch(() => undefined);
    throw error;
  }
}

/** A header Retry-After, seconds or a date, as ms from `nowMs`; undefined for none or nonsense. */
export function retryAfterMs(header: string | string[] | undefined, nowMs: number): number | undefined {
  const text = Array.isArray(header) ? header[0] : header;
  if (text === undefined) return undefined;
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  const until = Date.parse(text) - nowMs;
  return Number.isNaN(until) ? undefined : Math.max(0, until);
}

/** metav1.Status, as far as errors need it. */
export interface ErrorStatus {
  readonly code?: number;
  readonly reason?: string;
  readonly message?: string;
  readonly details?: {
    readonly causes?: readonly { readonly reason?: string }[];
    readonly retryAfterSeconds?: number;
  };
}

/** @param text a metav1.Status as JSON, or the words of whatever stood in between */
function apiErrorFrom(action: string, status: number, text: string, askedMs?: number): ApiError {
  let parsed: ErrorStatus = {};
  try {
    parsed = JSON.parse(text) ?? {};
  } catch {
    // Not from the API server but from something before it: the text is all there is.
  }
  return apiErrorOf(action, { code: status, ...parsed }, text, askedMs);
}

export function apiErrorOf(
  action: string,
  { code = 500, reason, message, details }: ErrorStatus,
  text: string,
  askedMs?: number,
): ApiError {
  const causes = details?.causes?.flatMap((cause) => cause.reason ?? []) ?? [];
  const seconds = details?.retryAfterSeconds;
  const wait = askedMs ?? (seconds === undefined ? undefined : seconds * 1000);
  return new ApiError(action, code, reason ?? 'Unknown', message ?? text.slice(0, 500), causes, wait);
}

const RESETS = new Set(['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET']);
/** Resets of a connection that a read outlives. */
const READ_ATTEMPTS = 4;

/**
 * How long to wait before the same request is sent again, ms; undefined where that would be wrong or has been done enough.
 * A request that the server refused to begin (429) may always be sent again; one that it gave up (5xx) only where it says
 * when and doing it twice does no harm; one that was cut off only if it reads.
 * @param attempt of which `error` came, from 1
 */
export function retryDelayMs(method: HttpMethod, error: unknown, attempt: number): number | undefined {
  if (error instanceof ApiError) {
    const repeatable = error.status === 429 || (error.status >= 500 && method !== HttpMethod.POST);
    return repeatable && attempt < 10 ? error.retryAfterMs : undefined;
  }
  const code = (error as { code?: unknown } | null)?.code;
  const cut = method === HttpMethod.GET && RESETS.has(String(code));
  return cut && attempt < READ_ATTEMPTS ? 50 * 2 ** attempt : undefined;
}
