/** Where the time of a detection goes, for metrics and traces alike. */

export interface TimedDetection {
  readonly uploadMs: number;
  readonly queueMs: number;
  readonly totalMs: number;
  readonly analysis: { readonly timingsMs: Readonly<Record<string, number>> };
}

/** Milliseconds by stage, in the order in which they follow each other; `post` is what no other stage accounts for. */
export function stagesOf({ uploadMs, queueMs, totalMs, analysis }: TimedDetection): Record<string, number> {
  const known = { upload: uploadMs, queue: queueMs, ...analysis.timingsMs };
  const sum = Object.values(known).reduce((total, ms) => total + ms, 0);
  return { ...known, post: Math.max(0, totalMs - sum) };
}
