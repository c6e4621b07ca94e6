/** What all families of sound do: windows of what is scored go through the graph, and the package says how their logits become one. */

import {
  joinedRanges,
  type Level,
  positionInFile,
  preparedSound,
  scoredRanges,
} from '../../dsp/scored-sound.ts';
import { soundMeasures } from '../../dsp/sound-measures.ts';
import { spectrogramPicture } from '../../dsp/spectrogram-picture.ts';
import { lengthOf } from '../../dsp/voice-activity.ts';
import { decibels, peakOf, rmsOf, type ShortSound, windowStarts, windowsAt } from '../../dsp/waveform.ts';
import type { Classifier } from '../../engine/session.ts';
import type { DecodedAudio } from '../../media/audio.ts';
import type { InconclusiveReason } from '../../models/verdict.ts';
import { type Aggregation, aggregate } from '../aggregation.ts';
import { type Detector, type DetectorContext, type Findings, timed } from '../analysis.ts';
import { itemsAtATime } from '../batches.ts';
import { propertiesOf, soundOf } from './sound-file.ts';

/** What a family makes of its parameters. */
export interface SoundPlan {
  /** Hz. */
  readonly sampleRate: number;
  readonly minSeconds: number;
  readonly maxSeconds: number;
  readonly trimSilence: boolean;
  readonly voiceActivity?: { readonly minSpeechSeconds: number } | undefined;
  readonly level: Level;
  readonly preEmphasis: number;
  /** Samples. */
  readonly windowLength: number;
  readonly hopSeconds: number;
  readonly shortSound: ShortSound;
  readonly aggregation: Aggregation;
  readonly item: WindowItem;
}

/** What the graph takes of a window. */
export interface WindowItem {
  readonly shape: readonly number[];
  /** @param target as many values as the shape has */
  readonly write: (window: Float32Array, target: Float32Array) => void;
}

/** Below this amplitude (-80 dB of full scale) a whole file counts as silent. */
const silentPeak = 1e-4;
/** Windows that are held as items of the graph at a time, at most, so that memory does not grow with their overlap. */
const maxWindowsAtATime = 16;

/** @param scoreOf calibrated P(fake) of a logit */
export function soundDetector(
  plan: SoundPlan,
  classifier: Classifier,
  scoreOf: (logit: number) => number,
): Detector {
  const { sampleRate, maxSeconds, windowLength } = plan;
  const hop = Math.round(plan.hopSeconds * sampleRate);
  const judge = windowJudge(plan, classifier);
  return async (input, context) => {
    const { report } = context;
    const decoded = await timed(() => soundOf(input, plan, context));
    const audio = decoded.value;
    if (audio === undefined) return withoutSoundTrack(decoded.ms);
    const prepared = await timed(() => prepare(audio, plan));
    const { ranges, sound, facts, spectrogram } = prepared.value;
    const common = {
      properties: propertiesOf(audio),
      spectrogram,
      notes: audio.cut ? [`Only the first ${maxSeconds} s of the file were analysed.`] : [],
    };
    const reason = prepared.value.reasonNotToJudge;
    if (reason !== undefined) {
      const timingsMs = { decode: decoded.ms, preprocess: prepared.ms, infer: 0 };
      return {
        ...common,
        logit: null,
        inconclusiveReasons: [reason],
        partScores: [],
        signals: facts,
        timingsMs,
      };
    }
    const starts = windowStarts(sound.length, windowLength, hop);
    const total = starts.length;
    report({ ...spectrograms.start, progress: 0, total });
    const { logits, preprocessMs, inferMs } = await judge(sound, starts, context);
    report({ ...spectrograms.complete, progress: total, total });
    const partScores = logits.map(scoreOf);
    return {
      ...common,
      logit: aggregate(logits, plan.aggregation, scoreOf),
      inconclusiveReasons: [],
      partScores,
      signals: {
        ...facts,
        windows_analysed: total,
        max_window_score: Math.max(...partScores),
        min_window_score: Math.min(...partScores),
      },
      segments: partScores.map((score, index) => {
        const start = starts[index] ?? 0;
        const last = Math.min(start + windowLength, sound.length) - 1;
        return {
          start_s: positionInFile(ranges, start) / sampleRate,
          end_s: (positionInFile(ranges, last) + 1) / sampleRate,
          score,
        };
      }),
      timingsMs: { decode: decoded.ms, preprocess: prepared.ms + preprocessMs, infer: inferMs },
    };
  };
}

