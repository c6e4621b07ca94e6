/** What the families that look at frames of videos have in common in `pipeline`. */
import { z } from 'zod';

export const perChannel = z.tuple([z.number(), z.number(), z.number()]);

/** What every frame becomes: stretched (fill), cut around its centre (cover) or whole with black bars (contain). */
export const frameShape = z.strictObject({
  width: z.int().min(16).max(2048),
  height: z.int().min(16).max(2048),
  fit: z.enum(['fill', 'cover', 'contain']),
  interpolation: z.enum(['area', 'bilinear', 'bicubic']),
});

/** `(value / 255 - mean) / std` per channel, in the order of the channels. */
export const framePixels = z.strictObject({
  channels: z.enum(['rgb', 'bgr']),
  layout: z.enum(['nchw', 'nhwc']),
  mean: perChannel,
  std: z.tuple([z.number().positive(), z.number().positive(), z.number().positive()]),
});

export type FrameParameters = z.infer<typeof frameShape>;
export type PixelParameters = z.infer<typeof framePixels>;
