/** What the scores of frames say together. Pure functions of numbers. */
import { mean, type ScoredFrame, type Segment } from '../analysis.ts';

/** Frames that one value of the rolling average covers, itself included. */
const rollingFrames = 5;

/** @param scores not empty */
export function signalsOf(scores: readonly number[], high: number) {
  const average = mean(scores);
  return {
    frames_analysed: scores.length,
    max_frame_score: Math.max(...scores),
    min_frame_score: Math.min(...scores),
    score_variance: mean(scores.map((score) => (score - average) ** 2)),
    suspicious_frames_count: scores.filter((score) => score >= high).length,
    rolling_average_scores: rollingAverage(scores, rollingFrames),
  };
}

/** The mean of each value and up to `width - 1` before it. */
export function rollingAverage(values: readonly number[], width: number): number[] {
  return values.map((_, index) => mean(values.slice(Math.max(0, index - width + 1), index + 1)));
}

/**
 * The video as stretches whose frames all look more like a fake, or all do not (the border is 0.5). Each reaches from its first frame to the
 * first of the next one.
 */
export function segmentsOf(frames: readonly ScoredFrame[], endSeconds: number): Segment[] {
  const starts = frames.flatMap((frame, index) => {
    const before = frames[index - 1];
    return before !== undefined && looksFake(before) === looksFake(frame) ? [] : [index];
  });
  return starts.map((start, order) => {
    const next = starts[order + 1];
    const part = frames.slice(start, next);
    const end = next === undefined ? endSeconds : frames[next]?.t_s;
    return {
      start_s: frames[start]?.t_s ?? 0,
      end_s: end ?? endSeconds,
      score: mean(part.map(({ score }) => score)),
    };
  });
}

function looksFake({ score }: ScoredFrame): boolean {
  return score >= 0.5;
}
