/** `pipeline` of the family `video-temporal`: features of frames, and a head that judges sequences of them. */
import { z } from 'zod';
import { framePixels, frameShape } from './frames.ts';

const maxFrames = z.int().min(2).max(2048);

export const videoTemporal = z.strictObject({
  type: z.literal('video-temporal'),
  /** The frames that are encoded. */
  sampling: z.discriminatedUnion('mode', [
    /** The middles of as many equal parts: every frame of a video that has no more. */
    z.strictObject({ mode: z.literal('uniform'), frames: maxFrames }),
    /** From the beginning, so many per second. */
    z.strictObject({ mode: z.literal('fps'), rate: z.number().min(0.01).max(120), maxFrames }),
  ]),
  frame: frameShape,
  pixels: framePixels,
  /** Frames that the head takes: the T of `[n, T, D]`. */
  sequence: z.int().min(2).max(1024),
  /** Positions of the head on the timeline, at most. */
  windows: z.int().min(1).max(256),
  /** Positions that one value of the rolling average covers, itself included. */
  rollingWindows: z.int().min(1).max(256),
  /** A video with fewer frames is not judged; one with fewer than `sequence` is filled up with its first frame. */
  minFrames: z.int().min(1).max(1024),
});

export type VideoTemporalParameters = z.infer<typeof videoTemporal>;