/** The graph, or the pod before it, computes spectra of every window. */
const spectrograms = {
  start: { event: 'SPECTROGRAM_GENERATION_START', message: 'the windows of the sound go through the model' },
  complete: { event: 'SPECTROGRAM_GENERATION_COMPLETE', message: 'all windows of the sound are judged' },
} as const;

function prepare(audio: DecodedAudio, plan: SoundPlan) {
  const { samples } = audio;
  const { sampleRate, trimSilence, voiceActivity } = plan;
  const peak = peakOf(samples);
  const speechOnly = voiceActivity !== undefined;
  const ranges = scoredRanges(samples, sampleRate, { trimsSilence: trimSilence, speechOnly });
  const scored = joinedRanges(samples, ranges, sampleRate);
  const seconds = scored.length / sampleRate;
  return {
    ranges,
    sound: preparedSound(scored, plan.level, plan.preEmphasis),
    spectrogram: spectrogramPicture(samples, sampleRate),
    reasonNotToJudge: reasonNotToJudge(peak, seconds, plan),
    facts: {
      analysed_seconds: seconds,
      trimmed_seconds: audio.decodedSeconds - seconds,
      ...(speechOnly ? { speech_seconds: lengthOf(ranges) / sampleRate } : {}),
      peak_dbfs: decibels(peak),
      rms_dbfs: decibels(rmsOf(scored)),
      ...soundMeasures(samples, sampleRate),
    },
  };
}

function reasonNotToJudge(
  peak: number,
  seconds: number,
  { minSeconds, voiceActivity }: SoundPlan,
): InconclusiveReason | undefined {
  if (peak < silentPeak) return 'silence';
  if (voiceActivity !== undefined && seconds < voiceActivity.minSpeechSeconds) return 'no_speech';
  return seconds < minSeconds ? 'too_short' : undefined;
}

function windowJudge({ windowLength, shortSound, item }: SoundPlan, classifier: Classifier) {
  const itemLength = item.shape.reduce((product, side) => product * side, 1);
  // Samples and what is made of them are held together.
  const windowsAtATime = itemsAtATime(Math.max(itemLength, windowLength), maxWindowsAtATime);
  return async (sound: Float32Array, starts: readonly number[], { signal, observer }: DetectorContext) => {
    const logits: number[] = [];
    let [preprocessMs, inferMs] = [0, 0];
    for (let first = 0; first < starts.length; first += windowsAtATime) {
      const some = starts.slice(first, first + windowsAtATime);
      const written = await timed(() => {
        const windows = windowsAt(sound, windowLength, some, shortSound).samples;
        const items = new Float32Array(some.length * itemLength);
        for (const index of some.keys())
          item.write(
            windows.subarray(index * windowLength, (index + 1) * windowLength),
            items.subarray(index * itemLength, (index + 1) * itemLength),
          );
        return items;
      });
      const answer = await timed(() => classifier.logits(written.value, item.shape, signal, observer));
      logits.push(...answer.value);
      preprocessMs += written.ms;
      inferMs += answer.ms;
    }
    return { logits, preprocessMs, inferMs };
  };
}

function withoutSoundTrack(decodeMs: number): Findings {
  return {
    logit: null,
    inconclusiveReasons: ['no_audio_track'],
    partScores: [],
    signals: {},
    notes: [],
    timingsMs: { decode: decodeMs, preprocess: 0, infer: 0 },
  };
}
