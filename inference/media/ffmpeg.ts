/**
 * The only module that knows ffmpeg's options and fluent-ffmpeg. The library is archived: it composes the command line, and that is all that
 * is asked of it, because it knows neither a second pipe nor backpressure nor limits; `media-program.ts` runs what was composed.
 * ffmpeg sees one local file or an excerpt of it, one forced demuxer, listed decoders and no network.
 */
import ffmpeg from 'fluent-ffmpeg';
import type { Excerpt } from './excerpt/excerpt.ts';
import { collectOutput, type FfmpegExit, outputOf } from './media-program.ts';
import { jumps, type Stretch } from './sampling.ts';
import type { Demuxer } from './sniff.ts';

/** A run's input and its ends. */
export interface FfmpegRequest {
  readonly path: string;
  readonly demuxer: Demuxer;
  readonly signal: AbortSignal;
  readonly onExit: (exit: FfmpegExit) => void;
}

export interface PcmRequest extends FfmpegRequest {
  readonly sampleRateHz: number;
  /** Sound after this many seconds is not decoded. */
  readonly maxSeconds: number;
  /** Stop at the first damaged packet. Off for formats where real files carry harmless junk. */
  readonly strict: boolean;
}

export interface Pcm {
  /** Mono, [-1, 1], at the requested rate. */
  readonly samples: Float32Array;
  readonly source: {
    readonly sampleRateHz: number;
    readonly channels: number;
    /** What the container says, or undefined where it says nothing or ffmpeg only guessed. */
    readonly declaredSeconds: number | undefined;
  };
}

/** How frames get their size: stretched, cut to the size around the centre, or whole with black bars. */
export type FrameFit = 'fill' | 'cover' | 'contain';

export interface FrameShape {
  readonly width: number;
  readonly height: number;
  readonly fit: FrameFit;
  readonly interpolation: 'area' | 'bilinear' | 'bicubic';
}

export interface FramesRequest extends FfmpegRequest {
  /** Index of the picture track in the file. */
  readonly track: number;
  /** One input of the process each, in order of time, where there is no excerpt. */
  readonly stretches: readonly Stretch[];
  /** Read instead of the file for the pictures. */
  readonly excerpt?: Excerpt | undefined;
  /** Where the video must have ended: the first key frame behind it, if there is one, comes as one frame more. */
  readonly endSeconds?: number | undefined;
  readonly shape: FrameShape;
  /** Of the track; 0 where it is not known. */
  readonly framesPerSecond: number;
  /** Take the key frame before a moment instead of its own frame. */
  readonly keyframesOnly: boolean;
  readonly threads: number;
  /** A decoder that meets a larger picture gives up, whatever the header declared. */
  readonly maxPixels: number;
  /** The sound of the whole file beside the frames, from the same process. */
  readonly sound?: FrameSound | undefined;
}

export interface FrameSound {
  /** Index of the sound track in the file. */
  readonly track: number;
  readonly sampleRateHz: number;
  readonly maxSeconds: number;
  /** Called once after the last frame with mono samples in [-1, 1]. */
  readonly onSamples: (samples: Float32Array) => void;
}

/** What files of today need; every other decoder, and its bugs, stays out of reach. */
const decoders = [
  ...[
    'h264',
    'hevc',
    'mpeg4',
    'mpeg2video',
    'mpeg1video',
    'mjpeg',
    'prores',
    'vp8',
    'vp9',
    'libdav1d',
    'av1',
  ],
  ...[
    'aac',
    'mp3float',
    'mp3',
    'mp2float',
    'mp2',
    'ac3',
    'eac3',
    'flac',
    'alac',
    'opus',
    'libopus',
    'vorbis',
  ],
  ...['pcm_u8', 'pcm_s16le', 'pcm_s16be', 'pcm_s24le', 'pcm_s24be', 'pcm_s32le', 'pcm_f32le', 'pcm_f64le'],
  ...['pcm_alaw', 'pcm_mulaw', 'adpcm_ms', 'adpcm_ima_wav'],
].join(',');

