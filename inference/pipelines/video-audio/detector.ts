/** Frames and sound of one file, each through a graph of its own; a head judges both and is told what is missing. */
import { soundMeasures } from '../../dsp/sound-measures.ts';
import { spreadWindows } from '../../dsp/waveform.ts';
import type { Encoder } from '../../engine/encoder.ts';
import type { Classifier } from '../../engine/session.ts';
import { soleReader } from '../../media/video-reader.ts';
import { type MediaPart, mediaParts } from '../../models/parameters/video-audio.ts';
import type { VideoAudioParameters } from '../../models/pipeline-parameters.ts';
import type { InconclusiveReason } from '../../models/verdict.ts';
import { type Detector, type Explanation, type Findings, timed } from '../analysis.ts';
import { clipIndices } from '../sequences.ts';
import {
  type FrameGraph,
  factsOf,
  frameReader,
  plannedFrames,
  progressOf,
  repetitionNotes,
  videoRequestOf,
} from '../videos.ts';
import { headShapes, jointItem } from './joint-item.ts';
import { hear, seeAndHear } from './media.ts';

export interface VideoAudioGraphs {
  /** `[n, 3, h, w]` or `[n, h, w, 3]` to `[n, D]`. */
  readonly encoder: Encoder;
  /** `[n, samples]`, mono in [-1, 1], to `[n, E]`. */
  readonly audio: Encoder;
  /** `[n, frames, D]`, `[n, windows, E]` and `[n, 2]` to `[n]`. */
  readonly head: Classifier;
}

/** @throws Error, one line, where the head's inputs are not what the parameters say */
export function videoAudioDetector(
  parameters: VideoAudioParameters,
  { encoder, audio, head }: VideoAudioGraphs,
): Detector {
  const { frame: shape, pixels, frames: sequence, sound: settings, requires } = parameters;
  const windowLength = Math.round(settings.windowSeconds * settings.sampleRate);
  const shapes = headShapes(head.joined, sequence, settings.windows);
  const read = frameReader(shape, pixels);
  return async (input, context) => {
    const { signal, report, observer, videoReader = soleReader } = context;
    const request = videoRequestOf(input, context);
    const opened = await timed(() => videoReader.open(request));
    const video = opened.value;
    const facts = video === undefined ? {} : factsOf(video);
    const [lacking] = missingOf(
      video !== undefined,
      video?.sound !== undefined || video === undefined,
    ).filter((part) => requires.includes(part));
    if (lacking !== undefined) return { ...notJudged(lacking, opened.ms), ...facts };

    const encode: FrameGraph<Float32Array> = (items, itemShape) => encoder.features(items, itemShape, signal);
    const decoded = await timed(async () => {
      if (video === undefined) return { seen: undefined, sound: await hear(settings, request) };
      const plan = plannedFrames({ mode: 'uniform', frames: sequence }, video);
      const { stretches, reachesEnd } = plan;
      const selection = { stretches, shape, keyframesOnly: false, reachesEnd };
      return seeAndHear(video, selection, settings, request, (frames) =>
        read(frames, encode, progressOf(plan.total, report)),
      );
    });
    const { seen, sound } = decoded.value;
    const { values: features, preprocessMs, inferMs } = seen ?? nothingSeen;
    const decodeMs = opened.ms + decoded.ms - preprocessMs - inferMs;
    const missing = missingOf(features.length > 0, sound !== undefined);
    const [refused] = missing.filter((part) => requires.includes(part) || missing.length > 1);
    if (refused !== undefined) return { ...notJudged(refused, decodeMs), ...facts };

    const windows = await timed(() => sound && spreadWindows(sound.samples, windowLength, settings.windows));
    const measured = await timed(() => sound && soundMeasures(sound.samples, settings.sampleRate));
    const judged = await timed(async () => {
      const heard = windows.value && (await audio.features(windows.value.samples, [windowLength], signal));
      const indices = features.length === 0 ? [] : clipIndices(features.length, sequence);
      const frames = indices.map((index) => features[index] ?? new Float32Array());
      const item = jointItem(shapes, { frames, sound: heard ?? [] });
      return head.logits(item, [item.length], signal, observer);
    });
    return {
      ...facts,
      logit: judged.value[0] ?? NaN,
      inconclusiveReasons: [],
      partScores: [],
      missingModalities: missing,
      signals: {
        frames_analysed: features.length,
        sound_windows_analysed: windows.value?.starts.length ?? 0,
        sound_seconds: sound?.decodedSeconds ?? 0,
        ...measured.value,
      },
      notes: [
        ...missing.map((part) => missingTexts[part].note),
        ...repetitionNotes(features.length, sequence),
        ...(sound?.cut ? [`Only the first ${settings.maxSeconds} s of the sound were analysed.`] : []),
      ],
      remarks: () => missing.map((part) => missingTexts[part].remark),
      timingsMs: {
        decode: decodeMs,
        preprocess: preprocessMs + windows.ms + measured.ms,
        infer: inferMs + judged.ms,
      },
    };
  };
}

const nothingSeen = { values: [], preprocessMs: 0, inferMs: 0 } as const;

function missingOf(hasPictures: boolean, hasSound: boolean): MediaPart[] {
  const there = { video: hasPictures, audio: hasSound };
  return mediaParts.filter((part) => !there[part]);
}

const missingTexts: Readonly<
  Record<MediaPart, { reason: InconclusiveReason; note: string; remark: Explanation }>
> = {
  video: {
    reason: 'no_frames',
    note: 'The file holds no pictures: only its sound was analysed.',
    remark: {
      code: 'judged_without_video',
      text: 'The file holds no pictures: this rests on its sound alone.',
    },
  },
  audio: {
    reason: 'no_audio_track',
    note: 'The video has no sound track: only its pictures were analysed.',
    remark: {
      code: 'judged_without_audio',
      text: 'The video has no sound track: this rests on its pictures alone.',
    },
  },
};

function notJudged(lacking: MediaPart, decodeMs: number): Findings {
  return {
    logit: null,
    inconclusiveReasons: [missingTexts[lacking].reason],
    partScores: [],
    missingModalities: [lacking],
    signals: {},
    notes: [],
    timingsMs: { decode: decodeMs, preprocess: 0, infer: 0 },
  };
}
