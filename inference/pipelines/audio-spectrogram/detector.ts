/** Windows of the sound without its leading and trailing silence; the graph computes spectrograms itself; the mean logit decides. */
import { decibels, normalisePeak, peakOf, rmsOf, soundRange, windowsOf } from '../../dsp/waveform.ts';
import type { Classifier } from '../../engine/session.ts';
import { serviceError } from '../../errors.ts';
import { type DecodedAudio, decodeAudio } from '../../media/audio.ts';
import type { AudioSpectrogramParameters } from '../../models/pipeline-parameters.ts';
import type { InconclusiveReason } from '../../models/verdict.ts';
import { type Detector, mean, timed } from '../analysis.ts';

const frameSeconds = 0.02;
const silenceBelowPeakDb = -50;
/** Below this amplitude (-80 dB of full scale) a whole file counts as silent. */
const silentPeak = 1e-4;
const targetPeak = 0.95;

/** @param scoreOf calibrated P(fake) of a logit */
export function audioSpectrogramDetector(
  parameters: AudioSpectrogramParameters,
  classifier: Classifier,
  scoreOf: (logit: number) => number,
): Detector {
  const { sampleRate, maxSeconds } = parameters;
  const windowLength = Math.round(parameters.windowSeconds * sampleRate);
  const hop = Math.round(parameters.hopSeconds * sampleRate);
  return async ({ path, media }, { signal, emit }) => {
    if (media.kind !== 'audio')
      throw serviceError('unsupported_media', { found: media.kind, supported: 'sound' });
    const { mime, demuxer } = media;
    const onFfmpegExit = (exit: Parameters<typeof emit>[0]['exit']) => emit({ type: 'ffmpeg_exit', exit });
    const decoded = await timed(() =>
      decodeAudio({ path, mime, demuxer, sampleRateHz: sampleRate, maxSeconds, signal, onFfmpegExit }),
    );
    const all = decoded.value.samples;
    const prepared = await timed(() => prepare(all, sampleRate));
    const { range, peak } = prepared.value;
    if (!Number.isFinite(peak))
      throw serviceError('corrupt_media', { found: mime, reason: 'a sample is not a finite number' });
    const soundSeconds = (range.end - range.start) / sampleRate;
    const common = {
      properties: propertiesOf(decoded.value),
      notes: decoded.value.cut ? [`Only the first ${maxSeconds} s of the file were analysed.`] : [],
    };
    const levels = {
      analysed_seconds: soundSeconds,
      trimmed_seconds: decoded.value.decodedSeconds - soundSeconds,
      peak_dbfs: decibels(peak),
      rms_dbfs: decibels(rmsOf(all.subarray(range.start, range.end))),
    };
    const reason = reasonNotToJudge(peak, soundSeconds, parameters.minSeconds);
    if (reason !== undefined) {
      const timingsMs = { decode: decoded.ms, preprocess: prepared.ms, infer: 0 };
      return {
        ...common,
        logit: null,
        inconclusiveReasons: [reason],
        partScores: [],
        signals: levels,
        timingsMs,
      };
    }
    const windows = windowsOf(prepared.value.sound, windowLength, hop);
    const logits = await timed(() => classifier.logits(windows.samples, [windowLength], signal));
    const partScores = Array.from(logits.value, scoreOf);
    return {
      ...common,
      logit: mean(logits.value),
      inconclusiveReasons: [],
      partScores,
      signals: {
        ...levels,
        windows_analysed: partScores.length,
        max_window_score: Math.max(...partScores),
        min_window_score: Math.min(...partScores),
      },
      segments: partScores.map((score, index) => {
        const start = range.start + (windows.starts[index] ?? 0);
        return {
          start_s: start / sampleRate,
          end_s: Math.min(start + windowLength, range.end) / sampleRate,
          score,
        };
      }),
      timingsMs: { decode: decoded.ms, preprocess: prepared.ms, infer: logits.ms },
    };
  };
}

function prepare(samples: Float32Array, sampleRate: number) {
  const peak = peakOf(samples);
  const range = soundRange(samples, Math.round(frameSeconds * sampleRate), silenceBelowPeakDb);
  return { peak, range, sound: normalisePeak(samples.subarray(range.start, range.end), targetPeak) };
}

function reasonNotToJudge(
  peak: number,
  soundSeconds: number,
  minSeconds: number,
): InconclusiveReason | undefined {
  if (peak < silentPeak) return 'silence';
  return soundSeconds < minSeconds ? 'too_short' : undefined;
}

function propertiesOf(audio: DecodedAudio) {
  const { sampleRateHz, channels, declaredSeconds } = audio.source;
  return { duration_seconds: declaredSeconds ?? audio.decodedSeconds, sample_rate: sampleRateHz, channels };
}
