/** What a client is told when a decoder gives up. */
import { serviceError } from '../errors.ts';
import { FfmpegError } from './media-program.ts';
import type { MediaFile } from './sniff.ts';

/** What the decoders that files may reach can read, in words. */
const readableCodecs =
  'H.264, HEVC, AV1, VP8, VP9, MPEG-1, -2 and -4, ProRes and Motion JPEG pictures; AAC, MP3, MP2, AC-3, Opus, Vorbis, FLAC, ALAC and PCM sound';

/** The error to throw for what was thrown while a file was read with ffmpeg. */
export function decodeFailure(error: unknown, { mime }: MediaFile, signal: AbortSignal): unknown {
  if (!(error instanceof FfmpegError) || error.exit === 'missing') return error;
  if (error.exit === 'aborted') return signal.aborted ? signal.reason : error;
  if (error.exit === 'codec_refused') {
    const found = `${mime} with a codec that is not decoded here (${error.message})`;
    return serviceError('unsupported_media', { found, supported: readableCodecs }, { cause: error });
  }
  const changes = /configure output pad/.test(error.message);
  return corruptMedia(mime, changes ? 'the size of its pictures changes' : error.message, error);
}

export function corruptMedia(mime: string, reason: string, cause?: unknown) {
  return serviceError('corrupt_media', { found: mime, reason }, { cause });
}

/** Encoders round lengths and pad; half a second or 2 % is no damage. */
export function lengthTolerance(declaredSeconds: number): number {
  return Math.max(0.5, declaredSeconds * 0.02);
}
