import type { Clock } from './clock.ts';

/** A clock for tests: time stands still until it is moved. */
export class FakeClock implements Clock {
  #now: number;
  #setBackMs = 0;
  #timers: { readonly due: number; readonly callback: () => void }[] = [];

  constructor(now = 0) {
    this.#now = now;
  }

  now(): number {
    return this.#now - this.#setBackMs;
  }

  monotonic(): number {
    return this.#now;
  }

  after(ms: number, callback: () => void): () => void {
    const timer = { due: this.#now + ms, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Sets the clock back, as an administrator does; durations know nothing of it. */
  setBack(ms: number): void {
    this.#setBackMs += ms;
  }

  /** Moves time on, and calls back what falls due, in order. */
  advance(ms: number): void {
    const target = this.#now + ms;
    for (;;) {
      const [next] = this.#timers.filter(({ due }) => due <= target).sort((a, b) => a.due - b.due);
      if (!next) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.#now = next.due;
      next.callback();
    }
    this.#now = target;
  }
}
