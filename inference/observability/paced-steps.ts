import type { ProgressStep } from '../pipelines/analysis.ts';

/** A step that repeats itself is told no more often than this. */
const gapMs = 100;

/**
 * Tells the steps of one analysis in their order: a step of another kind than the one before at once, those of the same kind (the next
 * frame, and the next) ten times a second at most. One that has to wait gives way to the next; the last of them is always told.
 */
export class PacedSteps {
  readonly #tell: (step: ProgressStep) => void;
  readonly #now: () => number;
  #told: { readonly event: ProgressStep['event']; readonly at: number } | undefined;
  #waiting: ProgressStep | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(tell: (step: ProgressStep) => void, now: () => number = () => performance.now()) {
    this.#tell = tell;
    this.#now = now;
  }

  add(step: ProgressStep): void {
    if (this.#told?.event !== step.event) this.flush();
    this.#waiting = step;
    const waitMs = this.#told?.event === step.event ? this.#told.at + gapMs - this.#now() : 0;
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
    this.#told = { event: step.event, at: this.#now() };
    this.#tell(step);
  }
}
