/** Sound files to mono samples, with damage found and named. */
import { stat } from 'node:fs/promises';
import { serviceError } from '../errors.ts';
import { decodePcm, FfmpegError, type FfmpegExit, type Pcm } from './ffmpeg.ts';
import { type Demuxer, readAt } from './sniff.ts';

export interface AudioRequest {
  readonly path: string;
  readonly mime: string;
  readonly demuxer: Demuxer;
  readonly sampleRateHz: number;
  readonly maxSeconds: number;
  readonly signal: AbortSignal;
  readonly onFfmpegExit: (exit: FfmpegExit) => void;
}

export interface DecodedAudio extends Pcm {
  readonly decodedSeconds: number;
  /** The file goes on after `maxSeconds`. */
  readonly cut: boolean;
}

const oggTailBytes = 128 * 1024;

/** @throws ServiceError corrupt_media where the file is damaged or ends early; the signal's reason where it was aborted */
export async function decodeAudio(request: AudioRequest): Promise<DecodedAudio> {
  if (request.demuxer === 'ogg') await refuseCutOgg(request);
  const pcm = await runFfmpeg(request);
  const decodedSeconds = pcm.samples.length / request.sampleRateHz;
  const declared = pcm.source.declaredSeconds;
  if (pcm.samples.length === 0) throw corrupt(request, 'it holds no sound');
  if (declared !== undefined && endsEarly(decodedSeconds, Math.min(declared, request.maxSeconds))) {
    throw corrupt(
      request,
      `${decodedSeconds.toFixed(1)} s can be decoded of the ${declared.toFixed(1)} s that its header declares`,
    );
  }
  return {
    ...pcm,
    decodedSeconds,
    cut: decodedSeconds >= request.maxSeconds && (declared ?? Infinity) > request.maxSeconds + 0.1,
  };
}

async function runFfmpeg(request: AudioRequest): Promise<Pcm> {
  try {
    const pcm = await decodePcm({ ...request, strict: request.demuxer !== 'mp3' });
    request.onFfmpegExit('ok');
    return pcm;
  } catch (error) {
    if (!(error instanceof FfmpegError)) throw error;
    request.onFfmpegExit(error.exit);
    if (error.exit === 'aborted') throw request.signal.reason;
    if (error.exit === 'missing') throw error;
    throw corrupt(request, error.message, error);
  }
}

function corrupt(request: AudioRequest, reason: string, cause?: unknown) {
  return serviceError('corrupt_media', { found: request.mime, reason }, { cause });
}

/** Encoders round lengths and pad; half a second or 2 % is no damage. */
function endsEarly(decodedSeconds: number, expectedSeconds: number): boolean {
  return decodedSeconds < expectedSeconds - Math.max(0.5, expectedSeconds * 0.02);
}

/** ffmpeg plays a cut Ogg file up to the cut and says nothing; but its last page then reaches past the end of the file. */
async function refuseCutOgg(request: AudioRequest): Promise<void> {
  const { size } = await stat(request.path);
  const tail = await readAt(request.path, Math.max(0, size - oggTailBytes), oggTailBytes);
  const missing = bytesMissingFromLastOggPage(tail);
  if (missing > 0) throw corrupt(request, `its last page lacks ${missing} bytes`);
}

/** How far the last Ogg page in `tail` (the end of a file) reaches past it, in bytes; 0 where it is whole. */
export function bytesMissingFromLastOggPage(tail: Buffer): number {
  const page = tail.lastIndexOf('OggS');
  if (page < 0) return 0;
  const tableAt = page + 27;
  const segments = tail[page + 26];
  if (segments === undefined || tableAt + segments > tail.length)
    return tableAt + (segments ?? 0) - tail.length;
  const body = tail.subarray(tableAt, tableAt + segments).reduce((sum, length) => sum + length, 0);
  return Math.max(0, tableAt + segments + body - tail.length);
}
