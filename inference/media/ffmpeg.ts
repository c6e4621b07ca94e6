/**
 * The only module that knows fluent-ffmpeg. The library is archived; everything asked of it is in `decodePcm`, so that its replacement is
 * this file. ffmpeg sees one local file, one forced demuxer and no network, and dies with the request that wanted it.
 */
import type { Readable } from 'node:stream';
import ffmpeg from 'fluent-ffmpeg';
import type { Demuxer } from './sniff.ts';

/** How a run of ffmpeg ended, as counted in the metrics. */
export type FfmpegExit = 'ok' | 'failed' | 'aborted' | 'output_limit' | 'missing';

export interface PcmRequest {
  readonly path: string;
  readonly demuxer: Demuxer;
  readonly sampleRateHz: number;
  /** Sound after this many seconds is not decoded. */
  readonly maxSeconds: number;
  /** Stop at the first damaged packet. Off for formats where real files carry harmless junk. */
  readonly strict: boolean;
  readonly signal: AbortSignal;
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

export class FfmpegError extends Error {
  override readonly name = 'FfmpegError';
  readonly exit: FfmpegExit;

  constructor(exit: FfmpegExit, message: string, options?: ErrorOptions) {
    super(message, options);
    this.exit = exit;
  }
}

interface CodecData {
  readonly duration?: string;
  readonly audio_details?: readonly string[] | string;
}

/** The library asks ffmpeg for its formats and encoders before each first command: two process starts for what is known already. */
interface CapabilityChecks {
  _checkCapabilities(done: (error?: Error) => void): void;
  availableEncoders(done: (error: null, encoders: object) => void): void;
}

/** @throws FfmpegError; its message is ffmpeg's own complaint */
export async function decodePcm(request: PcmRequest): Promise<Pcm> {
  request.signal.throwIfAborted();
  const complaints: string[] = [];
  let codec: CodecData = {};
  const command = ffmpeg(request.path, { stdoutLines: 50, logger: undefined })
    .inputOptions([
      ...['-nostdin', '-hide_banner', '-threads 1', '-max_alloc 268435456'],
      ...['-protocol_whitelist file,pipe', '-probesize 5000000', '-analyzeduration 5000000'],
      ...(request.strict ? ['-xerror'] : []),
      `-f ${request.demuxer}`,
    ])
    .outputOptions(['-map 0:a:0', '-vn', '-sn', '-dn', '-map_metadata -1', `-t ${request.maxSeconds}`])
    .outputOptions(['-ac 1', `-ar ${request.sampleRateHz}`, '-threads 1'])
    .format('f32le')
    .on('codecData', (data: CodecData) => {
      codec = data;
    })
    .on('stderr', (line: string) => complaints.push(line));
  skipCapabilityChecks(command);
  const kill = () => command.kill('SIGKILL');
  request.signal.addEventListener('abort', kill, { once: true });
  try {
    const samples = await collect(command, Math.ceil((request.maxSeconds + 1) * request.sampleRateHz) * 4);
    return { samples, source: sourceOf(codec, complaints) };
  } catch (error) {
    throw failure(error, complaints, request);
  } finally {
    request.signal.removeEventListener('abort', kill);
  }
}

function skipCapabilityChecks(command: ffmpeg.FfmpegCommand): void {
  const internals = command as unknown as CapabilityChecks;
  internals._checkCapabilities = (done) => done();
  internals.availableEncoders = (done) => done(null, {});
}

function collect(command: ffmpeg.FfmpegCommand, maxBytes: number): Promise<Float32Array> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    command.on('error', reject).on('end', () => resolve(floats(Buffer.concat(chunks))));
    const output = command.pipe() as unknown as Readable;
    output.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > maxBytes) {
        command.kill('SIGKILL');
        reject(new FfmpegError('output_limit', `more than ${maxBytes} bytes of sound came out`));
        return;
      }
      chunks.push(chunk);
    });
  });
}

function floats(bytes: Buffer): Float32Array {
  const whole = bytes.length - (bytes.length % 4);
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + whole));
}

function failure(error: unknown, complaints: readonly string[], request: PcmRequest): FfmpegError {
  if (error instanceof FfmpegError) return error;
  const cause = { cause: error };
  if (request.signal.aborted) return new FfmpegError('aborted', 'ffmpeg was stopped', cause);
  const message = error instanceof Error ? error.message : String(error);
  if (/cannot find ffmpeg|ENOENT/i.test(message)) {
    return new FfmpegError('missing', 'the program ffmpeg is not installed', cause);
  }
  const complaint = complaints.find(
    (line) => /error|invalid|corrupt|not found|failed|matches no/i.test(line) && !/^Conversion/.test(line),
  );
  return new FfmpegError('failed', tidy(complaint ?? message, request.path), cause);
}

/** ffmpeg's line without the path of the temporary file and without addresses of its memory. */
function tidy(line: string, path: string): string {
  return line
    .replaceAll(path, 'the file')
    .replace(/^(\[[^\]]*\]|the file:)\s*/, '')
    .trim();
}

function sourceOf(codec: CodecData, complaints: readonly string[]): Pcm['source'] {
  const details = Array.isArray(codec.audio_details) ? codec.audio_details : [];
  const rate = details
    .map((part: string) => /^(\d+) Hz$/.exec(part)?.[1])
    .find((match) => match !== undefined);
  const guessed = complaints.some((line) => line.includes('Estimating duration'));
  return {
    sampleRateHz: Number(rate ?? 0),
    channels: channelsOf(details[2] ?? ''),
    declaredSeconds: guessed ? undefined : secondsOf(codec.duration ?? ''),
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