/**
 * Options in front of every input, of ffprobe too. The lists hold for what a demuxer opens by itself as well, such as subtitles in AVI
 * that turn out to be playlists.
 */
export function guardedInput(demuxer: Demuxer): string[] {
  return [
    ...['-protocol_whitelist', 'file,pipe', '-format_whitelist', demuxer, '-codec_whitelist', decoders],
    ...['-probesize', '5000000', '-analyzeduration', '5000000', '-f', demuxer],
  ];
}

const everyRun = ['-nostdin', '-hide_banner', '-nostats', '-max_alloc', '268435456'];
const bytesPerSample = 4;

/** @throws FfmpegError; its message is ffmpeg's own complaint */
export async function decodePcm(request: PcmRequest): Promise<Pcm> {
  const { path, demuxer, sampleRateHz, maxSeconds } = request;
  const command = ffmpeg()
    .input(path)
    .inputOptions([...everyRun, ...(request.strict ? ['-xerror'] : []), '-threads', '1'])
    .inputOptions(guardedInput(demuxer))
    .output('pipe:1')
    .outputOptions(['-map', '0:a:0', ...monoOutput(sampleRateHz, maxSeconds)]);
  const { output, lines } = await collectOutput({
    ...request,
    program: 'ffmpeg',
    args: argumentsOf(command),
    maxBytes: pcmBytes(sampleRateHz, maxSeconds),
  });
  return { samples: floats(output), source: sourceOf(lines) };
}

/**
 * The frames of all stretches, one after the other: `width * height * 3` bytes each, RGB, full range, upright. A stretch that the file does
 * not hold gives none. No frame is decoded much before it is taken.
 * @throws FfmpegError; its message is ffmpeg's own complaint
 */
export async function* decodeFrames(request: FramesRequest): AsyncGenerator<Uint8Array> {
  const { sound, shape } = request;
  const frameBytes = shape.width * shape.height * 3;
  const frames = request.stretches.reduce((sum, { count }) => sum + count, 1);
  const samples: Buffer[] = [];
  const output = outputOf({
    ...request,
    program: 'ffmpeg',
    args: argumentsOf(framesCommand(request)),
    input: request.excerpt?.stream(),
    maxBytes: frames * frameBytes,
    onSideOutput: sound === undefined ? undefined : (chunk) => samples.push(chunk),
  });
  yield* wholePieces(output, frameBytes);
  sound?.onSamples(floats(Buffer.concat(samples)));
}

function framesCommand(request: FramesRequest): ffmpeg.FfmpegCommand {
  const { path, sound } = request;
  const command = ffmpeg();
  const {
    inputs,
    parts,
    split = '',
  } = request.excerpt === undefined ? readingsOf(request) : excerptReading(request, request.excerpt);
  for (const [index, { source, options }] of inputs.entries()) {
    command.input(source).inputOptions(index === 0 ? [...everyRun, '-xerror'] : []);
    command.inputOptions([...guardedInput(request.demuxer), '-max_pixels', `${request.maxPixels}`]);
    command.inputOptions(['-threads', `${request.threads}`, ...options]);
  }
  command
    .output('pipe:1')
    .outputOptions(['-filter_complex', `${split}${filterGraph(parts, request.shape)}`, '-map', '[frames]'])
    .outputOptions(['-fps_mode', 'passthrough', '-f', 'rawvideo']);
  if (sound === undefined) return command;
  return command
    .input(path)
    .inputOptions([...guardedInput(request.demuxer), '-threads', '1', '-vn'])
    .output('pipe:3')
    .outputOptions(['-map', `${inputs.length}:${sound.track}`])
    .outputOptions(monoOutput(sound.sampleRateHz, sound.maxSeconds));
}

/** What is opened, with the options in front of it, and the filters that take the frames of each stretch. */
interface Readings {
  readonly inputs: readonly { readonly source: string; readonly options: readonly string[] }[];
  readonly parts: readonly string[];
  /** In front of them. */
  readonly split?: string;
}

