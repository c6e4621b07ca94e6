/** What each detector family reads from `pipeline` in `model.yaml`: one member of the union per folder in `pipelines/`. */
import { z } from 'zod';
import { framePixels, frameShape, perChannel } from './parameters/frames.ts';
import { videoAudio } from './parameters/video-audio.ts';
import { videoTemporal } from './parameters/video-temporal.ts';

/** Square tiles of an image at its native resolution go through a graph that filters residuals itself. */
const imageResidual = z.strictObject({
  type: z.literal('image-residual'),
  /** Side of a tile in pixels. */
  crop: z.int().min(32).max(1024),
  /** Largest number of tiles; a square number, because tiles form a grid. */
  tiles: z.literal([1, 4, 9, 16, 25]),
  /** An image whose shorter side has fewer pixels is not judged. */
  minSide: z.int().min(16),
  aggregation: z.literal('mean-logit'),
});

const side = z.int().min(16).max(2048);

/** The whole image at one size goes through a graph that sees pixels, as most published image classifiers do. */
const imageClassifier = z.strictObject({
  type: z.literal('image-classifier'),
  /** What the graph takes, in pixels. */
  size: z.strictObject({ width: side, height: side }),
  fit: z.literal(['stretch', 'cover-center', 'contain-pad']),
  kernel: z.literal(['nearest', 'linear', 'cubic', 'mitchell', 'lanczos2', 'lanczos3']),
  /** `shrink` lets JPEG decode at a lower resolution: faster, but it smooths the traces that some detectors read. */
  decode: z.literal(['full', 'shrink']),
  channels: z.literal(['rgb', 'bgr']),
  layout: z.literal(['nchw', 'nhwc']),
  /** A value is (scale * pixel - mean) / std with pixels in 0..255; mean and std are in the order of `channels`. */
  scale: z.number().positive(),
  mean: perChannel,
  std: z.tuple([z.number().positive(), z.number().positive(), z.number().positive()]),
  /** An image whose shorter side has fewer pixels is not judged. */
  minSide: z.int().min(1),
});

/** Overlapping windows of mono sound go through a graph that computes its spectrogram itself. */
const audioSpectrogram = z
  .strictObject({
    type: z.literal('audio-spectrogram'),
    /** Hz. */
    sampleRate: z.int().min(8000).max(48000),
    windowSeconds: z.number().min(0.25).max(30),
    hopSeconds: z.number().min(0.1).max(30),
    /** Less sound than this, after silence is trimmed, is not judged. */
    minSeconds: z.number().min(0.1),
    /** Only this much of a file is analysed, from its beginning. */
    maxSeconds: z.number().min(1).max(3600),
    aggregation: z.literal('mean-logit'),
  })
  .refine((value) => value.minSeconds < value.maxSeconds, { message: 'minSeconds must be below maxSeconds' });

/** Which moments of a video are looked at. */
const sampling = z.discriminatedUnion('mode', [
  /** The middles of as many equal parts. */
  z.strictObject({ mode: z.literal('uniform'), frames: z.int().min(1).max(512) }),
  /** From the beginning, so many per second. */
  z.strictObject({
    mode: z.literal('fps'),
    rate: z.number().min(0.01).max(120),
    maxFrames: z.int().min(1).max(2048),
  }),
  /** Windows of so many seconds, spread between a start and the end. */
  z.strictObject({
    mode: z.literal('windows'),
    startSeconds: z.number().min(0),
    seconds: z.number().min(0.04).max(60),
    count: z.int().min(1).max(64),
    framesPerWindow: z.int().min(1).max(64),
  }),
]);

/** Single frames of a video go through the graph one by one, each an item of its batch. */
const videoFrames = z.strictObject({
  type: z.literal('video-frames'),
  sampling,
  frame: frameShape,
  pixels: framePixels,
  /** Takes the key frame before each moment: faster, and another distribution of frames. */
  keyframesOnly: z.boolean(),
  /** A video with fewer frames is not judged. */
  minFrames: z.int().min(1).max(512),
  aggregation: z.enum(['mean-logit', 'mean-score', 'max']),
});

export const pipelineSchema = z.discriminatedUnion('type', [
  imageResidual,
  imageClassifier,
  audioSpectrogram,
  videoFrames,
  videoTemporal,
  videoAudio,
]);

export type PipelineParameters = z.infer<typeof pipelineSchema>;
export type ImageResidualParameters = z.infer<typeof imageResidual>;
export type ImageClassifierParameters = z.infer<typeof imageClassifier>;
export type AudioSpectrogramParameters = z.infer<typeof audioSpectrogram>;
export type VideoFramesParameters = z.infer<typeof videoFrames>;
export type { VideoAudioParameters } from './parameters/video-audio.ts';
export type { VideoTemporalParameters } from './parameters/video-temporal.ts';
