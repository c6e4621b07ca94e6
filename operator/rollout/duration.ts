const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/**
 * Milliseconds of a duration in Go's notation, 1h30m for example.
 * @throws TypeError where it is none
 */
export function durationMs(text: string): number {
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text)) {
    throw new TypeError(`${text} is no duration: write it as 90s or 1h30m`);
  }
  const parts = text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g);
  return [...parts].reduce((total, [, value, unit = 's']) => total + Number(value) * (UNIT_MS[unit] ?? 0), 0);
}
