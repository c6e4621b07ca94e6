/** Sound files to mono samples, with damage found and named. */
import { corruptMedia, decodeFailure, lengthTolerance } from './decode-failure.ts';
import { decodePcm, type Pcm } from './ffmpeg.ts';
import type { FfmpegExit } from './media-program.ts';
import { probeMedia } from './probe.ts';
import type { MediaFile } from './sniff.ts';
import { withBytes } from './source.ts';

export interface AudioRequest extends MediaFile {
  readonly sampleRateHz: number;
  readonly maxSeconds: number;
  /** What is known of the length of the sound; without it, the length of the file is that of the sound. */
  readonly track?: { readonly durationSeconds: number | undefined } | undefined;
  readonly signal: AbortSignal;
  readonly onExit: (exit: FfmpegExit) => void;
}

export interface DecodedAudio extends Pcm {
  readonly decodedSeconds: number;
  /** The file goes on after `maxSeconds`. */
  readonly cut: boolean;
}

const oggTailBytes = 128 * 1024;

/** @throws ServiceError corrupt_media where the file is damaged or ends early; the signal's reason where it was aborted */
export async function decodeAudio(request: AudioRequest): Promise<DecodedAudio> {
  const { signal } = request;
  if (request.demuxer === 'ogg') await refuseCutOgg(request);
  const pcm = await decodePcm({ ...request, strict: request.demuxer !== 'mp3' }).catch((error: unknown) => {
    throw decodeFailure(error, request, signal);
  });
  const declared = request.track === undefined ? pcm.source.declaredSeconds : request.track.durationSeconds;
  return { ...pcm, ...decodedLength(pcm.samples, declared, request) };
}

/**
 * How much of a sound there is.
 * @param declared seconds that the container says, where it says anything
 * @throws ServiceError corrupt_media where the samples end early
 */
export function decodedLength(
  samples: Float32Array,
  declared: number | undefined,
  { mime, sampleRateHz, maxSeconds }: Pick<AudioRequest, 'mime' | 'sampleRateHz' | 'maxSeconds'>,
): Pick<DecodedAudio, 'decodedSeconds' | 'cut'> {
  const decodedSeconds = samples.length / sampleRateHz;
  if (samples.length === 0) throw corruptMedia(mime, 'it holds no sound');
  if (declared !== undefined && endsEarly(decodedSeconds, Math.min(declared, maxSeconds))) {
    throw corruptMedia(
      mime,
      `${decodedSeconds.toFixed(1)} s can be decoded of the ${declared.toFixed(1)} s that its header declares`,
    );
  }
  const cut = decodedSeconds >= maxSeconds && (declared ?? Infinity) > maxSeconds + 0.1;
  return { decodedSeconds, cut };
}

/**
 * The sound track of a video, whose length is not that of the file.
 * @returns undefined for a video without one
 * @throws as `decodeAudio`
 */
export async function decodeSoundOfVideo(request: AudioRequest): Promise<DecodedAudio | undefined> {
  const { sound } = await probeMedia(request, request).catch((error: unknown) => {
    throw decodeFailure(error, request, request.signal);
  });
  return sound === undefined ? undefined : decodeAudio({ ...request, track: sound });
}

function endsEarly(decodedSeconds: number, expectedSeconds: number): boolean {
  return decodedSeconds < expectedSeconds - lengthTolerance(expectedSeconds);
}

/** ffmpeg plays a cut Ogg file up to the cut and says nothing; but its last page then reaches past the end of the file. */
async function refuseCutOgg(request: MediaFile): Promise<void> {
  const tail = await withBytes(request, (reader) =>
    reader.read(Math.max(0, reader.size - oggTailBytes), oggTailBytes),
  );
  const missing = bytesMissingFromLastOggPage(tail);
  if (missing > 0) throw corruptMedia(request.mime, `its last page lacks ${missing} bytes`);
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
