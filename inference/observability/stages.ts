/** Where the time of a detection goes, for metrics and traces alike. */
import type { CacheResult } from '../cache/judgements.ts';

export interface TimedDetection {
  readonly uploadMs: number;
  /** Of looking for a known result; undefined where nobody looked. */
  readonly lookUpMs?: number;
  readonly queueMs: number;
  readonly totalMs: number;
  readonly cache?: CacheResult;
  readonly analysis: { readonly timingsMs: Readonly<Record<string, number>> };
}

/**
 * Milliseconds by stage, in the order in which they follow each other; `post` is what no other stage accounts for. A result that is known,
 * or that another request worked for, has no stages of work.
 */
export function stagesOf(detection: TimedDetection): Record<string, number> {
  const { uploadMs, lookUpMs, queueMs, totalMs, cache, analysis } = detection;
  const before = { upload: uploadMs, ...(lookUpMs === undefined ? {} : { cache: lookUpMs }) };
  if (cache === 'hit' || cache === 'coalesced') return before;
  const known = { ...before, queue: queueMs, ...analysis.timingsMs };
  const sum = Object.values(known).reduce((total, ms) => total + ms, 0);
  return { ...known, post: Math.max(0, totalMs - sum) };
}
