import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { isConflict, isNamespaceTerminating, messageOf, TerminalError } from './errors.ts';
import type { Informer } from './informer.ts';
import { type KubeObject, keyOf, keyText, type ObjectKey, parseKey } from './object.ts';
import type { Reconciler } from './reconciler.ts';
import { WorkQueue, type WorkQueueOptions } from './workqueue.ts';

export type Outcome = 'success' | 'requeue_after' | 'conflict' | 'error' | 'terminal_error';

export interface ControllerOptions {
  readonly name: string;
  readonly reconciler: Reconciler;
  readonly log: Logger;
  /** Keys worked at a time (default 4). */
  readonly concurrency?: number;
  /** A pass that takes longer is aborted and counts as failed, ms (default 120,000). */
  readonly timeoutMs?: number;
  readonly queue?: WorkQueueOptions;
  readonly onReconcile?: (outcome: Outcome, seconds: number) => void;
}

/** Works the keys that watched objects map to. */
export class Controller {
  readonly name: string;
  readonly queue: WorkQueue;
  readonly #options: ControllerOptions;

  constructor(options: ControllerOptions) {
    this.name = options.name;
    this.#options = options;
    this.queue = new WorkQueue(options.queue);
  }

  /** Queues what `map` makes of every changed object; default: the object itself. On an update, of both states. */
  watch<T extends KubeObject>(
    informer: Informer<T>,
    map: (object: T) => readonly ObjectKey[] = (object) => [keyOf(object)],
  ): this {
    informer.onChange((change) => {
      const states = change.type === 'updated' ? [change.previous, change.object] : [change.object];
      for (const key of states.flatMap(map)) this.queue.add(keyText(key));
    });
    return this;
  }

  /** Works until the signal aborts, then lets running passes end. Informers have to be synced. */
  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => this.queue.close(), { once: true });
    if (signal.aborted) this.queue.close();
    await Promise.all(Array.from({ length: this.#options.concurrency ?? 4 }, () => this.#work(signal)));
  }

  async #work(signal: AbortSignal): Promise<void> {
    for (let key = await this.queue.take(); key !== undefined; key = await this.queue.take()) {
      await this.#pass(key, signal);
      this.queue.done(key);
    }
  }

  async #pass(key: string, signal: AbortSignal): Promise<void> {
    const { reconciler, timeoutMs = 120_000, onReconcile } = this.#options;
    const target = parseKey(key);
    const log = this.#options.log.child({ controller: this.name, ...target, reconcileID: randomUUID() });
    const startedAt = performance.now();
    let outcome: Outcome = 'success';
    try {
      const pass = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
      const { requeueAfterMs } = await reconciler.reconcile(target, { signal: pass, log });
      this.queue.forget(key);
      if (requeueAfterMs !== undefined) {
        outcome = 'requeue_after';
        this.queue.addAfter(key, requeueAfterMs);
      }
    } catch (error) {
      outcome = this.#failed(key, error, log, signal);
    }
    onReconcile?.(outcome, (performance.now() - startedAt) / 1000);
  }

  #failed(key: string, error: unknown, log: Logger, signal: AbortSignal): Outcome {
    if (signal.aborted) return 'error';
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
    const retryInMs = this.queue.addRateLimited(key);
    if (isConflict(error)) {
      // The store was older than the object: the next pass sees the newer one.
      log.debug({ error: messageOf(error), retryInMs }, 'reconcile came too late');
      return 'conflict';
    }
    log.error({ error: messageOf(error), retryInMs }, 'reconcile failed');
    return 'error';
  }
}
