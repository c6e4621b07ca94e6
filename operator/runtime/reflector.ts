import type { Logger } from 'pino';
import { type Backoff, backoffMs } from './backoff.ts';
import type { KubeClient } from './client.ts';
import { type Clock, sleep, systemClock } from './clock.ts';
import { isExpired, messageOf } from './errors.ts';
import type { Kind, KubeObject } from './object.ts';

/** Where a reflector puts what it sees. */
export interface Sink<T> {
  replace(objects: readonly T[]): void;
  set(object: T): void;
  remove(object: T): void;
}

export interface ReflectorOptions<T extends KubeObject> {
  readonly client: KubeClient;
  readonly kind: Kind<T>;
  readonly sink: Sink<T>;
  readonly log: Logger;
  readonly namespace?: string;
  readonly labelSelector?: string;
  /** List again after this long even when all is well, ms (default 10 min): what a watch missed is then found. */
  readonly resyncMs?: number;
  /** A watch without any event or bookmark for this long is dead, ms (default 150 s; servers send bookmarks every 60 s). */
  readonly inactivityMs?: number;
  readonly backoff?: Backoff;
  readonly clock?: Clock;
  readonly random?: () => number;
  readonly onList?: () => void;
}

const PAGE = 500;
const WATCH_SECONDS = 290;
/** A watch that lived this long counts as a success, ms. */
const HEALTHY_MS = 10_000;

/**
 * Keeps a sink equal to the API server's state of one kind: list, then watch from there, for ever. A watch that ends is
 * taken up where it stood; an expired version (410) or the resync period lists again. Whatever fails is tried again with
 * jittered backoff: a reflector ends by its signal only.
 */
export class Reflector<T extends KubeObject> {
  readonly #options: ReflectorOptions<T>;
  readonly #clock: Clock;
  readonly #random: () => number;
  #resourceVersion: string | undefined;
  #listedAt = 0;
  #resyncDelay = 0;
  #failures = 0;

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const startedAt = this.#clock.now();
      try {
        const due = this.#clock.now() - this.#listedAt >= this.#resyncDelay;
        if (this.#resourceVersion === undefined || due) await this.#list(signal);
        await this.#watch(signal);
        if (this.#clock.now() - startedAt >= HEALTHY_MS) this.#failures = 0;
        else await this.#pause(signal, 'the watch ended at once');
      } catch (error) {
        if (signal.aborted) return;
        if (isExpired(error)) this.#resourceVersion = undefined;
        await this.#pause(signal, messageOf(error));
      }
    }
  }

  async #pause(signal: AbortSignal, why: string): Promise<void> {
    const backoff = this.#options.backoff ?? { baseMs: 500, capMs: 30_000 };
    this.#failures += 1;
    const retryInMs = backoffMs(this.#failures, backoff, this.#random);
    const level = this.#failures > 1 ? 'warn' : 'debug';
    this.#options.log[level]({ kind: this.#options.kind.kind, retryInMs, why }, 'watch interrupted');
    await sleep(this.#clock, retryInMs, signal);
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { client, kind, sink, resyncMs = 600_000 } = this.#options;
    const items: T[] = [];
    let token: string | undefined;
    let resourceVersion: string | undefined;
    do {
      const page = await client.list(
        kind,
        { ...this.#scope(), limit: PAGE, ...(token ? { continue: token } : {}) },
        signal,
      );
      items.push(...page.items);
      resourceVersion = page.metadata.resourceVersion;
      token = page.metadata.continue;
    } while (token);
    sink.replace(items);
    this.#options.onList?.();
    this.#resourceVersion = resourceVersion;
    this.#listedAt = this.#clock.now();
    this.#resyncDelay = resyncMs * (0.8 + 0.2 * this.#random());
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const { client, kind, sink, inactivityMs = 150_000 } = this.#options;
    const untilResync = Math.ceil((this.#listedAt + this.#resyncDelay - this.#clock.now()) / 1000);
    const events = client.watch(kind, {
      ...this.#scope(),
      resourceVersion: this.#resourceVersion ?? '',
      timeoutSeconds: Math.max(1, Math.min(WATCH_SECONDS, untilResync)),
      inactivityMs,
      signal,
    });
    for await (const event of events) {
      this.#resourceVersion = event.object.metadata.resourceVersion;
      if (event.type === 'DELETED') sink.remove(event.object);
      else if (event.type !== 'BOOKMARK') sink.set(event.object);
      this.#failures = 0;
    }
  }

  #scope() {
    const { namespace, labelSelector } = this.#options;
    return {
      ...(namespace === undefined ? {} : { namespace }),
      ...(labelSelector === undefined ? {} : { labelSelector }),
    };
  }
}
