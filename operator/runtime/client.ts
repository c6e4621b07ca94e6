import { HttpMethod, RequestContext } from '@kubernetes/client-node';
import { type Dispatcher, type FormData, request } from 'undici';
import { Discovery, type ResourceList } from './discovery.ts';
import { ApiError, isNotFound } from './errors.ts';
import { PooledKubeConfig } from './kube-config.ts';
import type { Applied, Kind, KubeObject } from './object.ts';

export interface Reference {
  readonly name: string;
  readonly namespace?: string;
}

export interface ListOptions {
  /** Omitted: every namespace. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly limit?: number;
  readonly continue?: string;
}

export interface ObjectList<T> {
  readonly metadata: { readonly resourceVersion?: string; readonly continue?: string };
  readonly items: readonly T[];
}

export interface WatchOptions {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly resourceVersion: string;
  /** Ask the server to end the watch after this long, s. */
  readonly timeoutSeconds: number;
  /** Give up when nothing at all, bookmarks included, arrives for this long, ms. */
  readonly inactivityMs: number;
  readonly signal: AbortSignal;
}

export type WatchEvent<T> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T }
  | { readonly type: 'BOOKMARK'; readonly object: KubeObject };

export interface ApplyOptions {
  readonly fieldManager: string;
  /** Take over fields that others own. Default true: a controller's intent wins. */
  readonly force?: boolean;
  readonly signal?: AbortSignal;
}

export interface PatchOptions {
  readonly type?: 'merge' | 'json';
  readonly subresource?: string;
  readonly signal?: AbortSignal;
}

export interface DeleteOptions {
  readonly propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
  readonly uid?: string;
  readonly signal?: AbortSignal;
}

export interface SubresourceCall {
  readonly method?: 'GET' | 'POST';
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as multipart/form-data; a Blob of a file is streamed. */
  readonly form?: FormData;
  readonly signal: AbortSignal;
}

export interface ClientOptions {
  /** Deadline of every request but watches and streams of subresources, ms (default 30,000). */
  readonly timeoutMs?: number;
  /** Told the verb and status (0: no answer) of every request. */
  readonly onRequest?: (verb: string, status: number) => void;
}

interface Call {
  readonly method: HttpMethod;
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly form?: FormData;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The Kubernetes API as plain JSON: objects are passed on as they came, so fields that no type knows survive.
 * Every method rejects with ApiError for an answer other than 2xx and with undici's errors for none.
 */
export class KubeClient {
  readonly config: PooledKubeConfig;
  readonly #timeoutMs: number;
  readonly #onRequest: (verb: string, status: number) => void;
  readonly #discovery: Discovery;

  constructor(config: PooledKubeConfig, options: ClientOptions = {}) {
    this.config = config;
    this.#timeoutMs = options.timeoutMs ?? 30_000;
    this.#onRequest = options.onRequest ?? (() => undefined);
    this.#discovery = new Discovery({ read: (apiVersion) => this.#resources(apiVersion) });
  }

  /** KUBECONFIG, then ~/.kube/config, then the pod's service account. */
  static fromEnvironment(options?: ClientOptions): KubeClient {
    const config = new PooledKubeConfig();
    config.loadFromDefault();
    return new KubeClient(config, options);
  }

  static fromFile(path: string, options?: ClientOptions): KubeClient {
    const config = new PooledKubeConfig();
    config.loadFromFile(path);
    return new KubeClient(config, options);
  }

  get<T extends KubeObject>(kind: Kind<T>, ref: Reference, signal?: AbortSignal): Promise<T> {
    return this.#json({ method: HttpMethod.GET, path: objectPath(kind, ref), signal });
  }

