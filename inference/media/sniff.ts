/** What a file is, by its content. Names and declared types are never trusted. */
import { fileTypeFromBuffer, fileTypeFromFile } from 'file-type';
import { appendedContent } from './appended-content.ts';
import { type ByteReader, type MediaSource, withBytes } from './source.ts';

export type MediaKind = 'image' | 'audio' | 'video';

/** ffmpeg demuxers that untrusted files may reach. */
export type Demuxer = 'wav' | 'flac' | 'mp3' | 'ogg' | 'mov' | 'matroska' | 'avi';

export type SniffedMedia =
  | { readonly kind: 'image'; readonly mime: string }
  | { readonly kind: 'audio'; readonly mime: string; readonly demuxer: Demuxer }
  | { readonly kind: 'video'; readonly mime: string; readonly demuxer: Demuxer }
  /** `found` says in words what the file is instead. */
  | { readonly kind: 'unsupported'; readonly found: string };

/** A file that ffmpeg may read, and how. */
export interface MediaFile {
  readonly path: string;
  readonly mime: string;
  readonly demuxer: Demuxer;
}

/** What `sniffMedia` can hand to a pipeline, in words for a message. */
export const readableFormats: Readonly<Record<MediaKind, string>> = {
  image: 'JPEG, PNG, WebP, GIF and AVIF images',
  audio: 'WAV, FLAC, MP3, Ogg (Vorbis, Opus) and M4A sound',
  video: 'MP4, QuickTime, Matroska, WebM and AVI video',
};

const imageTypes = new Set([
  'image/jpeg',
  'image/png',
  'image/apng',
  'image/webp',
  'image/gif',
  'image/avif',
]);
/** The prebuilt libvips decodes AV1 in HEIF, but not HEVC, whose patents are licensed. */
const hevcTypes = new Set(['image/heic', 'image/heic-sequence', 'image/heif', 'image/heif-sequence']);
const videoDemuxers: Readonly<Record<string, Demuxer>> = {
  'video/mp4': 'mov',
  'video/quicktime': 'mov',
  'video/matroska': 'matroska',
  'video/webm': 'matroska',
  'video/vnd.avi': 'avi',
};
const audioDemuxers: Readonly<Record<string, Demuxer>> = {
  'audio/wav': 'wav',
  'audio/flac': 'flac',
  'audio/mpeg': 'mp3',
  'audio/ogg': 'ogg',
  'audio/x-m4a': 'mov',
  'audio/mp4': 'mov',
};
/** Boxes of an ISO file that are looked at; a file of a recorder has a few dozen. */
const maxBoxes = 512;
/** Of a box, up to the type of a handler. */
const boxHeadBytes = 20;
const containers = new Set(['moov', 'trak', 'mdia']);

/** Reads the beginning of the file (and, for ISO media, its track table). */
export async function sniffMedia(source: MediaSource): Promise<SniffedMedia> {
  const { path, content } = source;
  const type = await (content === undefined ? fileTypeFromFile(path) : fileTypeFromBuffer(content));
  const mime = type?.mime.split(';', 1)[0];
  if (mime === undefined) return { kind: 'unsupported', found: await describeUnknown(source) };
  if (imageTypes.has(mime)) return imageOf(source, mime);
  if (hevcTypes.has(mime))
    return {
      kind: 'unsupported',
      found: `${mime}, for which there is no decoder here: convert it to JPEG or PNG`,
    };
  const sound = audioDemuxers[mime];
  if (sound !== undefined) return { kind: 'audio', mime, demuxer: sound };
  if (mime === 'video/mp4' && (await hasOnlySound(source)))
    return { kind: 'audio', mime: 'audio/mp4', demuxer: 'mov' };
  const picture = videoDemuxers[mime];
  if (picture !== undefined) return { kind: 'video', mime, demuxer: picture };
  return { kind: 'unsupported', found: mime === 'application/xml' ? await describeUnknown(source) : mime };
}

/** Texts that name other files. They would make a player open what the upload does not hold. */
const playlists: readonly (readonly [beginning: RegExp, found: string])[] = [
  [/^#EXTM3U/, 'an M3U or HLS playlist'],
  [/^ffconcat version/, 'a list of files for ffmpeg (concat)'],
  [/^v=0\r?\no=/, 'a session description (SDP)'],
  [/^\[playlist\]/i, 'a PLS playlist'],
  [/^(REM .*\r?\n)*(PERFORMER|TITLE|FILE) "/, 'a cue sheet'],
  [/^(<\?xml[^>]*>\s*)?<(MPD|SmoothStreamingMedia|smil|asx)\b/i, 'a streaming manifest'],
];

async function imageOf(source: MediaSource, mime: string): Promise<SniffedMedia> {
  const appended = await appendedContent(source, mime);
  return appended === undefined
    ? { kind: 'image', mime }
    : { kind: 'unsupported', found: `${mime} with ${appended} behind it: send the image alone` };
}

async function describeUnknown(source: MediaSource): Promise<string> {
  const head = await withBytes(source, (reader) => reader.read(0, 256));
  const text = head
    .toString('latin1')
    .replace(/^\u00ef\u00bb\u00bf/, '')
    .trimStart();
  const playlist = playlists.find(([beginning]) => beginning.test(text))?.[1];
  if (playlist !== undefined) return `${playlist}, which names other files and holds no media`;
  const bytes = [...head.subarray(0, 8)].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
  return `of no known media type (it begins with the bytes ${bytes})`;
}

/** Recorders name sound-only MP4 files by the general brand: the handlers of the tracks tell. */
async function hasOnlySound(source: MediaSource): Promise<boolean> {
  return withBytes(source, async (file) => {
    const reader = { file, boxesLeft: maxBoxes };
    const handlers = await trackHandlers(reader, 0, file.size);
    return reader.boxesLeft > 0 && handlers.includes('soun') && !handlers.includes('vide');
  });
}

interface BoxReader {
  readonly file: ByteReader;
  boxesLeft: number;
}

/** Types of the handlers in the first moov/trak/mdia/hdlr between two positions, as far as the reader's boxes last. */
async function trackHandlers(reader: BoxReader, start: number, end: number): Promise<string[]> {
  const handlers: string[] = [];
  for (let at = start; at < end && reader.boxesLeft > 0; ) {
    reader.boxesLeft -= 1;
    const head = await reader.file.read(at, boxHeadBytes);
    const box = head.length === boxHeadBytes ? boxOf(head) : undefined;
    if (box === undefined) break;
    const boxEnd = Math.min(end, at + (box.size || end - at));
    if (box.type === 'hdlr') handlers.push(head.toString('latin1', 16, 20));
    else if (containers.has(box.type))
      handlers.push(...(await trackHandlers(reader, at + box.headerBytes, boxEnd)));
    if (box.type === 'moov') break;
    at = boxEnd;
  }
  return handlers;
}

/** Size 0 reaches to the end of what holds the box. */
function boxOf(head: Buffer): { type: string; size: number; headerBytes: number } | undefined {
  const type = head.toString('latin1', 4, 8);
  const short = head.readUInt32BE(0);
  const [size, headerBytes] = short === 1 ? [Number(head.readBigUInt64BE(8)), 16] : [short, 8];
  return size === 0 || size >= headerBytes ? { type, size, headerBytes } : undefined;
}
