import { randomUUID } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import type { Logger } from 'pino';
import { isConflict, isNamespaceTerminating, messageOf, retryAfterMsOf, TerminalError } from './errors.ts';
import type { Informer } from './informer.ts';
import { link } from './link.ts';
import { type KubeObject, keyOf, keyText, type ObjectKey, parseKey } from './object.ts';
import type { Reconciler } from './reconciler.ts';
import { type Priority, type QueueObserver, WorkQueue, type WorkQueueOptions } from './workqueue.ts';

/**
 * How a pass ended. `requeue`: it came too late (a conflict) and is repeated. `panic`: the code itself is wrong.
 * `aborted`: the process stops.
 */
export type Outcome =
  | 'success'
  | 'requeue'
  | 'requeue_after'
  | 'error'
  | 'terminal_error'
  | 'panic'
  | 'aborted';

export interface ControllerObserver {
  readonly queue?: QueueObserver;
  passStarted?(): void;
  passEnded?(outcome: Outcome, seconds: number): void;
}

export interface ControllerOptions {
  readonly name: string;
  readonly reconciler: Reconciler;
  readonly log: Logger;
  /** Keys worked at a time (default 4). */
  readonly concurrency?: number;
  /** A pass that takes longer is aborted and counts as failed, ms (default 120,000). */
  readonly timeoutMs?: number;
  readonly queue?: Omit<WorkQueueOptions, 'observer'>;
  /** Asked once, by the controller about to be. */
  readonly observe?: (controller: Controller) => ControllerObserver;
}

/** Works the keys that watched objects map to. */
export class Controller {
  readonly name: string;
  readonly concurrency: number;
  readonly queue: WorkQueue;
  readonly #options: ControllerOptions;
  readonly #observer: ControllerObserver;
  /** Queue what is in the watched stores. */
  readonly #sources: (() => void)[] = [];
  #running = false;

  constructor(options: ControllerOptions) {
    this.name = options.name;
    this.concurrency = options.concurrency ?? 4;
    this.#options = options;
    this.#observer = options.observe?.(this) ?? {};
    const { queue: observer } = this.#observer;
    this.queue = new WorkQueue({ ...options.queue, ...(observer ? { observer } : {}) });
  }

  /** Queues what `map` makes of every changed object; default: the object itself. On an update, of both states. */
  watch<T extends KubeObject>(
    informer: Pick<Informer<T>, 'store' | 'onChange'>,
    map: (object: T) => readonly ObjectKey[] = (object) => [keyOf(object)],
  ): this {
    const add = (objects: readonly T[], priority: Priority) => {
      for (const object of objects) this.#addMapped(object, map, priority);
    };
    this.#sources.push(() => add(informer.store.list(), 'low'));
    informer.onChange((change) => {
      // A standby works nothing. When it comes to lead, `run` queues everything there is.
      if (!this.#running) return;
      const states = change.type === 'updated' ? [change.previous, change.object] : [change.object];
      add(states, change.type === 'resynced' ? 'low' : 'high');
    });
    return this;
  }

  /** Queues a key for a reason other than a change that is watched. */
  add(key: ObjectKey): void {
    // As with changes: nothing waits on a standby, where nobody works.
    if (this.#running) this.queue.add(keyText(key));
  }

  /** An object that `map` throws at costs the others nothing. */
  #addMapped<T extends KubeObject>(
    object: T,
    map: (object: T) => readonly ObjectKey[],
    priority: Priority,
  ): void {
    try {
      for (const key of map(object)) this.queue.add(keyText(key), priority);
    } catch (error) {
      const { name, log } = this.#options;
      log.error(
        { controller: name, object: keyOf(object), error: messageOf(error) },
        'a mapping to keys threw',
      );
    }
  }

  /**
   * Queues every object that is there, then works until the signal aborts, which also aborts running passes; resolves when
   * those have ended. Informers have to be synced. For once only.
   */
  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => this.queue.close(), { once: true });
    if (signal.aborted) this.queue.close();
    this.#running = true;
    for (const source of this.#sources) source();
    await Promise.all(Array.from({ length: this.concurrency }, () => this.#work(signal)));
  }

  async #work(signal: AbortSignal): Promise<void> {
    for (let key = await this.queue.take(); key !== undefined; key = await this.queue.take()) {
      this.#observer.passStarted?.();
      const startedAt = performance.now();
      const outcome = await this.#pass(key, signal);
      this.queue.done(key);
      this.#observer.passEnded?.(outcome, (performance.now() - startedAt) / 1000);
      // Passes that find nothing to do wait for nothing, and a thousand of them in a row would hold up the Lease's renewal.
      await setImmediate();
    }
  }

  async #pass(key: string, signal: AbortSignal): Promise<Outcome> {
    const { reconciler, timeoutMs = 120_000 } = this.#options;
    const target = parseKey(key);
    const log = this.#options.log.child({ controller: this.name, ...target, reconcileID: randomUUID() });
    const pass = link([signal], timeoutMs);
    try {
      const { requeueAfterMs } = await reconciler.reconcile(target, { signal: pass.signal, log });
      this.queue.forget(key);
      if (requeueAfterMs === undefined) return 'success';
      this.queue.addAfter(key, requeueAfterMs);
      return 'requeue_after';
    } catch (error) {
      return signal.aborted ? 'aborted' : this.#failed(key, error, log);
    } finally {
      pass.release();
    }
  }

  #failed(key: string, error: unknown, log: Logger): Outcome {
    if (error instanceof TerminalError) {
      log.error({ error: error.message }, 'reconcile failed for good');
      this.queue.forget(key);
      return 'terminal_error';
    }
    if (isNamespaceTerminating(error)) {
      log.info('the namespace goes away');
      this.queue.forget(key);
      return 'success';
    }
    const retryInMs = this.queue.addRateLimited(key, retryAfterMsOf(error));
    if (isConflict(error)) {
      // The store was older than the object: the next pass sees the newer one.
      log.debug({ error: messageOf(error), retryInMs }, 'reconcile came too late');
      return 'requeue';
    }
    if (isMistake(error)) {
      log.error({ error: messageOf(error), stack: stackOf(error), retryInMs }, 'reconcile is mistaken');
      return 'panic';
    }
    log.error({ error: messageOf(error), retryInMs }, 'reconcile failed');
    return 'error';
  }
}

/** What only wrong code throws, as against a world that does not answer. */
const isMistake = (error: unknown) =>
  !(error instanceof Error) ||
  [TypeError, RangeError, ReferenceError].some((mistake) => error instanceof mistake);
const stackOf = (error: unknown) => (error instanceof Error ? error.stack : undefined);