  /** Like get, but undefined for what is not there. */
  async find<T extends KubeObject>(
    kind: Kind<T>,
    ref: Reference,
    signal?: AbortSignal,
  ): Promise<T | undefined> {
    try {
      return await this.get(kind, ref, signal);
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  /** Items of a list travel without apiVersion and kind; here they have them, as everywhere else. */
  async list<T extends KubeObject>(
    kind: Kind<T>,
    { namespace, ...query }: ListOptions = {},
    signal?: AbortSignal,
  ): Promise<ObjectList<T>> {
    const path = collectionPath(kind, namespace);
    const list = await this.#json<ObjectList<T>>({ method: HttpMethod.GET, path, query, signal });
    const { apiVersion, kind: name } = kind;
    return { ...list, items: list.items.map((item) => ({ apiVersion, kind: name, ...item })) };
  }

  /** Whether the API server has this kind in this version. An answer may be a minute old. */
  serves(kind: Kind): Promise<boolean> {
    return this.#discovery.serves(kind);
  }

  async #resources(apiVersion: string): Promise<ResourceList | undefined> {
    try {
      return await this.#json({ method: HttpMethod.GET, path: versionPath(apiVersion) });
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  create<T extends KubeObject>(kind: Kind<T>, object: T, signal?: AbortSignal): Promise<T> {
    const path = collectionPath(kind, object.metadata.namespace);
    return this.#json({ method: HttpMethod.POST, path, body: object, signal });
  }

  /** Server-side apply: creates or updates, and gives up fields that an earlier apply of this manager set. */
  apply<T extends KubeObject>(kind: Kind<T>, object: Applied, options: ApplyOptions): Promise<T> {
    return this.#apply(objectPath(kind, object.metadata), object, options);
  }

  /** Server-side apply of the status subresource. */
  applyStatus<T extends KubeObject>(kind: Kind<T>, object: Applied, options: ApplyOptions): Promise<T> {
    return this.#apply(`${objectPath(kind, object.metadata)}/status`, object, options);
  }

  #apply<T>(path: string, body: Applied, { fieldManager, force = true, signal }: ApplyOptions): Promise<T> {
    const contentType = 'application/apply-patch+yaml';
    return this.#json({
      method: HttpMethod.PATCH,
      path,
      query: { fieldManager, force },
      body,
      contentType,
      signal,
    });
  }

  /** A merge patch (default) or JSON patch. With metadata.resourceVersion inside it is an optimistic update. */
  patch<T extends KubeObject>(
    kind: Kind<T>,
    ref: Reference,
    body: unknown,
    options: PatchOptions = {},
  ): Promise<T> {
    const suffix = options.subresource === undefined ? '' : `/${options.subresource}`;
    const contentType = `application/${options.type === 'json' ? 'json-patch' : 'merge-patch'}+json`;
    const path = `${objectPath(kind, ref)}${suffix}`;
    return this.#json({ method: HttpMethod.PATCH, path, body, contentType, signal: options.signal });
  }

