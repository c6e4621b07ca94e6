/** Where the time of a detection goes, for metrics and traces alike. */
import type { CacheResult } from '../cache/judgements.ts';

export interface TimedDetection {
  readonly uploadMs: number;
  readonly cache: CacheResult;
  readonly lookUpMs?: number;
  readonly queueMs: number;
  readonly totalMs: number;
  readonly analysis: { readonly timingsMs: Readonly<Record<string, number>> };
}

/**
 * Milliseconds by stage, in the order in which they follow each other; `post` is what no other stage accounts for. Work that was done once
 * counts once: a known result has none, and whoever waited for the run of an equal file has `wait` alone.
 */
export function stagesOf({ uploadMs, totalMs, cache, ...detection }: TimedDetection): Record<string, number> {
  if (cache === 'coalesced') return { upload: uploadMs, wait: totalMs - uploadMs };
  const { lookUpMs, queueMs, analysis } = detection;
  const lookUp = lookUpMs === undefined ? {} : { cache: lookUpMs };
  const work = cache === 'hit' ? {} : { queue: queueMs, ...analysis.timingsMs };
  const known = { upload: uploadMs, ...lookUp, ...work };
  const sum = Object.values(known).reduce((total, ms) => total + ms, 0);
  return { ...known, post: Math.max(0, totalMs - sum) };
}
