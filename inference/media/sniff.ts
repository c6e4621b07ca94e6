/** What a file is, by its content. Names and declared types are never trusted. */
import { open } from 'node:fs/promises';
import { fileTypeFromFile } from 'file-type';

export type MediaKind = 'image' | 'audio' | 'video';

/** ffmpeg demuxers that untrusted files may reach. */
export type Demuxer = 'wav' | 'flac' | 'mp3' | 'ogg' | 'mov';

export type SniffedMedia =
  | { readonly kind: 'image'; readonly mime: string }
  | { readonly kind: 'audio'; readonly mime: string; readonly demuxer: Demuxer }
  | { readonly kind: 'video'; readonly mime: string }
  /** `found` says in words what the file is instead. */
  | { readonly kind: 'unsupported'; readonly found: string };

/** What `sniffMedia` can hand to a pipeline, in words for a message. */
export const readableFormats: Readonly<Record<MediaKind, string>> = {
  image: 'JPEG, PNG and WebP images',
  audio: 'WAV, FLAC, MP3, Ogg (Vorbis, Opus) and M4A sound',
  video: 'MP4, QuickTime, Matroska and WebM video',
};

const imageTypes = new Set(['image/jpeg', 'image/png', 'image/webp']);
const videoTypes = new Set([
  'video/mp4',
  'video/quicktime',
  'video/matroska',
  'video/webm',
  'video/x-msvideo',
]);
const demuxers: Readonly<Record<string, Demuxer>> = {
  'audio/wav': 'wav',
  'audio/flac': 'flac',
  'audio/mpeg': 'mp3',
  'audio/ogg': 'ogg',
  'audio/x-m4a': 'mov',
  'audio/mp4': 'mov',
};
const maxMovieHeaderBytes = 16 * 1024 * 1024;

/** Reads the beginning of the file (and, for ISO media, its track table). */
export async function sniffMedia(path: string): Promise<SniffedMedia> {
  const type = await fileTypeFromFile(path);
  const mime = type?.mime.split(';', 1)[0];
  if (mime === undefined) return { kind: 'unsupported', found: await describeUnknown(path) };
  if (imageTypes.has(mime)) return { kind: 'image', mime };
  const demuxer = demuxers[mime];
  if (demuxer !== undefined) return { kind: 'audio', mime, demuxer };
  if (mime === 'video/mp4' && (await hasOnlySound(path)))
    return { kind: 'audio', mime: 'audio/mp4', demuxer: 'mov' };
  if (videoTypes.has(mime)) return { kind: 'video', mime };
  return { kind: 'unsupported', found: mime };
}

async function describeUnknown(path: string): Promise<string> {
  const head = await readAt(path, 0, 8);
  const bytes = [...head].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
  return `of no known media type (it begins with the bytes ${bytes})`;
}

/** Recorders name sound-only MP4 files by the general brand: the handlers of the tracks tell. */
async function hasOnlySound(path: string): Promise<boolean> {
  const movie = await movieHeader(path);
  const handlers = new Set<string>();
  for (let at = movie.indexOf('hdlr'); at >= 0; at = movie.indexOf('hdlr', at + 4)) {
    handlers.add(movie.toString('latin1', at + 12, at + 16));
  }
  return handlers.has('soun') && !handlers.has('vide');
}

async function movieHeader(path: string): Promise<Buffer> {
  let at = 0;
  for (let box = 0; box < 64; box += 1) {
    const header = await readAt(path, at, 16);
    if (header.length < 16) break;
    const short = header.readUInt32BE(0);
    const size = short === 1 ? Number(header.readBigUInt64BE(8)) : short;
    if (header.toString('latin1', 4, 8) === 'moov')
      return readAt(path, at, Math.min(size, maxMovieHeaderBytes));
    if (size < 8) break;
    at += size;
  }
  return Buffer.alloc(0);
}

/** Up to `length` bytes from `position`; fewer at the end of the file. */
export async function readAt(path: string, position: number, length: number): Promise<Buffer> {
  const file = await open(path);
  try {
    const available = Math.max(0, Math.min(length, (await file.stat()).size - position));
    const { buffer, bytesRead } = await file.read(Buffer.alloc(available), 0, available, position);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