  /** Deletes; what is already gone is fine. With `uid`, only that very object. */
  async delete(
    kind: Kind,
    ref: Reference,
    { uid, propagationPolicy = 'Background', signal }: DeleteOptions = {},
  ): Promise<void> {
    const body = { propagationPolicy, ...(uid === undefined ? {} : { preconditions: { uid } }) };
    try {
      await this.#json({ method: HttpMethod.DELETE, path: objectPath(kind, ref), body, signal });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  /**
   * What is no object but a stream of bytes: the log of a pod, the answer of a proxied server. `path` follows the object's
   * own, such as `log` or `proxy/metrics`; `ref.name` may carry a scheme and a port, as proxies take it. The signal is the
   * only deadline, also of the body, which the caller reads or destroys.
   */
  subresource(
    kind: Kind,
    ref: Reference,
    path: string,
    { method = 'GET', headers, signal, ...call }: SubresourceCall,
  ): Promise<Dispatcher.ResponseData> {
    const whole: Call = {
      ...call,
      method: HttpMethod[method],
      path: `${objectPath(kind, ref)}/${path}`,
      headers: { accept: '*/*', ...headers },
      signal,
    };
    return this.#send(whole, method.toLowerCase());
  }

  /** One watch request. Ends when the server ends it; throws ApiError for an ERROR event (410: list again). */
  async *watch<T extends KubeObject>(kind: Kind<T>, options: WatchOptions): AsyncGenerator<WatchEvent<T>> {
    const { namespace, inactivityMs, signal, ...query } = options;
    const silence = new AbortController();
    const timer = setTimeout(() => {
      silence.abort(new Error(`watch of ${kind.plural}: nothing heard for ${inactivityMs} ms`));
    }, inactivityMs);
    try {
      const call: Call = {
        method: HttpMethod.GET,
        path: collectionPath(kind, namespace),
        query: { ...query, watch: true, allowWatchBookmarks: true },
        signal: AbortSignal.any([signal, silence.signal]),
      };
      const { body } = await this.#send(call, 'watch');
      for await (const line of lines(body)) {
        timer.refresh();
        const event = JSON.parse(line) as WatchEvent<T> | { type: 'ERROR'; object: ErrorStatus };
        if (event.type === 'ERROR') throw toApiError(`watch ${kind.plural}`, event.object.code ?? 500, line);
        yield event;
      }
    } finally {
      clearTimeout(timer);
      silence.abort();
    }
  }

  async #json<T>(call: Call): Promise<T> {
    const deadline = AbortSignal.timeout(this.#timeoutMs);
    const signal = call.signal ? AbortSignal.any([call.signal, deadline]) : deadline;
    const { body } = await this.#send({ ...call, signal }, call.method.toLowerCase());
    return (await body.json()) as T;
  }

  async #send(call: Call, verb: string): Promise<Dispatcher.ResponseData> {
    const cluster = this.config.getCurrentCluster();
    if (!cluster) throw new Error('no cluster: set KUBECONFIG or run in a pod with a service account');
    const url = new URL(cluster.server.replace(/\/$/, '') + call.path);
    for (const [name, value] of Object.entries(call.query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    const context = new RequestContext(url.href, call.method);
    await this.config.applySecurityAuthentication(context);
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
        // The signal is the only clock: undici's own would cut quiet watches.
        bodyTimeout: 0,
        headersTimeout: 0,
      });
      const response = await unlessAborted(answer, call.signal);
      status = response.statusCode;
      if (status < 200 || status > 299) {
        throw toApiError(`${call.method} ${url.pathname}`, status, await response.body.text());
      }
      return response;
    } finally {
      this.#onRequest(verb, status);
    }
  }
}

const contentType = ({ body, contentType = 'application/json' }: Call) =>
  body === undefined ? {} : { 'content-type': contentType };

function payload({ body, form }: Call): { body?: string | FormData } {
  if (form) return { body: form };
  return body === undefined ? {} : { body: JSON.stringify(body) };
}

/** undici heeds a signal only once it is connected; a caller must not wait for that. */
async function unlessAborted(
  answer: Promise<Dispatcher.ResponseData>,
  signal: AbortSignal | undefined,
): Promise<Dispatcher.ResponseData> {
  if (!signal) return answer;
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([answer, aborted.promise]);
  } catch (error) {
    answer.then(({ body }) => body.destroy()).catch(() => undefined);
    throw error;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

interface ErrorStatus {
  readonly code?: number;
  readonly reason?: string;
  readonly message?: string;
  readonly details?: { readonly causes?: readonly { readonly reason?: string }[] };
}

function toApiError(action: string, status: number, text: string): ApiError {
  let parsed: ErrorStatus & { object?: ErrorStatus } = {};
  try {
    parsed = JSON.parse(text);
  } catch {
    // Not from the API server but from something before it: the text is all there is.
  }
  const { reason, message, details } = parsed.object ?? parsed;
  const causes = details?.causes?.flatMap((cause) => cause.reason ?? []) ?? [];
  return new ApiError(action, status, reason ?? 'Unknown', message ?? text.slice(0, 500), causes);
}

const versionPath = (apiVersion: string) =>
  apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;

function collectionPath({ apiVersion, plural, namespaced }: Kind, namespace?: string): string {
  const root = versionPath(apiVersion);
  return namespaced && namespace
    ? `${root}/namespaces/${encodeURIComponent(namespace)}/${plural}`
    : `${root}/${plural}`;
}

const objectPath = (kind: Kind, { namespace, name }: Reference) =>
  `${collectionPath(kind, namespace)}/${encodeURIComponent(name)}`;

/** Splits a stream of bytes at newlines; an event never spans two lines. */
export async function* lines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of chunks) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = parts.pop() ?? '';
    yield* parts.filter((part) => part !== '');
  }
  if (rest !== '') yield rest;
}
