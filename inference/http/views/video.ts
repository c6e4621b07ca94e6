/** What an answer says of a video, under the names by which clients of video models know it. */
import { z } from 'zod';
import type { Thresholds } from '../../models/manifest.ts';
import { predictionOf } from '../../models/verdict.ts';
import type { Analysis } from '../../pipelines/analysis.ts';
import { rounded, roundedScore } from './numbers.ts';
import { listOf, probability } from './parts.ts';

export const videoProperties = z.strictObject({
  duration_seconds: z.number(),
  frame_count: z.int(),
  frames_per_second: z.number(),
  codec: z.string(),
  rotation: z.number().describe('Clockwise degrees by which the stored pictures were turned.'),
  colour_range: z.enum(['full', 'limited', 'unspecified']),
  sample_rate: z.number().nullable().describe('Hz of the sound track; null without one.'),
  channels: z.int().nullable(),
});

export const videoMembers = {
  frames: listOf(z.strictObject({ index: z.int(), t_s: z.number(), score: probability })).optional(),
  frame_count: z.int().optional(),
  frames_analyzed: z.int().optional(),
  frame_predictions: listOf(
    z.strictObject({
      index: z.int(),
      score: probability,
      prediction: z.enum(['REAL', 'FAKE']).nullable(),
    }),
  ).optional(),
  metrics: z.record(z.string(), z.unknown()).optional().describe('Measured values of the video by name.'),
};

const videoAnswer = z.strictObject(videoMembers);

/** Empty for media without frames. */
export function videoView(
  { frames, properties, signals, score }: Analysis,
  thresholds: Thresholds,
): z.infer<typeof videoAnswer> {
  if (frames === undefined) return {};
  const { frames_analysed, rolling_average_scores, score_variance, suspicious_frames_count } = signals;
  const { max_frame_score, min_frame_score } = signals;
  const { max_score = max_frame_score, min_score = min_frame_score, final_average_score = score } = signals;
  return {
    frames: rounded(frames),
    frame_count: properties !== undefined && 'frame_count' in properties ? properties.frame_count : 0,
    frames_analyzed: typeof frames_analysed === 'number' ? frames_analysed : frames.length,
    frame_predictions: frames.map(({ index, score: frameScore }) => ({
      index,
      score: roundedScore(frameScore),
      prediction: predictionOf(frameScore, thresholds),
    })),
    metrics: rounded({
      rolling_average_scores,
      final_average_score,
      max_score,
      min_score,
      score_variance,
      suspicious_frames_count,
    }),
  };
}
