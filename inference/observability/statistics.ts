/** What every model did since the process began, in the terms of the inference protocol's statistics. */

/** How often something happened, and the time that all of it took. */
export interface Duration {
  readonly count: number;
  readonly ms: number;
}

export interface StageTimes {
  /** From the whole request to its answer. */
  readonly requestMs: number;
  readonly queueMs: number;
  /** Decoding and preparing the media. */
  readonly inputMs: number;
  /** In the graph. */
  readonly inferMs: number;
}

export interface BatchStatistics {
  /** Items that the graph computed at once. */
  readonly batchSize: number;
  readonly infer: Duration;
}

export interface ModelStatistics {
  /** Milliseconds since 1970; 0 where there was none. */
  readonly lastInferenceAt: number;
  /** Items (tiles, windows) that the graph computed. */
  readonly inferences: number;
  /** Calls of the graph. */
  readonly executions: number;
  readonly success: Duration;
  readonly fail: Duration;
  readonly queue: Duration;
  readonly computeInput: Duration;
  readonly computeInfer: Duration;
  readonly computeOutput: Duration;
  readonly batches: readonly BatchStatistics[];
}

const nothing: Duration = { count: 0, ms: 0 };
const idle: ModelStatistics = {
  lastInferenceAt: 0,
  inferences: 0,
  executions: 0,
  success: nothing,
  fail: nothing,
  queue: nothing,
  computeInput: nothing,
  computeInfer: nothing,
  computeOutput: nothing,
  batches: [],
};

export class Statistics {
  readonly #models = new Map<string, ModelStatistics>();
  readonly #now: () => number;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  of(model: string): ModelStatistics {
    return this.#models.get(model) ?? idle;
  }

  succeeded(model: string, { requestMs, queueMs, inputMs, inferMs }: StageTimes): void {
    const before = this.of(model);
    const outputMs = Math.max(0, requestMs - queueMs - inputMs - inferMs);
    this.#models.set(model, {
      ...before,
      lastInferenceAt: this.#now(),
      success: plus(before.success, requestMs),
      queue: plus(before.queue, queueMs),
      computeInput: plus(before.computeInput, inputMs),
      computeInfer: plus(before.computeInfer, inferMs),
      computeOutput: plus(before.computeOutput, outputMs),
    });
  }

  /** An answer that needed no work of its own. */
  reused(model: string, requestMs: number): void {
    const before = this.of(model);
    this.#models.set(model, { ...before, success: plus(before.success, requestMs) });
  }

  failed(model: string, requestMs: number): void {
    const before = this.of(model);
    this.#models.set(model, { ...before, fail: plus(before.fail, requestMs) });
  }

  /** The graph computed so many items in one call. */
  executed(model: string, items: number, ms: number): void {
    const before = this.of(model);
    const ofThisSize = before.batches.find(({ batchSize }) => batchSize === items);
    const others = before.batches.filter((batch) => batch !== ofThisSize);
    const batch = { batchSize: items, infer: plus(ofThisSize?.infer ?? nothing, ms) };
    this.#models.set(model, {
      ...before,
      inferences: before.inferences + items,
      executions: before.executions + 1,
      batches: [...others, batch].sort((a, b) => a.batchSize - b.batchSize),
    });
  }
}

function plus({ count, ms }: Duration, moreMs: number): Duration {
  return { count: count + 1, ms: ms + moreMs };
}
