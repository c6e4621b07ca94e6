/** Measured values of videos, under the names by which clients of video models know them. */
import { z } from 'zod';
import type { Analysis } from '../../pipelines/analysis.ts';
import { rounded } from './numbers.ts';
import { listOf, probability } from './parts.ts';

const count = z.int().min(0);
const frames = 'Of frames, or of windows where the model judges those.';

/** Each only where the model measures it. */
export const videoMetrics = z
  .strictObject({
    rolling_average_scores: listOf(probability).describe(frames),
    final_average_score: probability.nullable().describe('Null when nothing could be judged.'),
    max_score: probability.describe(frames),
    min_score: probability.describe(frames),
    score_variance: z.number().min(0).describe(frames),
    suspicious_frames_count: count.describe(frames),
    total_faces_detected: count,
    average_face_score: probability,
    sequence_count: count.describe('Windows of histograms of the colours of the face.'),
    suspicious_sequences_count: count.describe('Those at or above the limit for a deepfake.'),
    blink_sequences_found: count.describe('Windows of pictures of eyes that blink.'),
    suspicious_blink_sequences: count.describe('Those at or above the limit for a deepfake.'),
    average_blink_suspicion: probability.describe('Mean score of these windows.'),
    blink_count: count,
    blinks_per_minute: z.number().min(0).describe('Over the time in which eyes were seen.'),
    mean_blink_duration_ms: z
      .number()
      .positive()
      .describe('Of the blinks that were seen from beginning to end.'),
    mean_ear: z
      .number()
      .min(0)
      .describe('Mean eye aspect ratio: about 0.3 for open eyes, less for closed ones.'),
  })
  .partial()
  .describe('Measured values of the video by name; each only where the model measures it.');

export type VideoMetrics = z.infer<typeof videoMetrics>;

/** Frames have names of their own for these among the signals. */
export function metricsView({ signals, score }: Pick<Analysis, 'signals' | 'score'>): VideoMetrics {
  const { max_frame_score: max_score, min_frame_score: min_score } = signals;
  const known: Analysis['signals'] = {
    ...(max_score === undefined ? {} : { max_score }),
    ...(min_score === undefined ? {} : { min_score }),
    ...signals,
  };
  const measured = Object.keys(videoMetrics.shape).flatMap((name) =>
    known[name] === undefined ? [] : [[name, known[name]] as const],
  );
  return rounded<VideoMetrics>({ final_average_score: score, ...Object.fromEntries(measured) });
}
