/** `pipeline` of the family `video-audio`: features of frames and of the sound of the same file, and a head that judges both. */
import { z } from 'zod';
import { framePixels, frameShape } from './frames.ts';

/** What a video can have, in the order of the head's presence mask. */
export const mediaParts = ['video', 'audio'] as const;
export type MediaPart = (typeof mediaParts)[number];

export const videoAudio = z.strictObject({
  type: z.literal('video-audio'),
  /** Frames that the head takes, from the middles of as many equal parts; a video with fewer is filled up with its first frame. */
  frames: z.int().min(1).max(128),
  frame: frameShape,
  pixels: framePixels,
  sound: z.strictObject({
    /** Hz. */
    sampleRate: z.int().min(8000).max(48000),
    windowSeconds: z.number().min(0.1).max(30),
    /** Windows that the head takes, spread evenly from the beginning to the end; shorter sound is repeated. */
    windows: z.int().min(1).max(32),
    /** Only this much of the sound is used, from its beginning. */
    maxSeconds: z.number().min(1).max(3600),
  }),
  /** A file without one of these is not judged; what is not named here may be missing, and the head is told. */
  requires: z
    .array(z.enum(mediaParts))
    .refine((parts) => new Set(parts).size === parts.length, { message: 'a part is named twice' }),
});

export type VideoAudioParameters = z.infer<typeof videoAudio>;