/** The file is opened for each stretch. */
function readingsOf(request: FramesRequest): Readings {
  const { path, stretches, endSeconds, keyframesOnly, track } = request;
  const inputs = stretches.map((stretch) => ({
    source: path,
    options: [
      ...(keyframesOnly ? [...keyframes, '-noaccurate_seek'] : []),
      ...(jumps(stretch) ? startAt(stretch.startSeconds) : []),
    ],
  }));
  const parts = stretches.map((stretch, index) => `[${index}:${track}]${moments(stretch, request)}`);
  if (endSeconds === undefined) return { inputs, parts };
  return {
    inputs: [...inputs, { source: path, options: [...keyframes, ...startAt(endSeconds)] }],
    parts: [...parts, `[${inputs.length}:${track}]${firstFrame}`],
  };
}

/** An excerpt is opened once. Each stretch takes its frames as after a jump, counting time from its own origin. */
function excerptReading(request: FramesRequest, { origins }: Excerpt): Readings {
  const { stretches, keyframesOnly } = request;
  const names = stretches.map((_, index) => `[stretch${index}]`);
  const parts = stretches.map((stretch, index) => {
    const origin = origins[index] ?? 0;
    const begins =
      jumps(stretch) && (stretch.count === 1 || !keyframesOnly) ? `trim=start_pts=${origin},` : '';
    const source = stretches.length === 1 ? '[0:0]' : names[index];
    return `${source}${begins}setpts=PTS-(${origin}),${moments(stretch, request)}`;
  });
  const split = stretches.length === 1 ? '' : `[0:0]split=${stretches.length}${names.join('')};`;
  // The beginning of the excerpt is not to be taken for the beginning of time.
  const options = [...(keyframesOnly ? keyframes : []), '-seek_timestamp', '1'];
  return { inputs: [{ source: 'pipe:0', options }], parts, split };
}

const keyframes = ['-skip_frame', 'nokey'];
const firstFrame = 'trim=end_frame=1';

function startAt(seconds: number): string[] {
  return ['-ss', seconds.toFixed(6)];
}

/** Frames of each part at its moments, all in one row, then scaled: what is not taken is never scaled. */
function filterGraph(parts: readonly string[], shape: FrameShape): string {
  const taken = parts.map((filter, index) => `${filter},setpts=PTS-STARTPTS[part${index}]`);
  const row = parts.map((_, index) => `[part${index}]`).join('');
  return [...taken, `${row}concat=n=${parts.length},${scaling(shape)},format=rgb24[frames]`].join(';');
}

/** Common encoders leave no more between key frames. */
const maxKeyframeSeconds = 10;

/** The frame that is on display at each moment; for a single one after a jump, the first that comes. */
function moments(stretch: Stretch, { framesPerSecond, keyframesOnly }: FramesRequest): string {
  const { startSeconds, stepSeconds, count } = stretch;
  if (jumps(stretch) && count === 1) return firstFrame;
  const start = jumps(stretch) ? 0 : startSeconds;
  const taken = `fps=fps=${1 / stepSeconds}:start_time=${start.toFixed(6)}:round=up,trim=end_frame=${count}`;
  const shownAtEnd = keyframesOnly ? Math.ceil(maxKeyframeSeconds * framesPerSecond) : 1;
  // For the filter that takes frames the last one lasts no time. Where the rate is unknown, that filter's copies would have no time either.
  return framesPerSecond > 0 ? `tpad=stop_mode=clone:stop=${shownAtEnd},${taken}` : taken;
}

function scaling({ width, height, fit, interpolation }: FrameShape): string {
  const flags = `flags=${interpolation}+accurate_rnd+full_chroma_int:out_range=full`;
  switch (fit) {
    case 'fill':
      return `scale=${width}:${height}:${flags}`;
    case 'cover':
      return `scale=${width}:${height}:force_original_aspect_ratio=increase:${flags},crop=${width}:${height}`;
    case 'contain':
      return `scale=${width}:${height}:force_original_aspect_ratio=decrease:${flags},pad=${width}:${height}:(ow-iw)/2:(oh-ih)/2`;
  }
}

/**
 * How long a track is by its packets, in seconds, for files that do not declare it. Nothing is decoded.
 * @throws FfmpegError; its message is ffmpeg's own complaint
 */
