/** What measurements are made of: figures of histograms and of scored files. Pure; NaN where the data cannot give the figure. */

/** Of a Prometheus histogram: how many values were `le` or less. */
export interface Bucket {
  readonly le: number;
  readonly count: number;
}

/**
 * As Prometheus' `histogram_quantile`: linear inside a bucket, the lowest of which begins at 0.
 * @param buckets cumulative, in the order of `le`, the last one +Inf
 * @returns the largest finite `le` where the quantile lies above it; NaN without values
 */
export function histogramQuantile(quantile: number, buckets: readonly Bucket[]): number {
  const total = buckets.at(-1)?.count ?? 0;
  if (total === 0) return Number.NaN;
  const rank = quantile * total;
  const index = buckets.findIndex(({ count }) => count >= rank);
  const bucket = buckets[index];
  const below = buckets[index - 1] ?? { le: Math.min(0, bucket?.le ?? 0), count: 0 };
  if (!bucket || bucket.le === Number.POSITIVE_INFINITY) return below.le;
  const inside = bucket.count - below.count;
  const share = inside === 0 ? 1 : (rank - below.count) / inside;
  return below.le + (bucket.le - below.le) * share;
}

/** Values per bucket instead of cumulative counts. */
export const perBin = (buckets: readonly Bucket[]): number[] =>
  buckets.map(({ count }, index) => count - (buckets[index - 1]?.count ?? 0));

/** Sums of neighbours: `[1, 2, 3, 4]` in twos is `[3, 7]`. */
export function merged(bins: readonly number[], size: number): number[] {
  const sums: number[] = [];
  bins.forEach((count, index) => {
    const at = Math.floor(index / size);
    sums[at] = (sums[at] ?? 0) + count;
  });
  return sums;
}

/** What every bin has more than was counted, so that an empty one does not make the index infinite. */
const PSI_SMOOTHING = 0.5;

/**
 * Population stability index: the sum of (q - p) ln(q / p) over the bins, where p and q are the shares of the two histograms with half a value
 * more in every bin. Without any change its mean is about (bins - 1)(1/n + 1/m) for n and m values (Yurdakul 2018).
 * @param expected counts @param actual counts of the same bins
 */
export function populationStabilityIndex(expected: readonly number[], actual: readonly number[]): number {
  const p = smoothedShares(expected);
  const q = smoothedShares(actual);
  if (sum(expected) === 0 || sum(actual) === 0) return Number.NaN;
  return p.reduce(
    (total, share, bin) => total + ((q[bin] ?? 0) - share) * Math.log((q[bin] ?? 0) / share),
    0,
  );
}

function smoothedShares(counts: readonly number[]): number[] {
  const total = sum(counts) + PSI_SMOOTHING * counts.length;
  return counts.map((count) => (count + PSI_SMOOTHING) / total);
}

/** Kolmogorov-Smirnov: the largest distance between the two cumulative shares at the edges of the bins. A lower bound of that of the values. */
export function kolmogorovSmirnov(expected: readonly number[], actual: readonly number[]): number {
  const [n, m] = [sum(expected), sum(actual)];
  if (n === 0 || m === 0) return Number.NaN;
  let [largest, p, q] = [0, 0, 0];
  expected.forEach((count, bin) => {
    p += count / n;
    q += (actual[bin] ?? 0) / m;
    largest = Math.max(largest, Math.abs(p - q));
  });
  return largest;
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

/** What a model said to one request. */
export interface Decision {
  readonly id: string;
  /** undefined: it could not judge the media. */
  readonly score: number | undefined;
  readonly verdict: string;
}

export interface Agreement {
  /** Requests that both have decided. */
  readonly matched: number;
  /** Share of these with the same verdict. NaN where there are none. */
  readonly agreement: number;
  /** Of those that both have scored; NaN where there are none. */
  readonly meanScoreDifference: number;
}

/** Decisions about the same request, by its id; of several under one id of a side the last counts. */
export function agreementOf(ours: readonly Decision[], theirs: readonly Decision[]): Agreement {
  const byId = new Map(theirs.map((decision) => [decision.id, decision]));
  let [matched, equal, scored, difference] = [0, 0, 0, 0];
  for (const { id, score, verdict } of new Map(ours.map((decision) => [decision.id, decision])).values()) {
    const other = byId.get(id);
    if (!other) continue;
    matched += 1;
    if (other.verdict === verdict) equal += 1;
    if (score === undefined || other.score === undefined) continue;
    scored += 1;
    difference += Math.abs(score - other.score);
  }
  return { matched, agreement: equal / matched, meanScoreDifference: difference / scored };
}
