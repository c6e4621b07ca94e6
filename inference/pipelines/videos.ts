/** What the families that judge videos share: frames in batches, facts of the file, steps for those who watch. */
import { pixelWriter } from '../dsp/frames.ts';
import { serviceError } from '../errors.ts';
import type { FfmpegExit } from '../media/media-program.ts';
import { momentsOf, type Sampling, type Stretch, stretchesOf } from '../media/sampling.ts';
import type { Frame, OpenedVideo, VideoRequest } from '../media/video.ts';
import type { FrameParameters, PixelParameters } from '../models/parameters/frames.ts';
import type { InconclusiveReason } from '../models/verdict.ts';
import {
  type DetectorContext,
  type DetectorInput,
  type Findings,
  type ProgressStep,
  timed,
  type VideoProperties,
} from './analysis.ts';

/** Frames that are held as tensors at a time. */
const framesPerBatch = 8;
/** Parts of a video after which whoever watches is told. */
const progressParts = 10;

/**
 * What a graph says of frames.
 * @param items `[n, ...itemShape]`, row-major; not to be kept
 * @returns n values
 */
export type FrameGraph<Value> = (
  items: Float32Array,
  itemShape: readonly number[],
) => Promise<ArrayLike<Value>>;

export interface SeenFrames<Value> {
  /** Of each frame, in order. */
  readonly values: readonly Value[];
  /** Of each frame, in seconds. */
  readonly moments: readonly number[];
  readonly preprocessMs: number;
  readonly inferMs: number;
}

/** @returns a function that takes frames to a graph in batches, so that memory does not grow with their number */
export function frameReader({ width, height }: FrameParameters, pixels: PixelParameters) {
  const write = pixelWriter(pixels);
  const itemShape = pixels.layout === 'nchw' ? [3, height, width] : [height, width, 3];
  const itemLength = 3 * width * height;
  return async <Value>(
    frames: AsyncIterable<Frame>,
    graph: FrameGraph<Value>,
    onSeen: (frames: number) => void,
  ): Promise<SeenFrames<Value>> => {
    const batch = new Float32Array(framesPerBatch * itemLength);
    const values: Value[] = [];
    const moments: number[] = [];
    let preprocessMs = 0;
    let inferMs = 0;
    const runBatch = async () => {
      const items = batch.subarray(0, (moments.length - values.length) * itemLength);
      const answer = await timed(() => graph(items, itemShape));
      inferMs += answer.ms;
      values.push(...Array.from(answer.value));
      onSeen(values.length);
    };
    for await (const { seconds, raster } of frames) {
      const startedAt = performance.now();
      const slot = moments.length - values.length;
      write(raster, batch.subarray(slot * itemLength, (slot + 1) * itemLength));
      moments.push(seconds);
      preprocessMs += performance.now() - startedAt;
      if (slot + 1 === framesPerBatch) await runBatch();
    }
    if (moments.length > values.length) await runBatch();
    return { values, moments, preprocessMs, inferMs };
  };
}

/** Reports a part of the whole when it is done, and not every frame. */
export function progressOf(total: number, report: (step: ProgressStep) => void): (done: number) => void {
  let reported = 0;
  return (done) => {
    const part = Math.floor((done / total) * progressParts);
    if (part === reported) return;
    reported = part;
    const message = `${done} of ${total} frames analysed`;
    report({ event: 'FRAME_ANALYSIS_PROGRESS', message, progress: done, total });
  };
}

/** @throws ServiceError unsupported_media where the file is no video */
export function videoRequestOf(
  { path, media }: DetectorInput,
  { signal, emit, videoLimits: limits }: DetectorContext,
): VideoRequest {
  if (media.kind !== 'video')
    throw serviceError('unsupported_media', { found: media.kind, supported: 'videos' });
  const { mime, demuxer } = media;
  const onExit = (exit: FfmpegExit) => emit({ type: 'ffmpeg_exit', exit });
  return { path, mime, demuxer, limits, signal, onExit };
}

export interface PlannedFrames {
  readonly stretches: readonly Stretch[];
  readonly total: number;
  /** Up to here frames stand for the video. */
  readonly endSeconds: number;
  readonly reachesEnd: boolean;
}

export function plannedFrames(
  sampling: Sampling,
  { durationSeconds, frameCount }: Pick<OpenedVideo, 'durationSeconds' | 'frameCount'>,
): PlannedFrames {
  const stretches = stretchesOf(sampling, durationSeconds, frameCount);
  const last = stretches.at(-1);
  const lookedAtSeconds = last === undefined ? 0 : last.startSeconds + last.count * last.stepSeconds;
  return {
    stretches,
    total: momentsOf(stretches).length,
    endSeconds: Math.min(lookedAtSeconds, durationSeconds),
    reachesEnd: lookedAtSeconds >= durationSeconds - 1e-6,
  };
}

/** What a person has to know of a video that was not looked at to its end. */
export function cutNotes({ reachesEnd, endSeconds }: PlannedFrames): string[] {
  return reachesEnd ? [] : [`Only the first ${endSeconds.toFixed(1)} s were analysed.`];
}

/** What a person has to know of a video that has fewer frames than its model takes. */
export function repetitionNotes(frames: number, sequence: number): string[] {
  if (frames === 0 || frames >= sequence) return [];
  return [
    `The model takes ${sequence} frames and the video gave ${frames}: the first one was repeated to fill the rest.`,
  ];
}

export function videoNotJudged(reason: InconclusiveReason, decodeMs: number): Findings {
  return {
    logit: null,
    inconclusiveReasons: [reason],
    partScores: [],
    frames: [],
    signals: { frames_analysed: 0 },
    notes: [],
    timingsMs: { decode: decodeMs, preprocess: 0, infer: 0 },
  };
}

export function factsOf({ picture, sound, durationSeconds, frameCount }: OpenedVideo): {
  readonly dimensions: { readonly width: number; readonly height: number };
  readonly properties: VideoProperties;
} {
  const { width, height, codec, rotation, framesPerSecond, colourRange } = picture;
  return {
    dimensions: { width, height },
    properties: {
      duration_seconds: durationSeconds,
      frame_count: frameCount,
      frames_per_second: framesPerSecond,
      codec,
      rotation,
      colour_range: colourRange,
      sample_rate: sound?.sampleRateHz ?? null,
      channels: sound?.channels ?? null,
    },
  };
}
