/** Numbers as status shows them: enough digits to judge by. */
export const rounded = (value: number): number | string =>
  Number.isFinite(value) ? Number(value.toPrecision(4)) : String(value);

/** Compact JSON; what is undefined is left out, what is not finite is its name. */
export function figures(values: Readonly<Record<string, number | undefined>>): string {
  const known = Object.entries(values).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, rounded(value)] as const],
  );
  return JSON.stringify(Object.fromEntries(known));
}
