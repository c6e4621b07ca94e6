/** What a client is told when a decoder gives up. */
import { serviceError } from '../errors.ts';
import { FfmpegError } from './media-program.ts';
import type { MediaFile } from './sniff.ts';

/** The error to throw for what was thrown while a file was read with ffmpeg. */
export function decodeFailure(error: unknown, { mime }: MediaFile, signal: AbortSignal): unknown {
  if (!(error instanceof FfmpegError) || error.exit === 'missing') return error;
  if (error.exit === 'aborted') return signal.aborted ? signal.reason : error;
  if (error.exit === 'codec_refused') {
    const found = `${mime} with a codec that is not decoded here (${error.message})`;
    return serviceError('unsupported_media', { found, supported: 'the usual codecs' }, { cause: error });
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
