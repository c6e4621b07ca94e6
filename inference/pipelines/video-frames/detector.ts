/** Single frames of a video, sampled over its length, each judged alone; the package says how their logits become one. */
import { pixelWriter } from '../../dsp/frames.ts';
import type { Classifier } from '../../engine/session.ts';
import { serviceError } from '../../errors.ts';
import type { FfmpegExit } from '../../media/media-program.ts';
import { momentsOf, stretchesOf } from '../../media/sampling.ts';
import type { Frame, OpenedVideo } from '../../media/video.ts';
import { soleReader } from '../../media/video-reader.ts';
import type { VideoFramesParameters } from '../../models/pipeline-parameters.ts';
import type { InconclusiveReason } from '../../models/verdict.ts';
import { aggregate } from '../aggregation.ts';
import { type Detector, type Findings, type ProgressStep, timed } from '../analysis.ts';
import { segmentsOf, signalsOf } from './scores.ts';

/** Frames that are held as tensors at a time. */
const framesPerBatch = 8;
/** Parts of a video after which whoever watches is told. */
const progressParts = 10;

export interface VideoScoring {
  /** Calibrated P(fake) of a logit. */
  readonly scoreOf: (logit: number) => number;
  /** From this score on a frame counts as suspicious. */
  readonly high: number;
}

export function videoFramesDetector(
  parameters: VideoFramesParameters,
  classifier: Classifier,
  { scoreOf, high }: VideoScoring,
): Detector {
  const { sampling, frame: shape, keyframesOnly, minFrames, aggregation } = parameters;
  const judge = frameJudge(parameters, classifier);
  return async ({ path, media }, context) => {
    const { signal, emit, report, videoLimits: limits, videoReader = soleReader } = context;
    if (media.kind !== 'video')
      throw serviceError('unsupported_media', { found: media.kind, supported: 'videos' });
    const { mime, demuxer } = media;
    const onExit = (exit: FfmpegExit) => emit({ type: 'ffmpeg_exit', exit });
    const request = { path, mime, demuxer, limits, signal, onExit };
    const opened = await timed(() => videoReader.open(request));
    const video = opened.value;
    if (video === undefined) return notJudged('no_frames', opened.ms);
    const common = factsOf(video);
    const stretches = stretchesOf(sampling, video.durationSeconds, video.frameCount);
    const total = momentsOf(stretches).length;
    if (Math.min(total, video.frameCount) < minFrames)
      return { ...notJudged('too_short', opened.ms), ...common };
    const last = stretches.at(-1);
    const lookedAtSeconds = last === undefined ? 0 : last.startSeconds + last.count * last.stepSeconds;
    const reachesEnd = lookedAtSeconds >= video.durationSeconds - 1e-6;
    const selection = { stretches, shape, keyframesOnly, reachesEnd };
    const frames = videoReader.frames(video, selection, request);
    const judged = await timed(() => judge(frames, signal, progressOf(total, report)));
    const { logits, moments, preprocessMs, inferMs } = judged.value;
    if (logits.length < minFrames) return { ...notJudged('too_short', opened.ms + judged.ms), ...common };
    const scores = logits.map(scoreOf);
    const frameScores = scores.map((score, index) => ({ index, t_s: moments[index] ?? 0, score }));
    return {
      ...common,
      logit: aggregate(logits, aggregation, scoreOf),
      inconclusiveReasons: [],
      partScores: scores,
      frames: frameScores,
      segments: segmentsOf(frameScores, Math.min(lookedAtSeconds, video.durationSeconds)),
      signals: signalsOf(scores, high),
      notes: notesOf(parameters, reachesEnd ? undefined : lookedAtSeconds),
      timingsMs: {
        decode: opened.ms + judged.ms - preprocessMs - inferMs,
        preprocess: preprocessMs,
        infer: inferMs,
      },
    };
  };
}

interface JudgedFrames {
  readonly logits: readonly number[];
  /** Of each frame, in seconds. */
  readonly moments: readonly number[];
  readonly preprocessMs: number;
  readonly inferMs: number;
}

/** Takes frames in batches, so that memory does not grow with their number. */
function frameJudge({ frame: { width, height }, pixels }: VideoFramesParameters, classifier: Classifier) {
  const write = pixelWriter(pixels);
  const itemShape = pixels.layout === 'nchw' ? [3, height, width] : [height, width, 3];
  const itemLength = 3 * width * height;
  return async (
    frames: AsyncIterable<Frame>,
    signal: AbortSignal,
    onJudged: (frames: number) => void,
  ): Promise<JudgedFrames> => {
    const batch = new Float32Array(framesPerBatch * itemLength);
    const logits: number[] = [];
    const moments: number[] = [];
    let preprocessMs = 0;
    let inferMs = 0;
    const judgeBatch = async () => {
      const items = batch.subarray(0, (moments.length - logits.length) * itemLength);
      const answer = await timed(() => classifier.logits(items, itemShape, signal));
      inferMs += answer.ms;
      logits.push(...answer.value);
      onJudged(logits.length);
    };
    for await (const { seconds, raster } of frames) {
      const startedAt = performance.now();
      const slot = moments.length - logits.length;
      write(raster, batch.subarray(slot * itemLength, (slot + 1) * itemLength));
      moments.push(seconds);
      preprocessMs += performance.now() - startedAt;
      if (slot + 1 === framesPerBatch) await judgeBatch();
    }
    if (moments.length > logits.length) await judgeBatch();
    return { logits, moments, preprocessMs, inferMs };
  };
}

/** Reports a part of the whole when it is done, and not every frame. */
function progressOf(total: number, report: (step: ProgressStep) => void): (done: number) => void {
  let reported = 0;
  return (done) => {
    const part = Math.floor((done / total) * progressParts);
    if (part === reported) return;
    reported = part;
    const message = `${done} of ${total} frames analysed`;
    report({ event: 'FRAME_ANALYSIS_PROGRESS', message, progress: done, total });
  };
}

function notJudged(reason: InconclusiveReason, decodeMs: number): Findings {
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

function factsOf({ picture, sound, durationSeconds, frameCount }: OpenedVideo) {
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

function notesOf({ keyframesOnly }: VideoFramesParameters, cutAtSeconds: number | undefined): string[] {
  return [
    ...(cutAtSeconds === undefined ? [] : [`Only the first ${cutAtSeconds.toFixed(1)} s were analysed.`]),
    ...(keyframesOnly ? ['Only key frames were analysed: their times are those before the given ones.'] : []),
  ];
}
