/** `pipeline` of the family `video-eye-blink`: a graph judges sequences of pictures of eyes that blink. */
import { z } from 'zod';
import { followedFace, followedWindows, pixelMargin } from './face-cues.ts';
import { framePixels } from './frames.ts';
import { maxItemFloats } from './item-size.ts';

/** Of crops, all of which are kept until it is known which of them show a blink. */
const maxCropBytes = 128 * 1024 * 1024;

const threshold = z.discriminatedUnion('mode', [
  /** Eyes of a smaller aspect ratio are closed, whoever has them. */
  z.strictObject({ mode: z.literal('fixed'), ear: z.number().positive().max(1) }),
  /** Eyes are closed below this share of what is the percentile of the same person's eyes. */
  z.strictObject({
    mode: z.literal('adaptive'),
    percentile: z.number().min(1).max(100),
    share: z.number().positive().max(1),
  }),
]);

export const videoEyeBlink = z
  .strictObject({
    type: z.literal('video-eye-blink'),
    /**
     * From the beginning, so many per second, or as many as the video has where those are fewer. Blinks take 100 to 400 ms: at fewer than 15 frames
     * per second some are missed.
     */
    sampling: z.strictObject({
      mode: z.literal('fps'),
      rate: z.number().min(1).max(120),
      maxFrames: z.int().min(2).max(1024),
    }),
    ...followedFace,
    blinks: z.strictObject({
      threshold,
      /** Consecutive frames with closed eyes that make a blink. */
      minFrames: z.int().min(1).max(64),
    }),
    eyes: z.strictObject({
      /** Both sides of what the graph sees, in pixels. */
      size: z.int().min(16).max(512),
      /** Added at each side of the box around both eyes; what lies outside the picture is left out. */
      margin: pixelMargin,
    }),
    pixels: framePixels,
    ...followedWindows,
  })
  .refine(({ sequence, sampling }) => sequence <= sampling.maxFrames, {
    path: ['sequence'],
    message: 'must not be more than the frames that are looked at',
  })
  .refine(({ sampling, eyes }) => sampling.maxFrames * 3 * eyes.size ** 2 <= maxCropBytes, {
    path: ['sampling', 'maxFrames'],
    message: 'so many crops of that size take more than 128 MiB',
  })
  .refine(({ sequence, eyes }) => sequence * 3 * eyes.size ** 2 <= maxItemFloats, {
    path: ['sequence'],
    message: 'a window of so many crops of that size takes more than 64 MiB',
  });

export type VideoEyeBlinkParameters = z.infer<typeof videoEyeBlink>;
export type BlinkRule = VideoEyeBlinkParameters['blinks'];
