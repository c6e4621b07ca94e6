/**
 * Lets items of concurrent jobs share a run of their graph. A job is all that one analysis asks of a graph: tiles, windows, frames, faces.
 * Jobs take turns item by item, so that one of 25 tiles does not hold up one of a single tile.
 */

export interface BatchLimits {
  /** Items that one run takes. */
  readonly maxItems: number;
  /** Numbers that one run takes over all its items, so that large items share it with fewer others; a single item may have more. */
  readonly maxElements: number;
  /** How long a run that is not full waits for others to join, in milliseconds; 0 is not at all. */
  readonly maxDelayMs: number;
}

/**
 * Computes one run.
 * @param batch `[items, ...itemShape]`, row-major
 * @returns one value per item, in order
 */
export type Run<Value> = (
  batch: Float32Array,
  items: number,
  itemShape: readonly number[],
) => Promise<readonly Value[]>;

interface Shaped {
  readonly itemShape: readonly number[];
}

interface Job<Value> extends Shaped {
  readonly items: readonly Float32Array[];
  readonly values: Value[];
  /** The first item that no run has taken yet. */
  next: number;
  /** Items whose value is not known yet. */
  missing: number;
  /** Settled: answered, failed or aborted. What runs still compute of it is thrown away. */
  done: boolean;
  readonly resolve: (values: readonly Value[]) => void;
  readonly reject: (error: unknown) => void;
}

interface Place<Value> {
  readonly job: Job<Value>;
  readonly index: number;
}

/** One run at a time: the next one takes what has come meanwhile. */
export class Batcher<Value> {
  readonly #run: Run<Value>;
  readonly #limits: BatchLimits;
  /** Jobs with items that no run has taken, in the order of their turns. */
  #waiting: Job<Value>[] = [];
  #running = false;
  #delay: NodeJS.Timeout | undefined;

  constructor(run: Run<Value>, limits: BatchLimits) {
    this.#run = run;
    this.#limits = limits;
  }

  /**
   * @param items `[n, ...itemShape]`, row-major, or item by item, which may share memory; not to be changed before the answer
   * @returns n values, in the order of the items
   * @throws what the runs of its items threw; the signal's reason as soon as it is aborted
   */
  async submit(
    items: Float32Array | readonly Float32Array[],
    itemShape: readonly number[],
    signal: AbortSignal,
  ): Promise<readonly Value[]> {
    signal.throwIfAborted();
    const parts = items instanceof Float32Array ? partsOf(items, itemShape) : items;
    if (parts.length === 0) return [];
    const { promise, resolve, reject } = Promise.withResolvers<readonly Value[]>();
    const missing = parts.length;
    const job = { items: parts, itemShape, values: [], next: 0, missing, done: false, resolve, reject };
    const onAbort = () => this.#fail(job, signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    this.#waiting.push(job);
    this.#proceed();
    return promise.finally(() => signal.removeEventListener('abort', onAbort));
  }

  /** Starts a run where none is under way and nothing is to be waited for. */
  #proceed(): void {
    if (this.#running || this.#waiting.length === 0) return;
    if (this.#limits.maxDelayMs > 0 && !this.#isFull()) {
      this.#delay ??= setTimeout(() => this.#start(), this.#limits.maxDelayMs);
    } else this.#start();
  }

  /** What has waited for a run has waited for company too, so that only the first run after a pause is delayed. */
  #start(): void {
    clearTimeout(this.#delay);
    this.#delay = undefined;
    if (this.#waiting.length === 0) return;
    this.#running = true;
    void this.#drain();
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) await this.#compute(this.#take());
    this.#running = false;
  }

  #isFull(): boolean {
    const [first] = this.#waiting;
    if (first === undefined) return false;
    const ready = this.#waiting
      .filter((job) => sameShape(job, first))
      .reduce((sum, job) => sum + job.items.length - job.next, 0);
    return ready >= this.#capacityFor(first);
  }

  #capacityFor({ items: [item] }: Job<Value>): number {
    const { maxItems, maxElements } = this.#limits;
    return Math.max(1, Math.min(maxItems, Math.floor(maxElements / (item?.length ?? 1))));
  }

  /** The next run: one item of each job in turn, of the shape of the first job, until it is full or they have no more. */
  #take(): Place<Value>[] {
    const [first] = this.#waiting;
    if (first === undefined) return [];
    const capacity = this.#capacityFor(first);
    const turns = this.#waiting.filter((job) => sameShape(job, first));
    const places: Place<Value>[] = [];
    while (places.length < capacity) {
      const job = turns.shift();
      if (job === undefined) break;
      places.push({ job, index: job.next++ });
      if (job.next < job.items.length) turns.push(job);
    }
    const others = this.#waiting.filter((job) => !sameShape(job, first));
    this.#waiting = [...others, ...turns];
    return places;
  }

  /** A run that fails is done again item by item, so that only the job whose item is bad fails. */
  async #compute(places: readonly Place<Value>[]): Promise<void> {
    const [first] = places;
    if (first === undefined) return;
    try {
      const batch = joined(places.map(({ job, index }) => job.items[index] ?? new Float32Array()));
      const values = await this.#run(batch, places.length, first.job.itemShape);
      if (values.length !== places.length)
        throw new Error('a run has another number of values than of items');
      for (const [row, { job, index }] of places.entries()) this.#answer(job, index, values[row] as Value);
    } catch (error) {
      if (places.every(({ job }) => job === first.job)) this.#fail(first.job, error);
      else for (const place of places) if (!place.job.done) await this.#compute([place]);
    }
  }

  #answer(job: Job<Value>, index: number, value: Value): void {
    job.values[index] = value;
    job.missing -= 1;
    if (job.missing > 0 || job.done) return;
    job.done = true;
    job.resolve(job.values);
  }

  #fail(job: Job<Value>, error: unknown): void {
    job.done = true;
    this.#waiting = this.#waiting.filter((candidate) => candidate !== job);
    job.reject(error);
  }
}

function partsOf(items: Float32Array, itemShape: readonly number[]): Float32Array[] {
  const length = itemShape.reduce((product, side) => product * side, 1);
  return Array.from({ length: items.length / length }, (_, index) =>
    items.subarray(index * length, (index + 1) * length),
  );
}

function sameShape(a: Shaped, b: Shaped): boolean {
  return (
    a.itemShape.length === b.itemShape.length && a.itemShape.every((side, axis) => side === b.itemShape[axis])
  );
}

/** A single part is not copied. */
function joined(parts: readonly Float32Array[]): Float32Array {
  const [first, ...others] = parts;
  if (first !== undefined && others.length === 0) return first;
  const whole = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
