import { type Clock, sleep, systemClock } from './clock.ts';
import { messageOf } from './errors.ts';
import { Informer, type InformerOptions } from './informer.ts';
import type { KubeObject } from './object.ts';
import type { Store } from './store.ts';

export interface OptionalInformerOptions<T extends KubeObject> extends InformerOptions<T> {
  /** How often the API server is asked whether it has the kind, ms (default 30,000). */
  readonly checkMs?: number;
  readonly clock?: Clock;
}

/**
 * An informer of a kind that a cluster may not have, or not yet, or no longer: it watches while the API server has the kind,
 * and nobody has to wait for it. Where the kind is not served the store is empty.
 */
export class OptionalInformer<T extends KubeObject> {
  readonly informer: Informer<T>;
  readonly #options: OptionalInformerOptions<T>;
  readonly #handlers: (() => void)[] = [];
  #watch: { stop(): Promise<void> } | undefined;

  constructor(options: OptionalInformerOptions<T>) {
    this.#options = options;
    this.informer = new Informer(options);
  }

  get store(): Store<T> {
    return this.informer.store;
  }

  served(): boolean {
    return this.#watch !== undefined;
  }

  /** Told when the kind comes or goes. Register before `run`. */
  onServed(handler: () => void): void {
    this.#handlers.push(handler);
  }

  /** Runs until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { checkMs = 30_000, clock = systemClock } = this.#options;
    while (!signal.aborted) {
      await this.#check(signal);
      await sleep(clock, checkMs, signal);
    }
    await this.#watch?.stop();
  }

  async #check(signal: AbortSignal): Promise<void> {
    const { client, kind, log } = this.#options;
    const served = await client.serves(kind).catch((error: unknown) => {
      log.debug({ kind: kind.kind, error: messageOf(error) }, 'it is not known whether the kind is served');
      return this.served();
    });
    if (served === this.served()) return;
    log.info({ kind: kind.kind, served }, 'the kind comes or goes');
    if (served) this.#start(signal);
    else await this.#stop();
    for (const handler of this.#handlers) handler();
  }

  #start(signal: AbortSignal): void {
    const ending = new AbortController();
    const running = this.informer.run(AbortSignal.any([signal, ending.signal]));
    this.#watch = {
      stop: async () => {
        ending.abort();
        await running;
      },
    };
  }

  async #stop(): Promise<void> {
    await this.#watch?.stop();
    this.#watch = undefined;
    this.store.replace([]);
  }
}
