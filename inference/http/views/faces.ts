/** What an answer says of single frames, of the faces in them, and of faces over frames. */
import { z } from 'zod';
import type { Analysis } from '../../pipelines/analysis.ts';
import { rounded } from './numbers.ts';
import { listOf, probability } from './parts.ts';

const box = z
  .strictObject({ x: z.number(), y: z.number(), width: z.number(), height: z.number() })
  .describe("In pixels of the media's upright pictures; it may reach beyond their edges.");

const trackId = z.int().describe('The same for what is taken for the same face in other frames.');

export const faceMembers = {
  frames: listOf(
    z.strictObject({
      index: z.int(),
      t_s: z.number(),
      score: probability.nullable().describe('Null for a frame that could not be judged: it shows no face.'),
      faces: listOf(z.strictObject({ track_id: trackId, box, score: probability })).optional(),
    }),
  ).optional(),
  tracks: listOf(
    z.strictObject({
      track_id: trackId,
      score: probability,
      span_s: z.array(z.number()).length(2).readonly().describe('Seconds of its first and its last frame.'),
    }),
  ).optional(),
};

/** Empty for media without frames. */
export function facesView({ frames, tracks }: Pick<Analysis, 'frames' | 'tracks'>) {
  return {
    ...(frames === undefined ? {} : { frames: rounded(frames) }),
    ...(tracks === undefined ? {} : { tracks: rounded(tracks) }),
  };
}
