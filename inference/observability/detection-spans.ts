/** How a detection looks in a trace: `analyse`, with the stages that the worker measured below it, one after the other. */
import type { NamedPackage } from '../models/package.ts';
import type { Verdict } from '../models/verdict.ts';
import { stagesOf, type TimedDetection } from './stages.ts';
import type { Span } from './tracing.ts';

export interface TracedDetection extends TimedDetection {
  readonly model: NamedPackage;
  readonly mime: string;
  readonly analysis: TimedDetection['analysis'] & {
    readonly score: number | null;
    readonly verdict: Verdict;
  };
}

/** @param startMs when the upload was whole, by `performance.now()` */
export function recordDetection(span: Span, startMs: number, detection: TracedDetection): void {
  const { model, mime, analysis, totalMs, uploadMs, cache } = detection;
  const { score, verdict } = analysis;
  const attributes = {
    'deepfake.model.name': model.name,
    'deepfake.model.version': model.manifest.version,
    'deepfake.media.type': mime,
    'deepfake.verdict': verdict,
    ...(cache === undefined ? {} : { 'deepfake.cache': cache }),
    ...(score === null ? {} : { 'deepfake.score': score }),
  };
  const analyse = span.record('analyse', startMs, startMs + totalMs - uploadMs, { attributes });
  const { upload, ...stages } = stagesOf(detection);
  let at = startMs;
  for (const [stage, ms] of Object.entries(stages)) {
    analyse.record(stage, at, at + ms);
    at += ms;
  }
}
