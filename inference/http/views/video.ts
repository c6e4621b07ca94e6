/** What an answer says of a video, under the names by which clients of video models know it. */
import { z } from 'zod';
import type { Thresholds } from '../../models/manifest.ts';
import { predictionOf } from '../../models/verdict.ts';
import type { Analysis } from '../../pipelines/analysis.ts';
import { faceMembers, facesView } from './faces.ts';
import { metricsView, videoMetrics } from './metrics.ts';
import { roundedScore } from './numbers.ts';
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
  ...faceMembers,
  frame_count: z.int().optional(),
  frames_analyzed: z.int().optional(),
  frame_predictions: listOf(
    z.strictObject({
      index: z.int(),
      score: probability.nullable(),
      prediction: z.enum(['REAL', 'FAKE']).nullable(),
    }),
  ).optional(),
  metrics: videoMetrics.optional(),
};

const videoAnswer = z.strictObject(videoMembers);

/** Empty for media without frames. */
export function videoView(analysis: Analysis, thresholds: Thresholds): z.infer<typeof videoAnswer> {
  const { frames, properties, signals } = analysis;
  if (frames === undefined) return {};
  const { frames_analysed } = signals;
  return {
    ...facesView(analysis),
    frame_count:
      properties !== undefined && 'frame_count' in properties ? properties.frame_count : frames.length,
    frames_analyzed: typeof frames_analysed === 'number' ? frames_analysed : frames.length,
    frame_predictions: frames.map(({ index, score: frameScore }) => ({
      index,
      score: roundedScore(frameScore),
      prediction: predictionOf(frameScore, thresholds),
    })),
    metrics: metricsView(analysis),
  };
}
