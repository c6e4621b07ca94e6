const unitMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;

/** @param text Go's notation, e.g. `1h30m`, as the schema takes it @returns ms */
export function durationMs(text: string): number {
  let ms = 0;
  for (const [, count, unit] of text.matchAll(/([0-9.]+)(ms|s|m|h)/g))
    ms += Number(count) * unitMs[unit as keyof typeof unitMs];
  return ms;
}
