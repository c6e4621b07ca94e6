/** Single frames of a video, sampled over its length, each judged alone; the package says how their logits become one. */
import type { Classifier } from '../../engine/session.ts';
import { soleReader } from '../../media/video-reader.ts';
import type { VideoFramesParameters } from '../../models/pipeline-parameters.ts';
import { aggregate } from '../aggregation.ts';
import { type Detector, timed } from '../analysis.ts';
import {
  cutNotes,
  type FrameGraph,
  factsOf,
  frameReader,
  plannedFrames,
  progressOf,
  videoNotJudged,
  videoRequestOf,
} from '../videos.ts';
import { segmentsOf, signalsOf } from './scores.ts';

const keyframesNote = 'Only key frames were analysed: their times are those before the given ones.';

export interface VideoScoring {
  /** Calibrated P(fake) of a logit. */
  readonly scoreOf: (logit: number) => number;
  /** From this score on a frame counts as suspicious. */
  readonly high: number;
}

export function videoFramesDetector(
  parameters: VideoFramesParameters,
  classifier: Classifier,
  { scoreOf, high }: VideoScoring,
): Detector {
  const { sampling, frame: shape, keyframesOnly, minFrames, aggregation } = parameters;
  const read = frameReader(shape, parameters.pixels);
  return async (input, context) => {
    const { signal, report, observer, videoReader = soleReader } = context;
    const request = videoRequestOf(input, context);
    const opened = await timed(() => videoReader.open(request));
    const video = opened.value;
    if (video === undefined) return videoNotJudged('no_frames', opened.ms);
    const common = factsOf(video);
    const plan = plannedFrames(sampling, video);
    const { stretches, total, reachesEnd } = plan;
    if (Math.min(total, video.frameCount) < minFrames)
      return { ...videoNotJudged('too_short', opened.ms), ...common };
    const selection = { stretches, shape, keyframesOnly, reachesEnd };
    const frames = videoReader.frames(video, selection, request);
    const judge: FrameGraph<number> = (items, itemShape) =>
      classifier.logits(items, itemShape, signal, observer);
    const judged = await timed(() => read(frames, judge, progressOf(total, report)));
    const { values: logits, moments, preprocessMs, inferMs } = judged.value;
    if (logits.length < minFrames)
      return { ...videoNotJudged('too_short', opened.ms + judged.ms), ...common };
    const scores = logits.map(scoreOf);
    const frameScores = scores.map((score, index) => ({ index, t_s: moments[index] ?? 0, score }));
    return {
      ...common,
      logit: aggregate(logits, aggregation, scoreOf),
      inconclusiveReasons: [],
      partScores: scores,
      frames: frameScores,
      segments: segmentsOf(frameScores, plan.endSeconds),
      signals: signalsOf(scores, high),
      notes: [...cutNotes(plan), ...(keyframesOnly ? [keyframesNote] : [])],
      timingsMs: {
        decode: opened.ms + judged.ms - preprocessMs - inferMs,
        preprocess: preprocessMs,
        infer: inferMs,
      },
    };
  };
}
