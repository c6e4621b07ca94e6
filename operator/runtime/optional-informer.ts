import { type Clock, sleep, systemClock } from './clock.ts';
import { messageOf } from './errors.ts';
import { Informer, type InformerOptions } from './informer.ts';
import { unlessAborted } from './link.ts';
import type { KubeObject } from './object.ts';
import { type Change, Store } from './store.ts';

export interface OptionalInformerOptions<T extends KubeObject> extends InformerOptions<T> {
  /** How often the API server is asked whether it has the kind, ms (default 30,000). */
  readonly checkMs?: number;
  readonly clock?: Clock;
}

/**
 * An informer of a kind that a cluster may not have, or not yet, or no longer: it watches while the API server has the kind,
 * and nobody has to wait for it.
 */
export class OptionalInformer<T extends KubeObject> {
  readonly #options: OptionalInformerOptions<T>;
  readonly #changed: ((change: Change<T>) => void)[] = [];
  readonly #comesOrGoes: (() => void)[] = [];
  #known = false;
  #watch: { readonly informer: Informer<T>; stop(): Promise<void> } | undefined;

  constructor(options: OptionalInformerOptions<T>) {
    this.#options = options;
  }

  /** Of the kind as it is served now; empty where it is not. */
  get store(): Store<T> {
    return this.#watch?.informer.store ?? new Store<T>();
  }

  /** Whether the API server has the kind and its objects are in the store. */
  served(): boolean {
    return this.#watch?.informer.hasSynced() ?? false;
  }

  /** Whether `served` is more than a lack of knowledge: the API server was asked, and listed the objects if it has the kind. */
  settled(): boolean {
    return this.#known && (this.#watch === undefined || this.served());
  }

  /** Register before `run`. A handler is quick and does not throw: it queues keys. */
  onChange(handler: (change: Change<T>) => void): void {
    this.#changed.push(handler);
  }

  /** Told when `served` changes. Register before `run`. */
  onServed(handler: () => void): void {
    this.#comesOrGoes.push(handler);
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
    try {
      // Others may wait for the same answer, so it is not aborted but left.
      const served = await unlessAborted(client.serves(kind), signal);
      this.#known = true;
      if (served === (this.#watch !== undefined)) return;
      log.info({ kind: kind.kind, served }, 'an optional kind comes or goes');
      if (served) this.#start(signal);
      else await this.#stop();
    } catch (error) {
      log.debug({ kind: kind.kind, error: messageOf(error) }, 'it is not known whether the kind is served');
    }
  }

  #start(signal: AbortSignal): void {
    const ending = new AbortController();
    let announced = false;
    const onList = () => {
      this.#options.reflector?.onList?.();
      if (announced || !informer.hasSynced()) return;
      announced = true;
      this.#announce();
    };
    const informer = new Informer<T>({
      ...this.#options,
      reflector: { ...this.#options.reflector, onList },
    });
    for (const handler of this.#changed) informer.onChange(handler);
    const running = informer.run(AbortSignal.any([signal, ending.signal]));
    this.#watch = {
      informer,
      stop: async () => {
        ending.abort();
        await running;
      },
    };
  }

  async #stop(): Promise<void> {
    await this.#watch?.stop();
    this.#watch = undefined;
    this.#announce();
  }

  #announce(): void {
    for (const handler of this.#comesOrGoes) handler();
  }
}
