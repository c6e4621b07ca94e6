/** Numbers as they are sent. */

/** Six decimals. */
export function roundedScore(score: number): number;
export function roundedScore(score: number | null): number | null;
export function roundedScore(score: number | null): number | null {
  return score === null ? null : Math.round(score * 1e6) / 1e6;
}

/** Four decimals are enough for every number that is not the score itself. */
export function rounded<T>(value: T): T {
  if (typeof value === 'number') return (Math.round(value * 1e4) / 1e4) as T;
  if (Array.isArray(value)) return value.map((item) => rounded(item)) as T;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, rounded(item)])) as T;
}

/** Milliseconds as seconds with three decimals. */
export function secondsOf(ms: number): number {
  return Math.round(ms) / 1000;
}

const gib = 1024 ** 3;

/** Bytes as GiB with two decimals. */
export function gibOf(bytes: number): number {
  return Math.round((bytes / gib) * 100) / 100;
}
