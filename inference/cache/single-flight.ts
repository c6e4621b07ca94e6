/** Work that several ask for at the same time is done once. Nobody owns it: it lives as long as anybody waits for it. */
import { orAborted } from '../abortion.ts';

interface Flight<Value, Step> {
  readonly result: Promise<Value>;
  readonly abandon: AbortController;
  readonly listeners: Set<(step: Step) => void>;
  waiting: number;
}

export interface Passenger<Step> {
  /** Aborted: this one waits no longer; the work goes on for the others. */
  readonly signal: AbortSignal;
  readonly onStep?: ((step: Step) => void) | undefined;
}

export interface Landing<Value> {
  readonly value: Value;
  /** Whether the work was under way already. */
  readonly joined: boolean;
}

export class SingleFlight<Value, Step = never> {
  readonly #flights = new Map<string, Flight<Value, Step>>();

  /** Whether the work for `key` is under way. */
  has(key: string): boolean {
    return this.#flights.has(key);
  }

  get size(): number {
    return this.#flights.size;
  }

  /**
   * Starts the work for `key`, or waits for the one that is under way.
   * @param start gets a signal that is aborted when nobody waits any more, and tells the steps of the work to all who wait
   * @throws what the work threw; the reason of the passenger's signal
   */
  async join(
    key: string,
    { signal, onStep }: Passenger<Step>,
    start: (signal: AbortSignal, tell: (step: Step) => void) => Promise<Value>,
  ): Promise<Landing<Value>> {
    signal.throwIfAborted();
    const underWay = this.#flights.get(key);
    const flight = underWay ?? this.#begin(key, start);
    // A function of its own for every passenger: the same callback may wait twice.
    const listener = (step: Step) => onStep?.(step);
    flight.listeners.add(listener);
    flight.waiting += 1;
    try {
      return { value: await orAborted(flight.result, signal), joined: underWay !== undefined };
    } finally {
      flight.listeners.delete(listener);
      flight.waiting -= 1;
      if (flight.waiting === 0) {
        this.#forget(key, flight);
        flight.abandon.abort(signal.reason);
      }
    }
  }

  #begin(
    key: string,
    start: (signal: AbortSignal, tell: (step: Step) => void) => Promise<Value>,
  ): Flight<Value, Step> {
    const abandon = new AbortController();
    const listeners = new Set<(step: Step) => void>();
    const tell = (step: Step) => {
      for (const listener of listeners) listener(step);
    };
    const flight = { result: start(abandon.signal, tell), abandon, listeners, waiting: 0 };
    this.#flights.set(key, flight);
    const forget = () => this.#forget(key, flight);
    flight.result.then(forget, forget);
    return flight;
  }

  /** Only this flight: a later one of the same key is another. */
  #forget(key: string, flight: Flight<Value, Step>): void {
    if (this.#flights.get(key) === flight) this.#flights.delete(key);
  }
}
