/** How a detection looks in a trace: `analyse`, with the stages that the worker measured below it, one after the other. */
import type { Judge } from '../models/judge.ts';
import type { Verdict } from '../models/verdict.ts';
import { stagesOf, type TimedDetection } from './stages.ts';
import type { Span } from './tracing.ts';

export interface TracedDetection extends TimedDetection {
  readonly model: Judge;
  readonly mime: string;
  readonly analysis: TimedDetection['analysis'] & {
    readonly score: number | null;
    readonly verdict: Verdict;
  };
}

/** The verdict of several models beside the analyses of each. @param startMs when the upload was whole, by `performance.now()` */
export function recordFusion(span: Span, startMs: number, detection: TracedDetection): void {
  const attributes = attributesOf(detection);
  span.record('fuse', startMs, startMs + detection.totalMs - detection.uploadMs, { attributes });
}

/** @param startMs when the upload was whole, by `performance.now()` */
export function recordDetection(span: Span, startMs: number, detection: TracedDetection): void {
  const { totalMs, uploadMs } = detection;
  const attributes = attributesOf(detection);
  const analyse = span.record('analyse', startMs, startMs + totalMs - uploadMs, { attributes });
  const { upload, ...stages } = stagesOf(detection);
  let at = startMs;
  for (const [stage, ms] of Object.entries(stages)) {
    analyse.record(stage, at, at + ms);
    at += ms;
  }
}

function attributesOf({ model, mime, analysis: { score, verdict } }: TracedDetection) {
  return {
    'deepfake.model.name': model.name,
    'deepfake.model.version': model.manifest.version,
    'deepfake.media.type': mime,
    'deepfake.verdict': verdict,
    ...(score === null ? {} : { 'deepfake.score': score }),
  };
}
