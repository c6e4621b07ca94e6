/** Reads what a program says in Prometheus' text format. Pure. */

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export function parseMetrics(text: string): Sample[] {
  return text.split('\n').flatMap((line) => {
    const [, name = '', labels = '', value = ''] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line) ?? [];
    if (name === '') return [];
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)];
    return [
      {
        name,
        labels: Object.fromEntries(pairs.map(([, key = '', text = '']) => [key, text])),
        value: value === '+Inf' ? Number.POSITIVE_INFINITY : Number(value),
      },
    ];
  });
}

/** The sum of a metric's samples that carry the given labels; 0 where there is none. */
export function sumOf(
  samples: readonly Sample[],
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number {
  return matching(samples, name, labels).reduce((total, { value }) => total + value, 0);
}

const matching = (samples: readonly Sample[], name: string, labels: Readonly<Record<string, string>>) =>
  samples.filter(
    (sample) =>
      sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
  );

/** Cumulative counts by upper bound, in ascending order. */
export type Histogram = readonly { readonly le: number; readonly count: number }[];

/** What a histogram counted between two scrapes of one process. */
export function histogramBetween(
  before: readonly Sample[],
  after: readonly Sample[],
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Histogram {
  const bounds = (samples: readonly Sample[]) => {
    const counts = new Map<number, number>();
    for (const { labels: found, value } of matching(samples, `${name}_bucket`, labels)) {
      const le = found['le'] === '+Inf' ? Number.POSITIVE_INFINITY : Number(found['le']);
      counts.set(le, (counts.get(le) ?? 0) + value);
    }
    return counts;
  };
  const earlier = bounds(before);
  return [...bounds(after)]
    .map(([le, count]) => ({ le, count: count - (earlier.get(le) ?? 0) }))
    .sort((a, b) => a.le - b.le);
}

/**
 * The value below which a share of the observations lies, interpolated inside its bucket as Prometheus does; undefined
 * without observations. In the last bucket it is that bucket's lower bound.
 */
export function quantile(histogram: Histogram, share: number): number | undefined {
  const total = histogram.at(-1)?.count ?? 0;
  if (total === 0) return undefined;
  const rank = share * total;
  const index = histogram.findIndex(({ count }) => count >= rank);
  const { le = 0, count = 0 } = histogram[index] ?? {};
  const { le: from, count: below } = histogram[index - 1] ?? { le: 0, count: 0 };
  if (le === Number.POSITIVE_INFINITY) return from;
  return count === below ? le : from + ((le - from) * (rank - below)) / (count - below);
}

/** The same of single observations, by the nearest rank; undefined of none. */
export function percentile(values: readonly number[], share: number): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
}
