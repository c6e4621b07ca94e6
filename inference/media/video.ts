/** Video files to upright RGB frames at chosen moments, with limits kept and damage found and named. */
import type { Raster } from '../dsp/tiles.ts';
import { serviceError } from '../errors.ts';
import { corruptMedia, decodeFailure, lengthTolerance } from './decode-failure.ts';
import { excerptOf, type NoExcerpt, type SampleIndex, sampleIndexOf } from './excerpt/excerpt.ts';
import {
  decodeFrames,
  type FrameShape,
  type FrameSound,
  type FramesRequest,
  measureSeconds,
} from './ffmpeg.ts';
import type { FfmpegExit } from './media-program.ts';
import { type PictureTrack, type ProbedMedia, probeMedia } from './probe.ts';
import { momentsOf, type Stretch } from './sampling.ts';
import type { MediaFile } from './sniff.ts';

export interface VideoLimits {
  readonly maxSeconds: number;
  /** Of one frame, declared and decoded. */
  readonly maxPixels: number;
  readonly decoderThreads: number;
}

export interface VideoRequest extends MediaFile {
  readonly limits: VideoLimits;
  readonly signal: AbortSignal;
  readonly onExit: (exit: FfmpegExit) => void;
}

/** The picture track that is going to be decoded. */
export interface OpenedVideo {
  readonly picture: PictureTrack;
  readonly sound: ProbedMedia['sound'];
  readonly durationSeconds: number;
  /** Declared, or by rate and length. */
  readonly frameCount: number;
  /** Where the file keeps its samples, or why that is not used. */
  readonly index: SampleIndex | NoExcerpt;
}

export interface Frame {
  /** Among the frames that were asked for. */
  readonly index: number;
  /** The moment that was asked for, from the beginning of the video. */
  readonly seconds: number;
  readonly raster: Raster;
}

export interface FrameSelection {
  readonly stretches: readonly Stretch[];
  readonly shape: FrameShape;
  /** Each moment's key frame instead of its own frame. */
  readonly keyframesOnly: boolean;
  /** The frames are all that is looked at up to the end: a video that goes on behind its declared end is refused. */
  readonly reachesEnd: boolean;
  /** The sound of the whole file beside the frames, from the same process. */
  readonly sound?: FrameSound | undefined;
}

/** Every input of a process has a decoder with pictures of its own: so many pixels are open at a time in one process. */
const maxOpenPixels = 40_000_000;
const maxInputs = 16;

/**
 * Reads what the file says of itself and refuses what exceeds the limits before anything is decoded.
 * @returns undefined for a file without pictures
 * @throws ServiceError video_too_large, media_too_long, corrupt_media; the signal's reason where it was aborted
 */
export async function openVideo(request: VideoRequest): Promise<OpenedVideo | undefined> {
  const { limits } = request;
  const index =
    request.demuxer === 'mov' ? await sampleIndexOf(request.path) : { reason: 'it is no MP4 file' };
  const { picture, sound } = await tracksOf(request, index);
  if (picture === undefined) return undefined;
  const { width, height } = picture;
  if (width * height === 0) throw corruptMedia(request.mime, 'the size of its pictures cannot be found');
  if (width * height > limits.maxPixels)
    throw serviceError('video_too_large', { width, height, limitPixels: limits.maxPixels });
  const durationSeconds = picture.durationSeconds ?? (await measured(request, picture));
  if (durationSeconds > limits.maxSeconds) {
    const seconds = durationSeconds.toFixed(1);
    throw serviceError('media_too_long', { seconds, limitSeconds: limits.maxSeconds });
  }
  const frameCount = picture.frameCount ?? Math.max(1, Math.round(durationSeconds * picture.framesPerSecond));
  return { picture, sound, durationSeconds, frameCount, index };
}

/** Where the index of the file tells all of its tracks, ffprobe is not started. */
async function tracksOf(request: VideoRequest, index: SampleIndex | NoExcerpt): Promise<ProbedMedia> {
  if ('declared' in index && !('reason' in index.declared)) return index.declared;
  try {
    return await probeMedia(request, request);
  } catch (error) {
    throw decodeFailure(error, request, request.signal);
  }
}

/** Browsers record WebM without a length. One second above the limit is enough to see that it is exceeded. */
async function measured(request: VideoRequest, picture: PictureTrack): Promise<number> {
  const maxSeconds = request.limits.maxSeconds + 1;
  try {
    return await measureSeconds({ ...request, track: picture.index, maxSeconds });
  } catch (error) {
    throw decodeFailure(error, request, request.signal);
  }
}

/**
 * The frames at the moments of the selection, in order, decoded about as fast as they are taken.
 * @throws ServiceError corrupt_media where the file is damaged, ends early or goes on after its declared end; the signal's reason where it
 * was aborted
 */
export async function* framesOf(
  video: OpenedVideo,
  selection: FrameSelection,
  request: VideoRequest,
): AsyncGenerator<Frame> {
  const { width, height } = selection.shape;
  const moments = momentsOf(selection.stretches);
  let index = 0;
  for await (const data of decoded(video, selection, request)) {
    const seconds = moments[index];
    if (seconds === undefined) {
      const declared = video.durationSeconds.toFixed(1);
      throw corruptMedia(request.mime, `it goes on after the ${declared} s that its header declares`);
    }
    yield { index, seconds, raster: { data, width, height } };
    index += 1;
  }
  refuseEarlyEnd(moments[index], video, request);
}

/** @param missing the first moment without a frame */
function refuseEarlyEnd(
  missing: number | undefined,
  { durationSeconds }: OpenedVideo,
  { mime }: VideoRequest,
): void {
  if (missing === undefined || missing >= durationSeconds - lengthTolerance(durationSeconds)) return;
  const declared = durationSeconds.toFixed(1);
  throw corruptMedia(
    mime,
    `there is no frame at ${missing.toFixed(1)} s, but its header declares ${declared} s`,
  );
}

/** One process that reads an excerpt of the file where one can be made, or the file for each stretch. */
async function* decoded(
  video: OpenedVideo,
  selection: FrameSelection,
  request: VideoRequest,
): AsyncGenerator<Uint8Array> {
  const { picture } = video;
  const { limits, signal } = request;
  const common = {
    ...request,
    ...selection,
    track: picture.index,
    framesPerSecond: picture.framesPerSecond,
    threads: limits.decoderThreads,
    maxPixels: limits.maxPixels,
  };
  try {
    const excerpt = await excerptOf(video.index, { ...video, ...selection });
    // Its table has said where the video ends.
    if ('stream' in excerpt) yield* decodeFrames({ ...common, excerpt });
    else yield* decodedFromFile(video, selection, common);
  } catch (error) {
    throw decodeFailure(error, request, signal);
  }
}

/** One process for all stretches, or as few as the memory for their decoders allows, one after the other. */
async function* decodedFromFile(
  { picture, durationSeconds }: OpenedVideo,
  { stretches, reachesEnd, sound }: FrameSelection,
  common: FramesRequest,
): AsyncGenerator<Uint8Array> {
  const openAtOnce = Math.floor(maxOpenPixels / (picture.width * picture.height));
  const inputs = Math.max(1, Math.min(maxInputs, openAtOnce));
  for (let start = 0; start < stretches.length; start += inputs) {
    const isLast = start + inputs >= stretches.length;
    yield* decodeFrames({
      ...common,
      stretches: stretches.slice(start, start + inputs),
      endSeconds: isLast && reachesEnd ? durationSeconds + lengthTolerance(durationSeconds) : undefined,
      sound: start === 0 ? sound : undefined,
    });
  }
}
