import { HttpMethod } from '@kubernetes/client-node';
import type { Dispatcher, FormData } from 'undici';
import { sleep, systemClock } from './clock.ts';
import { Discovery, type ResourceList } from './discovery.ts';
import { isNotFound, MalformedEventError } from './errors.ts';
import { PooledKubeConfig } from './kube-config.ts';
import { link } from './link.ts';
import type { Applied, Kind, KubeObject } from './object.ts';
import { type Rate, TokenBucket } from './token-bucket.ts';
import {
  apiErrorOf,
  type Call,
  type ErrorStatus,
  type RequestOutcome,
  retryDelayMs,
  send,
} from './transport.ts';

export type { RequestOutcome } from './transport.ts';

export interface Reference {
  readonly name: string;
  readonly namespace?: string;
}

export interface ListOptions {
  /** Omitted: every namespace. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
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
  /** In metadata.managedFields. Default: the server makes one of the user agent. */
  readonly fieldManager?: string;
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
  /** Deadline of every request but watches and streams of subresources, retries included, ms (default 30,000). */
  readonly timeoutMs?: number;
  /** Of all requests but watches and streams (default: none). A guard against loops, not the server's only defence. */
  readonly rate?: Rate;
  /** How old an answer of `serves` may be, ms (default 20,000). */
  readonly discoveryExpiryMs?: number;
  readonly onRequest?: (outcome: RequestOutcome) => void;
}

/** Leave to write, as a leader has it. */
export interface WriteGuard {
  /** Aborts when the leave ends, and with it every request in flight but streams of subresources. */
  readonly signal: AbortSignal;
  /** Throws where there is no leave at this moment, even if nobody has noticed yet. */
  check(): void;
}

/**
 * The Kubernetes API as plain JSON: objects are passed on as they came, so fields that no type knows survive.
 * Every method rejects with ApiError for an answer other than 2xx and with undici's errors for none.
 */
export class KubeClient {
  readonly config: PooledKubeConfig;
  readonly #options: ClientOptions;
  readonly #discovery: Discovery;
  #bucket: TokenBucket | undefined;
  #guard: WriteGuard | undefined;