export async function measureSeconds(
  request: FfmpegRequest & { readonly track: number; readonly maxSeconds: number },
): Promise<number> {
  const command = ffmpeg()
    .input(request.path)
    .inputOptions([...everyRun, '-progress', 'pipe:1', ...guardedInput(request.demuxer)])
    .output('pipe:1')
    .outputOptions(['-map', `0:${request.track}`, '-c', 'copy', '-t', `${request.maxSeconds}`, '-f', 'null']);
  const args = argumentsOf(command);
  const { output } = await collectOutput({ ...request, program: 'ffmpeg', args, maxBytes: 1024 * 1024 });
  const times = output.toString('latin1').match(/(?<=out_time_us=)\d+/g);
  return Number(times?.at(-1) ?? 0) / 1e6;
}

function monoOutput(sampleRateHz: number, maxSeconds: number): string[] {
  return [
    ...['-vn', '-sn', '-dn', '-map_metadata', '-1', '-t', `${maxSeconds}`],
    ...['-ac', '1', '-ar', `${sampleRateHz}`, '-threads', '1', '-f', 'f32le'],
  ];
}

function pcmBytes(sampleRateHz: number, maxSeconds: number): number {
  return Math.ceil((maxSeconds + 1) * sampleRateHz) * bytesPerSample;
}

/** The library hands its command line out under no public name. */
function argumentsOf(command: ffmpeg.FfmpegCommand): string[] {
  return (command as unknown as { _getArguments(): string[] })._getArguments();
}

/** Pieces of exactly `size` bytes, each in memory of its own; a rest at the end is dropped. */
async function* wholePieces(chunks: AsyncIterable<Buffer>, size: number): AsyncGenerator<Uint8Array> {
  let piece = new Uint8Array(size);
  let filled = 0;
  for await (const chunk of chunks) {
    for (let taken = 0; taken < chunk.length; ) {
      const part = chunk.subarray(taken, taken + size - filled);
      piece.set(part, filled);
      filled += part.length;
      taken += part.length;
      if (filled < size) continue;
      yield piece;
      piece = new Uint8Array(size);
      filled = 0;
    }
  }
}

function floats(bytes: Buffer): Float32Array {
  const whole = bytes.length - (bytes.length % bytesPerSample);
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + whole));
}

/** What ffmpeg prints of its input: "Duration: 00:00:06.00, ..." and "Stream #0:0: Audio: flac, 24000 Hz, stereo, s16". */
function sourceOf(lines: readonly string[]): Pcm['source'] {
  const stream = lines.find((line) => /Stream #0:\d+.*: Audio: /.test(line)) ?? '';
  const [, rate = '0', layout = ''] = /, (\d+) Hz, ([^,]+)/.exec(stream) ?? [];
  const clock = lines
    .map((line) => /^\s*Duration: ([^,]+)/.exec(line)?.[1])
    .find((match) => match !== undefined);
  const guessed = lines.some((line) => line.includes('Estimating duration'));
  return {
    sampleRateHz: Number(rate),
    channels: channelsOf(layout.trim()),
    declaredSeconds: guessed ? undefined : secondsOf(clock ?? ''),
  };
}

/** Channels of an ffmpeg layout: "mono", "stereo", "5.1(side)", "4 channels"; 0 where it is none of these. */
export function channelsOf(layout: string): number {
  const counted = /^(\d+) channels?/.exec(layout)?.[1];
  if (counted !== undefined) return Number(counted);
  const surround = /^(\d+)\.(\d+)/.exec(layout);
  if (surround !== null) return Number(surround[1]) + Number(surround[2]);
  return { mono: 1, stereo: 2, quad: 4 }[layout.replace(/\(.*$/, '')] ?? 0;
}

/** Seconds of "00:01:02.50"; undefined for "N/A". */
export function secondsOf(clock: string): number | undefined {
  const parts = /^(\d+):(\d+):(\d+(?:\.\d+)?)$/.exec(clock);
  return parts === null ? undefined : Number(parts[1]) * 3600 + Number(parts[2]) * 60 + Number(parts[3]);
}
