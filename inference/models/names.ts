/** Serving names as people write them: catalogues of detectors spell one model with and without hyphens and capitals. */

/** The one of `known` that is meant: the name itself, or the only one that differs in case, `-` and `_` alone; otherwise the name as it came. */
export function canonicalName(wanted: string, known: readonly string[]): string {
  if (known.includes(wanted)) return wanted;
  const alike = known.filter((name) => isSameName(name, wanted));
  return alike.length === 1 && alike[0] !== undefined ? alike[0] : wanted;
}

/** Whether who writes the one could mean the other. */
export function isSameName(one: string, other: string): boolean {
  return bare(one) === bare(other);
}

function bare(name: string): string {
  return name.toLowerCase().replace(/[-_]/g, '');
}