  constructor(config: PooledKubeConfig, options: ClientOptions = {}) {
    this.config = config;
    this.#options = options;
    this.#bucket = options.rate && new TokenBucket(options.rate);
    const { discoveryExpiryMs: expiryMs } = options;
    const read = (apiVersion: string) => this.#resources(apiVersion);
    this.#discovery = new Discovery({ read, ...(expiryMs === undefined ? {} : { expiryMs }) });
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

  /** The same client for one who writes only while the guard gives leave. */
  guarded(guard: WriteGuard): KubeClient {
    const copy = new KubeClient(this.config, this.#options);
    copy.#bucket = this.#bucket;
    copy.#guard = guard;
    return copy;
  }

  /** The same pool for one whose requests must not queue behind others', and end sooner. */
  urgent(timeoutMs: number): KubeClient {
    const { onRequest } = this.#options;
    return new KubeClient(this.config, { timeoutMs, ...(onRequest ? { onRequest } : {}) });
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

  /** Whether the API server has this kind in this version. An answer is kept for a while. */
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

  /** Rejects where `create` would; the API server keeps nothing. */
  async tryCreate<T extends KubeObject>(kind: Kind<T>, object: T, signal?: AbortSignal): Promise<void> {
    const path = collectionPath(kind, object.metadata.namespace);
    const query = { dryRun: 'All' };
    await this.#json({ method: HttpMethod.POST, path, query, body: object, signal });
  }

  /**
   * Server-side apply: creates or updates, and gives up fields that an earlier apply of this manager set. A field that the kind
   * does not have is refused (`isInvalid`), whatever field validation would say.
   */
  apply<T extends KubeObject>(kind: Kind<T>, object: Applied, options: ApplyOptions): Promise<T> {
    return this.#apply(objectPath(kind, object.metadata), object, options);
  }

  /** Server-side apply of the status subresource. */
  applyStatus<T extends KubeObject>(kind: Kind<T>, object: Applied, options: ApplyOptions): Promise<T> {
    return this.#apply(`${objectPath(kind, object.metadata)}/status`, object, options);
  }

  #apply<T>(path: string, body: Applied, { fieldManager, force = true, signal }: ApplyOptions): Promise<T> {
    const contentType = 'application/apply-patch+yaml';
    const query = { fieldManager, force };
    return this.#json({ method: HttpMethod.PATCH, path, query, body, contentType, signal });
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
    const { fieldManager, signal } = options;
    const query = fieldManager === undefined ? {} : { fieldManager };
    return this.#json({ method: HttpMethod.PATCH, path, query, body, contentType, signal });
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
    return this.#send(whole);
  }

  /** One watch request. Ends when the server ends it; throws ApiError for an ERROR event (410: list again). */
  async *watch<T extends KubeObject>(kind: Kind<T>, options: WatchOptions): AsyncGenerator<WatchEvent<T>> {
    const { namespace, inactivityMs, signal, ...query } = options;
    const linked = link([signal, this.#guard?.signal]);
    const timer = setTimeout(() => {
      linked.abort(new Error(`watch of ${kind.plural}: nothing heard for ${inactivityMs} ms`));
    }, inactivityMs);
    try {
      const call: Call = {
        method: HttpMethod.GET,
        path: collectionPath(kind, namespace),
        query: { ...query, watch: true, allowWatchBookmarks: true },
        signal: linked.signal,
      };
      const { body } = await this.#send(call);
      for await (const line of lines(body)) {
        timer.refresh();
        yield eventFrom<T>(`watch ${kind.plural}`, line);
      }
    } finally {
      clearTimeout(timer);
      linked.release();
      linked.abort(new Error('the watch is left'));
    }
  }

  /** A whole answer, asked for again where `retryDelayMs` says so and the deadline leaves time. */
  async #json<T>(call: Call): Promise<T> {
    const { timeoutMs = 30_000 } = this.#options;
    const endsAt = systemClock.monotonic() + timeoutMs;
    const { signal, release } = link([call.signal, this.#guard?.signal], timeoutMs);
    try {
      for (let attempt = 1; ; attempt += 1) {
        try {
          await this.#turn(signal);
          const { body } = await this.#send({ ...call, signal });
          return (await body.json()) as T;
        } catch (error) {
          const delay = retryDelayMs(call.method, error, attempt);
          if (delay === undefined || systemClock.monotonic() + delay >= endsAt) throw error;
          await sleep(systemClock, delay, signal);
          if (signal.aborted) throw error;
        }
      }
    } finally {
      release();
    }
  }

  async #turn(signal: AbortSignal): Promise<void> {
    const wait = this.#bucket?.reserve() ?? 0;
    if (wait === 0) return;
    await sleep(systemClock, wait, signal);
    signal.throwIfAborted();
  }

  #send(call: Call): Promise<Dispatcher.ResponseData> {
    const guard = this.#guard;
    const permit = guard && call.method !== HttpMethod.GET ? () => guard.check() : undefined;
    return send(this.config, { ...call, permit }, this.#options.onRequest);
  }
}

/** @throws ApiError for an ERROR event, MalformedEventError for what is no event */
function eventFrom<T>(action: string, line: string): WatchEvent<T> {
  let event: { readonly type?: unknown; readonly object?: KubeObject | null };
  try {
    event = JSON.parse(line);
  } catch (cause) {
    throw new MalformedEventError(`${action}: not JSON: ${line.slice(0, 200)}`, { cause });
  }
  if (event?.type === 'ERROR') throw apiErrorOf(action, (event.object ?? {}) as ErrorStatus, line);
  if (!EVENT_TYPES.has(event?.type) || typeof event.object?.metadata?.resourceVersion !== 'string') {
    throw new MalformedEventError(`${action}: not an event: ${line.slice(0, 200)}`);
  }
  return event as WatchEvent<T>;
}

const EVENT_TYPES = new Set<unknown>(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK']);

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
