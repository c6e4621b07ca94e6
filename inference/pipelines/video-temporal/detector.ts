/** Frames of a video to features, once each; a head judges the clip as a whole, which is the verdict, and windows of it, which are the timeline. */
import type { Encoder } from '../../engine/encoder.ts';
import type { Classifier } from '../../engine/session.ts';
import { soleReader } from '../../media/video-reader.ts';
import type { VideoTemporalParameters } from '../../models/pipeline-parameters.ts';
import { type Detector, timed } from '../analysis.ts';
import {
  cutNotes,
  type FrameGraph,
  factsOf,
  frameReader,
  plannedFrames,
  progressOf,
  repetitionNotes,
  videoNotJudged,
  videoRequestOf,
} from '../videos.ts';
import { judgeSequences } from './sequence-judge.ts';
import { timelineRemarks, timelineSignals } from './timeline.ts';

export interface TemporalGraphs {
  /** `[n, 3, h, w]` or `[n, h, w, 3]` to `[n, D]`. */
  readonly encoder: Encoder;
  /** `[n, T, D]` to `[n]`. */
  readonly head: Classifier;
}

export interface TemporalScoring {
  /** Calibrated P(fake) of a logit. */
  readonly scoreOf: (logit: number) => number;
  /** From this score on a window counts as suspicious. */
  readonly high: number;
}

export function videoTemporalDetector(
  parameters: VideoTemporalParameters,
  { encoder, head }: TemporalGraphs,
  { scoreOf, high }: TemporalScoring,
): Detector {
  const { sampling, frame: shape, pixels, minFrames, rollingWindows, sequence } = parameters;
  const read = frameReader(shape, pixels);
  return async (input, context) => {
    const { signal, report, observer, videoReader = soleReader } = context;
    const request = videoRequestOf(input, context);
    const opened = await timed(() => videoReader.open(request));
    const video = opened.value;
    if (video === undefined) return videoNotJudged('no_frames', opened.ms);
    const facts = factsOf(video);
    const plan = plannedFrames(sampling, video);
    if (Math.min(plan.total, video.frameCount) < minFrames)
      return { ...videoNotJudged('too_short', opened.ms), ...facts };
    const { stretches, reachesEnd } = plan;
    const selection = { stretches, shape, keyframesOnly: false, reachesEnd };
    const frames = videoReader.frames(video, selection, request);
    const encode: FrameGraph<Float32Array> = (items, itemShape) => encoder.features(items, itemShape, signal);
    const seen = await timed(() => read(frames, encode, progressOf(plan.total, report)));
    const { values: features, moments, preprocessMs, inferMs } = seen.value;
    const decodeMs = opened.ms + seen.ms - preprocessMs - inferMs;
    if (features.length < Math.max(1, minFrames))
      return { ...videoNotJudged('too_short', opened.ms + seen.ms), ...facts };
    const judged = await timed(() =>
      judgeSequences(features, parameters, (items, itemShape) =>
        head.logits(items, itemShape, signal, observer),
      ),
    );
    const { logit, windows } = judged.value;
    const scores = windows.map((window) => scoreOf(window.logit));
    const timeline = windows.map(({ first, last }, index) => ({
      score: scores[index] ?? NaN,
      last,
      start_s: moments[first] ?? 0,
      end_s: moments[last] ?? 0,
    }));
    return {
      ...facts,
      logit,
      inconclusiveReasons: [],
      partScores: scores,
      frames: timeline.map(({ last, end_s, score }) => ({ index: last, t_s: end_s, score })),
      segments: timeline.map(({ start_s, end_s, score }) => ({ start_s, end_s, score })),
      signals: {
        frames_analysed: features.length,
        ...timelineSignals(scores, high, rollingWindows),
      },
      notes: [...cutNotes(plan), ...repetitionNotes(features.length, sequence)],
      remarks: (verdict) => timelineRemarks(scores, verdict),
      timingsMs: { decode: decodeMs, preprocess: preprocessMs, infer: inferMs + judged.ms },
    };
  };
}
