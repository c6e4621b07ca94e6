import { type Clock, sleep, systemClock } from './clock.ts';
import { messageOf } from './errors.ts';
import { Informer, type InformerOptions } from './informer.ts';
import { unlessAborted } from './link.ts';
import type { KubeObject } from './object.ts';
import { type Change, Store } from './store.ts';

export interface OptionalInformerOptions<T extends KubeObject> extends InformerOptions<T> {
  /** How often it is looked whether the API server has the kind, ms (default 30,000); an answer that the client kept will do. */
  readonly checkMs?: number;
  readonly clock?: Clock;
}

/**
 * What is known of the kind. `unknown`: the API server was not heard yet. `unlisted`: it has the kind, and its objects could
 * not all be listed yet, for want of a right for example. `served`: they are in the store.
 */
export type KindState = 'unknown' | 'absent' | 'unlisted' | 'served';

/**
 * An informer of a kind that a cluster may not have, or not yet, or no longer: it watches while the API server has the kind,
 * and nobody has to wait for it.
 */
export class OptionalInformer<T extends KubeObject> {
  readonly #options: OptionalInformerOptions<T>;
  readonly #changed: ((change: Change<T>) => void)[] = [];
  readonly #stateChanged: (() => void)[] = [];
  #known = false;
  #told: KindState = 'unknown';
  #watch: { readonly informer: Informer<T>; stop(): Promise<void> } | undefined;

  constructor(options: OptionalInformerOptions<T>) {
    this.#options = options;
  }

  /** Of the kind as it is served now; empty where it is not. */
  get store(): Store<T> {
    return this.#watch?.informer.store ?? new Store<T>();
  }

  state(): KindState {
    if (this.#watch) return this.#watch.informer.hasSynced() ? 'served' : 'unlisted';
    return this.#known ? 'absent' : 'unknown';
  }

  /** Whether `state` is more than a lack of knowledge. */
  settled(): boolean {
    return ['absent', 'served'].includes(this.state());
  }

  /** Register before `run`. A handler is quick and does not throw: it queues keys. */
  onChange(handler: (change: Change<T>) => void): void {
    this.#changed.push(handler);
  }

  /** Told when `state` changes. Register before `run`. */
  onStateChange(handler: () => void): void {
    this.#stateChanged.push(handler);
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
      if (served !== (this.#watch !== undefined)) {
        log.info({ kind: kind.kind, served }, 'an optional kind comes or goes');
        if (served) this.#start(signal);
        else await this.#stop();
      }
      this.#tell();
    } catch (error) {
      log.debug({ kind: kind.kind, error: messageOf(error) }, 'it is not known whether the kind is served');
    }
  }

  #start(signal: AbortSignal): void {
    const ending = new AbortController();
    const onList = () => {
      this.#options.reflector?.onList?.();
      this.#tell();
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
  }

  #tell(): void {
    const state = this.state();
    if (state === this.#told) return;
    this.#told = state;
    for (const handler of this.#stateChanged) handler();
  }
}
