export interface Backoff {
  readonly baseMs: number;
  readonly capMs: number;
}

/**
 * Delay in ms before attempt number `failures` + 1: doubles with every failure up to the cap, of which a random half is
 * taken off, so that clients that failed together do not return together.
 */
export function backoffMs(failures: number, { baseMs, capMs }: Backoff, random: () => number): number {
  const full = Math.min(capMs, baseMs * 2 ** Math.min(Math.max(failures - 1, 0), 30));
  return Math.round(full * (0.5 + 0.5 * random()));
}
