/** How far the scores of a model have moved from its own first ones. Pure: scores in, one number out. */

const bins = 10;
/** Scores that are remembered of the beginning, and of now. */
const windowSize = 500;
/** Fewer current scores say too little. */
const minCurrent = 100;

/**
 * The population stability index of two histograms of equal bins: the sum of (q - p) ln(q / p) over the bins, where p and q are the shares
 * of the reference and of what is compared. Every bin has one score more in 500 than was counted (Laplace), so that an empty one does not
 * make it infinite, and so that equal shares of fewer scores are equal still.
 *
 * Source: Siddiqi 2006, Credit Risk Scorecards, where less than 0.1 is no change and more than 0.25 a significant one. Yurdakul 2018,
 * Statistical Properties of Population Stability Index: where nothing has changed, it is distributed as (1/n + 1/m) times a chi-squared
 * variable with one degree of freedom less than there are bins; of 500 against 100 scores in ten bins its mean is 0.108, and of 500
 * against 500 it is 0.036.
 * @param reference counts
 * @param current counts of the same bins
 */
export function populationStabilityIndex(reference: readonly number[], current: readonly number[]): number {
  const p = shares(reference);
  const q = shares(current);
  return p.reduce((sum, share, bin) => sum + ((q[bin] ?? 0) - share) * Math.log((q[bin] ?? 0) / share), 0);
}

function shares(counts: readonly number[]): number[] {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const more = total / windowSize;
  return counts.map((count) => (count + more) / (total + more * counts.length));
}

/** The first 500 scores against the latest 500 after them, in ten bins of equal width. */
export class ScoreDrift {
  readonly #reference = new Array<number>(bins).fill(0);
  readonly #current = new Array<number>(bins).fill(0);
  /** The bins of the latest scores, the oldest one to be overwritten next. */
  readonly #ring: number[] = [];
  #count = 0;

  /** @param score calibrated P(fake), 0..1 */
  add(score: number): void {
    const bin = Math.min(bins - 1, Math.floor(score * bins));
    if (this.#count < windowSize) increase(this.#reference, bin, 1);
    else this.#addCurrent(bin, (this.#count - windowSize) % windowSize);
    this.#count += 1;
  }

  /** Undefined while there is too little to compare: 500 scores and 100 after them. */
  get value(): number | undefined {
    if (this.#count < windowSize + minCurrent) return undefined;
    return populationStabilityIndex(this.#reference, this.#current);
  }

  #addCurrent(bin: number, place: number): void {
    const forgotten = this.#ring[place];
    if (forgotten !== undefined) increase(this.#current, forgotten, -1);
    this.#ring[place] = bin;
    increase(this.#current, bin, 1);
  }
}

function increase(counts: number[], bin: number, by: number): void {
  counts[bin] = (counts[bin] ?? 0) + by;
}
