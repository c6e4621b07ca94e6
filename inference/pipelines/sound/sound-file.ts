/** The sound of a file, or that of a video, decoded and told of. */
import { peakOf } from '../../dsp/waveform.ts';
import { serviceError } from '../../errors.ts';
import { type AudioRequest, type DecodedAudio, decodeAudio, decodeSoundOfVideo } from '../../media/audio.ts';
import { corruptMedia } from '../../media/decode-failure.ts';
import type { FfmpegExit } from '../../media/media-program.ts';
import type { DetectorContext, DetectorInput, ProgressStep, SoundProperties } from '../analysis.ts';

export interface SoundFileOptions {
  /** Hz. */
  readonly sampleRate: number;
  readonly maxSeconds: number;
}

/** Files of floating-point numbers may hold any; those that mistake integers for them stay below, and powers of these are still float32. */
const largestPeak = 1e6;

/**
 * @returns undefined for a video without a sound track
 * @throws ServiceError unsupported_media, corrupt_media; as `decodeAudio`
 */
export async function soundOf(
  { path, media }: DetectorInput,
  { sampleRate, maxSeconds }: SoundFileOptions,
  { signal, emit, report }: DetectorContext,
): Promise<DecodedAudio | undefined> {
  if (media.kind !== 'audio' && media.kind !== 'video')
    throw serviceError('unsupported_media', { found: media.kind, supported: 'sound' });
  const { mime, demuxer } = media;
  const onExit = (exit: FfmpegExit) => emit({ type: 'ffmpeg_exit', exit });
  const request = { path, mime, demuxer, sampleRateHz: sampleRate, maxSeconds, signal, onExit };
  const audio = await (media.kind === 'video' ? extractSound(request, report) : decodeAudio(request));
  if (audio !== undefined) refuseNoSound(audio.samples, mime);
  return audio;
}

/** @throws ServiceError corrupt_media for samples that no recording has, and that would overflow in a graph */
export function refuseNoSound(samples: Float32Array, mime: string): void {
  const peak = peakOf(samples);
  if (!Number.isFinite(peak)) throw corruptMedia(mime, 'a sample is not a finite number');
  if (peak > largestPeak) throw corruptMedia(mime, 'a sample is more than 120 dB above full scale');
}

export function propertiesOf(audio: DecodedAudio): SoundProperties {
  const { sampleRateHz, channels, declaredSeconds } = audio.source;
  return { duration_seconds: declaredSeconds ?? audio.decodedSeconds, sample_rate: sampleRateHz, channels };
}

const extraction = {
  start: { event: 'AUDIO_EXTRACTION_START', message: 'the sound is being taken out of the video' },
  complete: { event: 'AUDIO_EXTRACTION_COMPLETE', message: 'the sound was taken out of the video' },
} as const;

async function extractSound(
  request: AudioRequest,
  report: (step: ProgressStep) => void,
): Promise<DecodedAudio | undefined> {
  report({ ...extraction.start, progress: null, total: null });
  const audio = await decodeSoundOfVideo(request);
  if (audio !== undefined) report({ ...extraction.complete, progress: null, total: null });
  return audio;
}
