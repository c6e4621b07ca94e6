/** What a container says of its tracks, read once by ffprobe. Its numbers are claims: decoding has to confirm them. */
import { z } from 'zod';
import { corruptMedia } from './decode-failure.ts';
import { guardedInput, secondsOf } from './ffmpeg.ts';
import { collectOutput, type FfmpegExit } from './media-program.ts';
import type { MediaFile } from './sniff.ts';

export interface PictureTrack {
  /** In the file. */
  readonly index: number;
  readonly codec: string;
  /** Upright, in pixels. */
  readonly width: number;
  readonly height: number;
  /** Clockwise degrees by which the stored pictures are turned to be upright. */
  readonly rotation: 0 | 90 | 180 | 270;
  /** On average; 0 where it is not known. */
  readonly framesPerSecond: number;
  readonly colourRange: 'full' | 'limited' | 'unspecified';
  readonly frameCount: number | undefined;
  /** Of the track, or of the file where the track says nothing. */
  readonly durationSeconds: number | undefined;
  /** undefined where one of its parts is not known. */
  readonly clock: TrackClock | undefined;
}

export interface TrackClock {
  readonly ticksPerSecond: number;
  /** Of the first picture on the file's clock. */
  readonly startTicks: number;
  /** Of the first track that begins, to the microsecond. */
  readonly fileStartSeconds: number;
}

export interface SoundTrack {
  /** In the file. */
  readonly index: number;
  readonly codec: string;
  readonly sampleRateHz: number;
  readonly channels: number;
  /** Of the track itself. */
  readonly durationSeconds: number | undefined;
}

/** The first track of each kind. */
export interface ProbedMedia {
  readonly picture: PictureTrack | undefined;
  readonly sound: SoundTrack | undefined;
}

const positive = z.coerce.number().positive().optional().catch(undefined);
const count = z.coerce.number().int().nonnegative().catch(0);
const streamSchema = z.object({
  index: z.number().int(),
  codec_type: z.string().optional(),
  codec_name: z.string().default('unknown'),
  width: count,
  height: count,
  color_range: z.string().optional(),
  avg_frame_rate: z.string().default('0/0'),
  nb_frames: positive,
  duration: positive,
  time_base: z.string().optional(),
  start_pts: z.number().int().optional().catch(undefined),
  sample_rate: count,
  channels: count,
  disposition: z.object({ attached_pic: z.number().optional() }).optional(),
  tags: z.object({ DURATION: z.string().optional() }).optional(),
  side_data_list: z.array(z.object({ rotation: z.number().optional() })).optional(),
});
const reportSchema = z.object({
  streams: z.array(streamSchema).default([]),
  format: z
    .object({ duration: positive, start_time: z.coerce.number().optional().catch(undefined) })
    .optional(),
});
type Stream = z.infer<typeof streamSchema>;
type Format = z.infer<typeof reportSchema>['format'];

const entries = [
  'stream=index,codec_type,codec_name,width,height,color_range,avg_frame_rate,nb_frames,duration,sample_rate,channels,time_base,start_pts',
  'stream_disposition=attached_pic:stream_tags=DURATION:stream_side_data=rotation:format=duration,start_time',
].join(':');
const maxReportBytes = 1024 * 1024;

/** @throws FfmpegError whose message is ffprobe's own complaint; ServiceError corrupt_media for a file without tracks */
export async function probeMedia(
  file: MediaFile,
  run: { readonly signal: AbortSignal; readonly onExit: (exit: FfmpegExit) => void },
): Promise<ProbedMedia> {
  const { path, demuxer } = file;
  const limits = ['-v', 'error', '-max_alloc', '268435456', ...guardedInput(demuxer)];
  const args = [...limits, '-show_entries', entries, '-of', 'json', path];
  const { output } = await collectOutput({
    ...run,
    program: 'ffprobe',
    args,
    path,
    maxBytes: maxReportBytes,
  });
  const { streams, format } = reportSchema.parse(JSON.parse(output.toString('utf8')));
  if (streams.length === 0) throw corruptMedia(file.mime, 'no track can be found in it');
  const picture = streams.find((stream) => stream.codec_type === 'video' && !isCover(stream));
  const sound = streams.find((stream) => stream.codec_type === 'audio');
  return {
    picture: picture && pictureTrack(picture, format),
    sound: sound && soundTrack(sound),
  };
}

/** The picture of a record's sleeve is a track of its own. */
function isCover({ disposition }: Stream): boolean {
  return disposition?.attached_pic === 1;
}

function pictureTrack(stream: Stream, format: Format): PictureTrack {
  const rotation = clockwise(
    stream.side_data_list?.find((data) => data.rotation !== undefined)?.rotation ?? 0,
  );
  const lies = rotation === 90 || rotation === 270;
  return {
    index: stream.index,
    codec: stream.codec_name,
    width: lies ? stream.height : stream.width,
    height: lies ? stream.width : stream.height,
    rotation,
    framesPerSecond: ratio(stream.avg_frame_rate),
    colourRange: colourRanges[stream.color_range ?? ''] ?? 'unspecified',
    frameCount: stream.nb_frames,
    durationSeconds: trackSeconds(stream) ?? format?.duration,
    clock: clockOf(stream, format),
  };
}

function soundTrack(stream: Stream): SoundTrack {
  const { index, codec_name: codec, sample_rate: sampleRateHz, channels } = stream;
  return { index, codec, sampleRateHz, channels, durationSeconds: trackSeconds(stream) };
}

const colourRanges: Readonly<Record<string, PictureTrack['colourRange']>> = { pc: 'full', tv: 'limited' };

/** Matroska has the length of a track in a tag only, "00:00:10.006000000", and ffprobe may give that of the whole file beside it. */
function trackSeconds({ duration, tags }: Stream): number | undefined {
  return secondsOf(tags?.DURATION ?? '') ?? duration;
}

function clockOf({ time_base, start_pts }: Stream, format: Format): TrackClock | undefined {
  const ticksPerSecond = Number(/^1\/(\d+)$/.exec(time_base ?? '')?.[1]);
  const fileStartSeconds = format?.start_time;
  if (!(ticksPerSecond > 0) || start_pts === undefined || fileStartSeconds === undefined) return undefined;
  return { ticksPerSecond, startTicks: start_pts, fileStartSeconds };
}

/** ffprobe counts degrees counter-clockwise, from -180 to 180. */
function clockwise(counterClockwise: number): PictureTrack['rotation'] {
  const turns = Math.round(-counterClockwise / 90);
  return ([0, 90, 180, 270] as const)[((turns % 4) + 4) % 4] ?? 0;
}

/** "30000/1001"; 0 for "0/0". */
function ratio(text: string): number {
  const [numerator = 0, denominator = 0] = text.split('/').map(Number);
  return denominator > 0 ? numerator / denominator : 0;
}
