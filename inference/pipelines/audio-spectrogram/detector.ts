/** Windows of the sound without its leading and trailing silence; the graph computes spectrograms itself; the mean logit decides. */
import { decibels, normalisePeak, peakOf, rmsOf, soundRange, windowsOf } from '../../dsp/waveform.ts';
import type { Classifier } from '../../engine/session.ts';
import { serviceError } from '../../errors.ts';
import { type AudioRequest, type DecodedAudio, decodeAudio, decodeSoundOfVideo } from '../../media/audio.ts';
import type { FfmpegExit } from '../../media/media-program.ts';
import type { AudioSpectrogramParameters } from '../../models/pipeline-parameters.ts';
import type { InconclusiveReason } from '../../models/verdict.ts';
import { type Detector, type Findings, mean, type ProgressStep, timed } from '../analysis.ts';

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
  return async ({ path, media }, { signal, emit, report, observer }) => {
    if (media.kind !== 'audio' && media.kind !== 'video')
      throw serviceError('unsupported_media', { found: media.kind, supported: 'sound' });
    const { mime, demuxer } = media;
    const onExit = (exit: FfmpegExit) => emit({ type: 'ffmpeg_exit', exit });
    const request = { path, mime, demuxer, sampleRateHz: sampleRate, maxSeconds, signal, onExit };
    const decoded = await timed(() =>
      media.kind === 'video' ? extractSound(request, report) : decodeAudio(request),
    );
    if (decoded.value === undefined) return withoutSoundTrack(decoded.ms);
    const audio = decoded.value;
    const all = audio.samples;
    const prepared = await timed(() => prepare(all, sampleRate));
    const { range, peak } = prepared.value;
    if (!Number.isFinite(peak))
      throw serviceError('corrupt_media', { found: mime, reason: 'a sample is not a finite number' });
    const soundSeconds = (range.end - range.start) / sampleRate;
    const common = {
      properties: propertiesOf(audio),
      notes: audio.cut ? [`Only the first ${maxSeconds} s of the file were analysed.`] : [],
    };
    const levels = {
      analysed_seconds: soundSeconds,
      trimmed_seconds: audio.decodedSeconds - soundSeconds,
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
    const total = windows.starts.length;
    report({ ...spectrograms.start, progress: 0, total });
    const logits = await timed(() => classifier.logits(windows.samples, [windowLength], signal, observer));
    report({ ...spectrograms.complete, progress: total, total });
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

/** The graph computes a spectrogram of every window and judges it. */
const spectrograms = {
  start: { event: 'SPECTROGRAM_GENERATION_START', message: 'the windows of the sound go through the model' },
  complete: { event: 'SPECTROGRAM_GENERATION_COMPLETE', message: 'all windows of the sound are judged' },
} as const;
const extraction = {
  start: { event: 'AUDIO_EXTRACTION_START', message: 'the sound is being taken out of the video' },
  complete: { event: 'AUDIO_EXTRACTION_COMPLETE', message: 'the sound was taken out of the video' },
} as const;

/** @returns undefined for a video without a sound track */
async function extractSound(
  request: AudioRequest,
  report: (step: ProgressStep) => void,
): Promise<DecodedAudio | undefined> {
  report({ ...extraction.start, progress: null, total: null });
  const audio = await decodeSoundOfVideo(request);
  if (audio !== undefined) report({ ...extraction.complete, progress: null, total: null });
  return audio;
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
