import type { Logger } from 'pino';
import type { KubeClient } from './client.ts';
import { messageOf } from './errors.ts';
import { unlessAborted } from './link.ts';
import type { Kind, KubeObject } from './object.ts';
import { Reflector, type ReflectorOptions } from './reflector.ts';
import { type Change, Store } from './store.ts';

export interface InformerOptions<T extends KubeObject> {
  readonly client: KubeClient;
  readonly kind: Kind<T>;
  readonly log: Logger;
  /** Empty: every namespace, by one reflector. */
  readonly namespaces?: readonly string[];
  readonly labelSelector?: string;
  /** What of an object is worth its memory (default: all of it). */
  readonly trim?: (object: T) => T;
  readonly reflector?: Pick<ReflectorOptions<T>, 'resyncMs' | 'inactivityMs' | 'backoff' | 'onList'>;
}

/** One store of one kind, kept fresh by a reflector per namespace, and those who want to hear of changes. */
export class Informer<T extends KubeObject> {
  readonly store: Store<T>;
  readonly #options: InformerOptions<T>;
  readonly #handlers: ((change: Change<T>) => void)[] = [];
  readonly #scopes: readonly (string | undefined)[];
  readonly #synced = new Set<string | undefined>();
  readonly #firstSync = Promise.withResolvers<void>();

  constructor(options: InformerOptions<T>) {
    this.#options = options;
    const { log, kind } = options;
    this.store = new Store<T>((index, error) =>
      log.error({ kind: kind.kind, index, error: messageOf(error) }, 'an indexer threw'),
    );
    this.#scopes = options.namespaces?.length ? [...new Set(options.namespaces)] : [undefined];
  }

  get kind(): string {
    return this.#options.kind.kind;
  }

  /** True once every namespace was listed: before that, absence from the store means nothing. */
  hasSynced(): boolean {
    return this.#synced.size === this.#scopes.length;
  }

  /** Resolves once every namespace was listed, or the signal aborts. */
  async untilSynced(signal: AbortSignal): Promise<void> {
    await unlessAborted(this.#firstSync.promise, signal).catch(() => undefined);
  }

  /** Register before `run`. A handler is quick and synchronous: it queues keys. One that throws is logged. */
  onChange(handler: (change: Change<T>) => void): void {
    this.#handlers.push(handler);
  }

  async run(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#scopes.map((namespace) => this.#reflect(namespace, signal)));
  }

  #reflect(namespace: string | undefined, signal: AbortSignal): Promise<void> {
    const { client, kind, log, labelSelector, reflector, trim = (object: T) => object } = this.#options;
    return new Reflector({
      client,
      kind,
      log,
      ...reflector,
      ...(namespace === undefined ? {} : { namespace }),
      ...(labelSelector === undefined ? {} : { labelSelector }),
      sink: {
        replace: (objects) => {
          const changes = this.store.replace(objects.map(trim), namespace);
          this.#synced.add(namespace);
          if (this.hasSynced()) this.#firstSync.resolve();
          for (const change of changes) this.#notify(change);
        },
        set: (object) => this.#notify(this.store.set(trim(object))),
        remove: (object) => this.#notify(this.store.remove(object)),
      },
    }).run(signal);
  }

  #notify(change: Change<T> | undefined): void {
    if (!change) return;
    for (const handler of this.#handlers) {
      try {
        handler(change);
      } catch (error) {
        this.#options.log.error({ kind: this.kind, error: messageOf(error) }, 'a change handler threw');
      }
    }
  }
}
