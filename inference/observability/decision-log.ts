/** What the pod said last, so that somebody who asks two pods can tell whether they say the same. It holds no media and no id in clear. */
import { createHash } from 'node:crypto';
import type { Verdict } from '../models/verdict.ts';

export interface LoggedDecision {
  /** Of the request and its file: 16 hexadecimal digits of a SHA-256, the same in every pod. */
  readonly id: string;
  /** Serving name of a model, or of an ensemble. */
  readonly model: string;
  readonly score: number | null;
  readonly verdict: Verdict;
  /** Milliseconds since 1970. */
  readonly time: number;
}

export interface Decided {
  readonly requestId: string;
  /** Of the file: one request may bring several. */
  readonly sha256: string;
  readonly model: string;
  readonly score: number | null;
  readonly verdict: Verdict;
}

export class DecisionLog {
  readonly #limit: number;
  readonly #now: () => number;
  readonly #ring: LoggedDecision[] = [];
  #next = 0;

  /** @param limit how many are kept; 0: none */
  constructor(limit: number, now: () => number = Date.now) {
    this.#limit = limit;
    this.#now = now;
  }

  get isKeeping(): boolean {
    return this.#limit > 0;
  }

  add({ requestId, sha256, model, score, verdict }: Decided): void {
    if (!this.isKeeping) return;
    const id = createHash('sha256').update(`${requestId}\n${sha256}`).digest('hex').slice(0, 16);
    this.#ring[this.#next] = { id, model, score, verdict, time: this.#now() };
    this.#next = (this.#next + 1) % this.#limit;
  }

  /** The oldest first. */
  latest(): readonly LoggedDecision[] {
    const isFull = this.#ring.length === this.#limit;
    return isFull ? [...this.#ring.slice(this.#next), ...this.#ring.slice(0, this.#next)] : this.#ring;
  }
}
