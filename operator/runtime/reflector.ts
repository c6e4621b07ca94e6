import type { Logger } from 'pino';
import { type Backoff, backoffMs } from './backoff.ts';
import type { KubeClient } from './client.ts';
import { type Clock, sleep, systemClock } from './clock.ts';
import { isExpired, MalformedEventError, messageOf, retryAfterMsOf } from './errors.ts';
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
 * taken up where it stood; an expired version (410), an event that cannot be read, or the resync period lists again.
 * Whatever fails is tried again with jittered backoff, no sooner than the server asked: a reflector ends by its signal only.
 */
export class Reflector<T extends KubeObject> {
  readonly #options: ReflectorOptions<T>;
  readonly #clock: Clock;
  readonly #random: () => number;
  #resourceVersion: string | undefined;
  #listedAt = Number.NEGATIVE_INFINITY;
  #resyncDelay = 0;
  #failures = 0;

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const startedAt = this.#clock.monotonic();
      try {
        const due = this.#clock.monotonic() - this.#listedAt >= this.#resyncDelay;
        if (this.#resourceVersion === undefined || due) await this.#list(signal);
        await this.#watch(signal);
        if (this.#clock.monotonic() - startedAt >= HEALTHY_MS) this.#failures = 0;
        else await this.#pause(signal, 'the watch ended at once');
      } catch (error) {
        if (signal.aborted) return;
        if (isExpired(error) || error instanceof MalformedEventError) this.#resourceVersion = undefined;
        await this.#pause(signal, messageOf(error), retryAfterMsOf(error));
      }
    }
  }

  async #pause(signal: AbortSignal, why: string, atLeastMs = 0): Promise<void> {
    const backoff = this.#options.backoff ?? { baseMs: 500, capMs: 30_000 };
    this.#failures += 1;
    const retryInMs = Math.max(atLeastMs, backoffMs(this.#failures, backoff, this.#random));
    const level = this.#failures > 1 ? 'warn' : 'debug';
    this.#options.log[level]({ kind: this.#options.kind.kind, retryInMs, why }, 'watch interrupted');
    await sleep(this.#clock, retryInMs, signal);
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { sink, resyncMs = 600_000 } = this.#options;
    const { items, resourceVersion } = await this.#listAll(signal);
    sink.replace(items);
    this.#options.onList?.();
    this.#resourceVersion = resourceVersion;
    this.#listedAt = this.#clock.monotonic();
    this.#resyncDelay = resyncMs * (0.8 + 0.2 * this.#random());
  }

  async #listAll(signal: AbortSignal): Promise<{ items: T[]; resourceVersion: string | undefined }> {
    const { client, kind } = this.#options;
    const items: T[] = [];
    let token: string | undefined;
    for (;;) {
      try {
        const paging = { limit: PAGE, ...(token === undefined ? {} : { continue: token }) };
        const { items: page, metadata } = await client.list(kind, { ...this.#scope(), ...paging }, signal);
        items.push(...page);
        token = metadata.continue || undefined;
        if (token === undefined) return { items, resourceVersion: metadata.resourceVersion };
      } catch (error) {
        if (token === undefined || !isExpired(error)) throw error;
        // The pages came slower than the server forgets: paging anew could go the same way for ever.
        const { items: all, metadata } = await client.list(kind, this.#scope(), signal);
        return { items: [...all], resourceVersion: metadata.resourceVersion };
      }
    }
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const { client, kind, sink, inactivityMs = 150_000 } = this.#options;
    const untilResync = Math.ceil((this.#listedAt + this.#resyncDelay - this.#clock.monotonic()) / 1000);
    const events = client.watch(kind, {
      ...this.#scope(),
      resourceVersion: this.#resourceVersion ?? '',
      timeoutSeconds: Math.max(1, Math.min(WATCH_SECONDS, untilResync)),
      inactivityMs,
      signal,
    });
    for await (const event of events) {
      if (event.type === 'DELETED') sink.remove(event.object);
      else if (event.type !== 'BOOKMARK') sink.set(event.object);
      this.#resourceVersion = event.object.metadata.resourceVersion;
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
