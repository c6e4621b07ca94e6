/** `pipeline` of the families `video-faces` and `image-faces`: faces are looked for, and a graph judges each of them by itself. */
import { z } from 'zod';
import { framePixels } from './frames.ts';

const side = z.int().min(16).max(2048);
const share = z.number().min(0).max(1);

/** Which faces of a picture are judged, and what the graph sees of them. */
const faceCrops = {
  faces: z.strictObject({
    /** The largest so many of a picture. */
    max: z.int().min(1).max(32),
    /** A face whose box has a shorter side of fewer pixels, in the file's own pictures, is not judged. */
    minSide: z.int().min(1).max(1024),
  }),
  crop: z.strictObject({
    width: side,
    height: side,
    /** Of the box's width and height, added at each side. */
    margin: z.number().min(0).max(2),
    /**
     * `stretch` ignores the proportions of the box with its margins, `contain` keeps them with black bars, `square` cuts a square with the longer
     * side around the middle. The first two end where the picture ends; beyond that the square is black.
     */
    fit: z.enum(['stretch', 'contain', 'square']),
  }),
  pixels: framePixels,
};

/**
 * On uncalibrated P(fake) of the frames: where more than `fakeShare` of them and more than `fakeFrames` are above `high`, the mean of those;
 * else, where more than `realShare` are below `low`, the mean of those; else the mean of all.
 */
const confident = z
  .strictObject({
    method: z.literal('confident'),
    high: share,
    fakeShare: share,
    fakeFrames: z.int().min(0).max(2048),
    low: share,
    realShare: share,
  })
  .refine(({ low, high }) => low < high, { message: 'low must be below high' });

export const videoFaces = z.strictObject({
  type: z.literal('video-faces'),
  sampling: z.discriminatedUnion('mode', [
    /** The middles of as many equal parts. */
    z.strictObject({ mode: z.literal('uniform'), frames: z.int().min(1).max(512) }),
    /** From the beginning, so many per second. */
    z.strictObject({
      mode: z.literal('fps'),
      rate: z.number().min(0.01).max(120),
      maxFrames: z.int().min(1).max(2048),
    }),
  ]),
  /** Frames whose longer side has more pixels are brought to it before faces are looked for. */
  maxFrameSide: z.int().min(64).max(4096),
  ...faceCrops,
  /** A video with fewer frames that show a face to judge is not judged. */
  minFrames: z.int().min(1).max(512),
  aggregation: z.union([z.literal('mean-logit'), confident]),
});

/** The face that looks most like a fake decides. */
export const imageFaces = z.strictObject({ type: z.literal('image-faces'), ...faceCrops });

export type VideoFacesParameters = z.infer<typeof videoFaces>;
export type ImageFacesParameters = z.infer<typeof imageFaces>;
export type FaceCropParameters = Pick<ImageFacesParameters, 'faces' | 'crop' | 'pixels'>;
export type FaceAggregation = VideoFacesParameters['aggregation'];
export type ConfidentRule = Omit<z.infer<typeof confident>, 'method'>;
