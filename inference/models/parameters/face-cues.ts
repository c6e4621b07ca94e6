/** What the families that follow the main face of a video have in common in `pipeline`. */
import { z } from 'zod';

export const followedFace = {
  /** Frames whose longer side has more pixels are brought to it before faces are looked for. */
  maxFrameSide: z.int().min(64).max(4096),
  /** A face whose landmarks reach over fewer pixels of the file's own pictures, on their shorter side, is not seen. */
  minFaceSide: z.int().min(1).max(1024),
};

/** What the graph takes of what was seen of the face, in order of time, and how its logits become one. */
export const followedWindows = {
  /** Items in a window: the T of `[n, T, ...]`. Windows never hold items of two people. */
  sequence: z.int().min(2).max(512),
  /** Items from one window to the next. */
  stride: z.int().min(1).max(512),
  /** Where there are more windows, so many of them are judged, evenly spread. */
  maxWindows: z.int().min(1).max(256),
  /** `mean-score` averages the probabilities before calibration; `max` takes the window that looks most like a fake. */
  aggregation: z.enum(['mean-logit', 'mean-score', 'max']),
};

/** In pixels of the frames that are looked at. */
export const pixelMargin = z.int().min(0).max(512);

const windows = z.object(followedWindows);

export type WindowParameters = Pick<z.infer<typeof windows>, 'sequence' | 'stride' | 'maxWindows'>;
export type WindowAggregation = z.infer<typeof windows>['aggregation'];
