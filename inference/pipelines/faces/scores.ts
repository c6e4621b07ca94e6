/** What the logits of faces say together: of frames, of tracks, of the whole. Pure functions of numbers. */
import type { Box } from '../../faces/faces.ts';
import {
  type FaceScore,
  type FaceTrack,
  type FrameScore,
  mean,
  type ScoredFrame,
  type Segment,
} from '../analysis.ts';
import { segmentsOf, signalsOf } from '../video-frames/scores.ts';

export interface FaceScoring {
  /** Calibrated P(fake) of a logit. */
  readonly scoreOf: (logit: number) => number;
  /** What a high logit speaks for. */
  readonly positive: 'fake' | 'real';
  /** From this score on a frame counts as suspicious. */
  readonly high: number;
}

/** A face as the graph judged it. */
export interface JudgedFace {
  /** Place among the frames. */
  readonly frame: number;
  readonly trackId: number;
  readonly box: Box;
  readonly logit: number;
}

/** The highest score among a frame's faces is the frame's; null without one. */
export function framesWithFaces(
  moments: readonly number[],
  faces: readonly JudgedFace[],
  { scoreOf }: Pick<FaceScoring, 'scoreOf'>,
): FrameScore[] {
  return moments.map((t_s, index) => {
    const own = faces
      .filter(({ frame }) => frame === index)
      .map(({ trackId, box, logit }): FaceScore => ({ track_id: trackId, box, score: scoreOf(logit) }));
    return {
      index,
      t_s,
      score: own.length === 0 ? null : Math.max(...own.map(({ score }) => score)),
      faces: own,
    };
  });
}

/** Of each frame with a face, in order: the logit of the face that looks most like a fake. */
export function frameLogits(
  faces: readonly JudgedFace[],
  { scoreOf }: Pick<FaceScoring, 'scoreOf'>,
): number[] {
  const byFrame = new Map<number, number>();
  for (const { frame, logit } of faces) {
    const before = byFrame.get(frame);
    if (before === undefined || scoreOf(logit) > scoreOf(before)) byFrame.set(frame, logit);
  }
  return [...byFrame].sort(([a], [b]) => a - b).map(([, logit]) => logit);
}

/** In the order in which they appear. */
export function tracksOf(
  moments: readonly number[],
  faces: readonly JudgedFace[],
  { scoreOf }: Pick<FaceScoring, 'scoreOf'>,
): FaceTrack[] {
  return [...new Set(faces.map(({ trackId }) => trackId))].map((trackId) => {
    const own = faces.filter((face) => face.trackId === trackId);
    const times = own.map(({ frame }) => moments[frame] ?? 0);
    return {
      track_id: trackId,
      score: scoreOf(mean(own.map(({ logit }) => logit))),
      span_s: [Math.min(...times), Math.max(...times)],
    };
  });
}

export function scoredFrames(frames: readonly FrameScore[]): ScoredFrame[] {
  return frames.flatMap((frame) => (frame.score === null ? [] : [{ ...frame, score: frame.score }]));
}

/** As `segmentsOf`, for each stretch of frames with a face: what lies between them was not judged. */
export function faceSegments(frames: readonly FrameScore[], endSeconds: number): Segment[] {
  const segments: Segment[] = [];
  let stretch: ScoredFrame[] = [];
  for (const frame of frames) {
    if (frame.score !== null) stretch.push({ ...frame, score: frame.score });
    else {
      segments.push(...segmentsOf(stretch, frame.t_s));
      stretch = [];
    }
  }
  return [...segments, ...segmentsOf(stretch, endSeconds)];
}

/** Without scores where no frame has a face. */
export function faceSignals(frames: readonly FrameScore[], high: number) {
  const scored = scoredFrames(frames).map(({ score }) => score);
  const faces = frames.flatMap((frame) => frame.faces ?? []);
  const counts = {
    frames_analysed: frames.length,
    frames_with_face: scored.length,
    total_faces_detected: faces.length,
  };
  if (scored.length === 0) return counts;
  return {
    ...signalsOf(scored, high),
    ...counts,
    average_face_score: mean(faces.map(({ score }) => score)),
  };
}
