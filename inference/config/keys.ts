/**
 * How a YAML file calls a variable: its name in camelCase, cut into sections between words wherever one likes. `maxUploadBytes: 1`,
 * `max: {uploadBytes: 1}` and `MAX_UPLOAD_BYTES: 1` all are MAX_UPLOAD_BYTES.
 */
export function variableOf(path: readonly string[]): string {
  return path.map((key) => key.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase()).join('_');
}

/** The key in one piece. */
export function keyOf(variable: string): string {
  return variable.toLowerCase().replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** The name that takes the fewest insertions, removals and replacements of characters. */
export function nearest(wanted: string, names: readonly string[]): string | undefined {
  return names
    .map((name) => ({ name, distance: editDistance(wanted, name) }))
    .reduce<{ name: string; distance: number } | undefined>(
      (best, candidate) => (best === undefined || candidate.distance < best.distance ? candidate : best),
      undefined,
    )?.name;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [index, letter] of [...a].entries()) {
    const next = [index + 1];
    for (const [column, other] of [...b].entries()) {
      const replaced = (row[column] ?? 0) + (letter === other ? 0 : 1);
      next.push(Math.min(replaced, (row[column + 1] ?? 0) + 1, (next[column] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
