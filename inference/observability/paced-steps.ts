import type { ProgressStep } from '../pipelines/analysis.ts';

/** Steps that count parts are told no more often than this. */
const gapMs = 100;

/**
 * Tells the steps of one analysis in their order: those that begin or end a stage at once, those that count parts ten times a second at
 * most. A count that has to wait gives way to the next one; the last of them is always told.
 */
export class PacedSteps {
  readonly #tell: (step: ProgressStep) => void;
  readonly #now: () => number;
  #toldAt = -Infinity;
  #waiting: ProgressStep | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(tell: (step: ProgressStep) => void, now: () => number = () => performance.now()) {
    this.#tell = tell;
    this.#now = now;
  }

  add(step: ProgressStep): void {
    if (step.progress === null) {
      this.flush();
      this.#tell(step);
      return;
    }
    this.#waiting = step;
    const waitMs = this.#toldAt + gapMs - this.#now();
    if (waitMs <= 0) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), waitMs);
  }

  /** Tells what waits; to be called before the end of the analysis is told. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const step = this.#waiting;
    if (step === undefined) return;
    this.#waiting = undefined;
    this.#toldAt = this.#now();
    this.#tell(step);
  }
}
