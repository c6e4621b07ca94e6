/** `pipeline` of the family `video-colour-cues`: a graph judges sequences of histograms of a face's colours. */
import { z } from 'zod';
import { followedFace, followedWindows, pixelMargin } from './face-cues.ts';

export const videoColourCues = z
  .strictObject({
    type: z.literal('video-colour-cues'),
    sampling: z.discriminatedUnion('mode', [
      /** The middles of as many equal parts. */
      z.strictObject({ mode: z.literal('uniform'), frames: z.int().min(2).max(512) }),
      /** From the beginning, so many per second. */
      z.strictObject({
        mode: z.literal('fps'),
        rate: z.number().min(0.01).max(120),
        maxFrames: z.int().min(2).max(2048),
      }),
    ]),
    ...followedFace,
    /** Added at each side of the box around the landmarks; what lies outside the picture is left out. */
    margin: pixelMargin,
    /** Of the histogram, along each axis. */
    bins: z.int().min(2).max(64),
    ...followedWindows,
    /** Windows that one value of the rolling average covers, itself included. */
    rollingWindows: z.int().min(1).max(256),
  })
  .refine(
    ({ sequence, sampling }) =>
      sequence <= (sampling.mode === 'uniform' ? sampling.frames : sampling.maxFrames),
    {
      path: ['sequence'],
      message: 'must not be more than the frames that are looked at',
    },
  );

export type VideoColourCuesParameters = z.infer<typeof videoColourCues>;
