/** Prometheus' text format, read strictly: a line that is not understood is an error, as a lost sample would be a wrong figure. Pure. */

export interface Sample {
  /** As written: of a histogram with `_bucket`, `_sum` or `_count`. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const sampleLine = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(.*)\})?[ \t]+(\S+)(?:[ \t]+-?\d+)?$/;
const label = /([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"((?:[^"\\\n]|\\.)*)"[ \t]*(,|$)[ \t]*/y;

/**
 * @param wanted names of samples; others are passed over
 * @throws Error with the number of a line that cannot be read
 */
export function parseExposition(text: string, wanted: ReadonlySet<string>): Sample[] {
  const samples: Sample[] = [];
  text.split('\n').forEach((raw, index) => {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) return;
    const match = sampleLine.exec(line);
    const value = match ? numberOf(match[4] ?? '') : undefined;
    if (!match || value === undefined) throw new Error(`line ${index + 1} of the metrics cannot be read`);
    const [, name = '', , inside = ''] = match;
    if (wanted.has(name)) samples.push({ name, labels: labelsOf(inside.trim(), index + 1), value });
  });
  return samples;
}

function labelsOf(text: string, line: number): Record<string, string> {
  const labels: Record<string, string> = {};
  label.lastIndex = 0;
  while (label.lastIndex < text.length) {
    const match = label.exec(text);
    if (!match) throw new Error(`line ${line} of the metrics has labels that cannot be read`);
    labels[match[1] ?? ''] = (match[2] ?? '').replace(/\\(.)/g, (_, escaped: string) =>
      escaped === 'n' ? '\n' : escaped,
    );
  }
  return labels;
}

const special: Readonly<Record<string, number>> = {
  '+Inf': Number.POSITIVE_INFINITY,
  Inf: Number.POSITIVE_INFINITY,
  '-Inf': Number.NEGATIVE_INFINITY,
  NaN: Number.NaN,
  Nan: Number.NaN,
};

/** As Prometheus writes numbers; undefined for anything else. */
export function numberOf(text: string): number | undefined {
  if (text in special) return special[text];
  return /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text) ? Number(text) : undefined;
}
