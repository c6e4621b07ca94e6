import { type Backoff, backoffMs } from './backoff.ts';
import { type Clock, systemClock } from './clock.ts';
import { type Rate, TokenBucket } from './token-bucket.ts';

/** `low`: nobody waits for it. What a first list or a resync queues is low, what changed is high. */
export type Priority = 'high' | 'low';

/** Hears what happens to keys, in seconds; how metrics are made. */
export interface QueueObserver {
  /** A key that was not waiting now waits. */
  added?(): void;
  taken?(waitedSeconds: number): void;
  done?(workedSeconds: number): void;
  retried?(): void;
}

export interface WorkQueueOptions {
  readonly clock?: Clock;
  readonly random?: () => number;
  /** Of one key that fails again and again (default 200 ms to 300 s). */
  readonly backoff?: Backoff;
  /** Of the retries of all keys together (default 10 a second after a burst of 100). */
  readonly retryRate?: Rate;
  readonly observer?: QueueObserver;
}

/** Of so many keys taken while low ones wait, one is low: a stream of changes cannot starve them. */
const LOW_SHARE = 8;

/**
 * A set of keys waiting for work. A key that is added twice is worked once; a key that is added while it is worked is
 * worked once more afterwards, never by two workers at a time. Order is that of addition, high before low.
 */
export class WorkQueue {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #backoff: Backoff;
  readonly #retries: TokenBucket;
  readonly #observer: QueueObserver;
  /** Since when each key waits, by `Clock.monotonic`. */
  readonly #waiting = { high: new Map<string, number>(), low: new Map<string, number>() };
  readonly #working = new Map<string, { readonly since: number; readonly priority: Priority }>();
  readonly #again = new Map<string, Priority>();
  readonly #timers = new Map<string, Timer>();
  readonly #failures = new Map<string, number>();
  readonly #takers: ((key: string | undefined) => void)[] = [];
  #takenHigh = 0;
  #closed = false;

  constructor({
    clock = systemClock,
    random = Math.random,
    backoff = { baseMs: 200, capMs: 300_000 },
    retryRate = { perSecond: 10, burst: 100 },
    observer = {},
  }: WorkQueueOptions = {}) {
    this.#clock = clock;
    this.#random = random;
    this.#backoff = backoff;
    this.#retries = new TokenBucket(retryRate, clock);
    this.#observer = observer;
  }

  /** Keys that wait, those in work and those with a timer not counted. */
  depth(priority?: Priority): number {
    const { high, low } = this.#waiting;
    return priority === undefined ? high.size + low.size : this.#waiting[priority].size;
  }

  /** How long each key in work has been worked, s. */
  inWork(): number[] {
    const now = this.#clock.monotonic();
    return [...this.#working.values()].map(({ since }) => (now - since) / 1000);
  }

  /** A waiting low key that is added as high moves up. */
  add(key: string, priority: Priority = 'high'): void {
    if (this.#closed) return;
    if (this.#working.has(key)) {
      if (!this.#again.has(key)) this.#observer.added?.();
      this.#again.set(key, higher(this.#again.get(key), priority));
      return;
    }
    this.#wait(key, priority, this.#clock.monotonic());
    this.#hand();
  }

  /**
   * Adds the key after `ms`; of several timers of one key the earliest counts. A key in work keeps the priority with which it
   * was taken.
   */
  addAfter(key: string, ms: number): void {
    if (this.#closed) return;
    const inherited = this.#working.get(key)?.priority ?? 'high';
    if (ms <= 0) {
      this.add(key, inherited);
      return;
    }
    const due = this.#clock.monotonic() + ms;
    const timer = this.#timers.get(key);
    const priority = higher(timer?.priority, inherited);
    if (timer && timer.due <= due) {
      this.#timers.set(key, { ...timer, priority });
      return;
    }
    timer?.cancel();
    const cancel = this.#clock.after(ms, () => {
      const { priority: latest = priority } = this.#timers.get(key) ?? {};
      this.#timers.delete(key);
      this.add(key, latest);
    });
    this.#timers.set(key, { due, priority, cancel });
  }

  /**
   * Adds the key after a delay that grows with every call until `forget`, that the rate of all retries allows, and that is
   * at least `atLeastMs`; returns the delay, ms.
   */
  addRateLimited(key: string, atLeastMs = 0): number {
    const failures = (this.#failures.get(key) ?? 0) + 1;
    this.#failures.set(key, failures);
    const delay = Math.max(
      backoffMs(failures, this.#backoff, this.#random),
      this.#retries.reserve(),
      atLeastMs,
    );
    this.#observer.retried?.();
    this.addAfter(key, delay);
    return delay;
  }

  forget(key: string): void {
    this.#failures.delete(key);
  }

  /** The next key, to be given back by `done`; undefined once the queue is closed. */
  take(): Promise<string | undefined> {
    if (this.#closed) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      this.#takers.push(resolve);
      this.#hand();
    });
  }

  done(key: string): void {
    const work = this.#working.get(key);
    if (!work) return;
    const now = this.#clock.monotonic();
    this.#working.delete(key);
    this.#observer.done?.((now - work.since) / 1000);
    const again = this.#again.get(key);
    if (again === undefined) return;
    this.#again.delete(key);
    if (this.#closed) return;
    this.#waiting[again].set(key, now);
    this.#hand();
  }

  /** Drops what waits and lets takers go. */
  close(): void {
    this.#closed = true;
    for (const { cancel } of this.#timers.values()) cancel();
    this.#timers.clear();
    this.#waiting.high.clear();
    this.#waiting.low.clear();
    this.#again.clear();
    for (const taker of this.#takers.splice(0)) taker(undefined);
  }

  #wait(key: string, priority: Priority, now: number): void {
    const { high, low } = this.#waiting;
    if (high.has(key) || (priority === 'low' && low.has(key))) return;
    const since = low.get(key);
    if (since === undefined) this.#observer.added?.();
    low.delete(key);
    this.#waiting[priority].set(key, since ?? now);
  }

  #hand(): void {
    while (this.#takers.length > 0) {
      const priority = this.#next();
      const [key, since] = this.#waiting[priority].entries().next().value ?? [];
      if (key === undefined || since === undefined) return;
      const now = this.#clock.monotonic();
      this.#waiting[priority].delete(key);
      this.#working.set(key, { since: now, priority });
      this.#observer.taken?.((now - since) / 1000);
      this.#takers.shift()?.(key);
    }
  }

  #next(): Priority {
    const { high, low } = this.#waiting;
    const lowIsDue = low.size > 0 && this.#takenHigh >= LOW_SHARE - 1;
    if (high.size === 0 || lowIsDue) {
      this.#takenHigh = 0;
      return 'low';
    }
    this.#takenHigh = low.size > 0 ? this.#takenHigh + 1 : 0;
    return 'high';
  }
}

interface Timer {
  readonly due: number;
  readonly priority: Priority;
  readonly cancel: () => void;
}

const higher = (one: Priority | undefined, other: Priority): Priority =>
  one === 'high' || other === 'high' ? 'high' : 'low';
