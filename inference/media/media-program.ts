/**
 * Runs ffmpeg and ffprobe on files of strangers: one process without a shell, without this process' secrets, without the right to write
 * files, with bounded memory and output, that dies with the request that wanted it. Knows no option of either program.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** How a run ended, as counted in the metrics. */
export type FfmpegExit =
  | 'ok'
  | 'failed'
  | 'aborted'
  | 'output_limit'
  | 'memory_limit'
  | 'codec_refused'
  | 'killed'
  | 'missing';

export class FfmpegError extends Error {
  override readonly name = 'FfmpegError';
  readonly exit: FfmpegExit;

  constructor(exit: FfmpegExit, message: string, options?: ErrorOptions) {
    super(message, options);
    this.exit = exit;
  }
}

export interface ProgramRun {
  readonly program: 'ffmpeg' | 'ffprobe';
  readonly args: readonly string[];
  /** The file that is read: it is not repeated in messages. */
  readonly path: string;
  /** For standard input, taken no faster than the program reads. Without it there is nothing to read. */
  readonly input?: AsyncIterable<Buffer> | undefined;
  /** More than this on standard output ends the run. */
  readonly maxBytes: number;
  /** Takes what the program writes to its descriptor 3, as it comes. */
  readonly onSideOutput?: ((chunk: Buffer) => void) | undefined;
  /** Kills the program when it aborts. */
  readonly signal: AbortSignal;
  /** Called once, when the program is gone. */
  readonly onExit: (exit: FfmpegExit) => void;
}

const prlimit = '/usr/bin/prlimit';
/**
 * The kernel's limits: address space (what `-max_alloc` does not see: the sum of all buffers), processor time (an orphan's end), no file
 * may grow, no core dumps. A system without the tool keeps ffmpeg's own limits.
 */
const kernelLimits = existsSync(prlimit)
  ? [prlimit, `--as=${2 * 1024 ** 3}`, '--cpu=3600', '--fsize=0', '--core=0', '--nofile=256', '--']
  : [];
/** The program needs no key and no password of ours. One arena keeps the address space close to what is used. */
const environment = { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C', MALLOC_ARENA_MAX: '1' };
const maxComplaintBytes = 64 * 1024;
/** Complaints that say what is wrong, not what follows from it. */
const telling = /error|invalid|corrupt|not found|failed|matches no|cannot|not on whitelist/i;

/**
 * What the program writes to standard output, no faster than it is taken. Leaving the iteration kills the program.
 * @returns the lines on standard error, the first 64 KiB
 * @throws FfmpegError whose message is the program's own complaint
 */
export async function* outputOf(run: ProgramRun): AsyncGenerator<Buffer, readonly string[]> {
  if (run.signal.aborted) throw new FfmpegError('aborted', `${run.program} was not started`);
  const child = start(run);
  const kill = () => child.kill('SIGKILL');
  run.signal.addEventListener('abort', kill, { once: true });
  const stderr = collected(child.stderr, maxComplaintBytes);
  const ended = endOf(child);
  const fed = feed(child.stdin, run.input);
  void fed.then((failure) => failure !== undefined && kill());
  let exit: FfmpegExit = 'aborted';
  try {
    let bytes = 0;
    for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > run.maxBytes)
        throw new FfmpegError('output_limit', `more than ${run.maxBytes} bytes came out`);
      yield chunk;
    }
    const end = await ended;
    const unfed = await fed;
    if (unfed !== undefined && !run.signal.aborted) throw unfedError(unfed);
    const lines = stderr().split(/[\r\n]+/);
    const failure = failureOf(end, lines, run);
    if (failure !== undefined) throw failure;
    exit = 'ok';
    return lines;
  } catch (error) {
    if (error instanceof FfmpegError) exit = error.exit;
    throw error;
  } finally {
    kill();
    run.signal.removeEventListener('abort', kill);
    await Promise.all([ended, fed]);
    run.onExit(exit);
  }
}

interface PipedProcess extends ChildProcess {
  readonly stdout: Readable;
  readonly stderr: Readable;
}

function start({ program, args, input, onSideOutput }: ProgramRun): PipedProcess {
  const [command = program, ...rest] = [...kernelLimits, program, ...args];
  const stdin = input === undefined ? 'ignore' : 'pipe';
  const stdio = [stdin, 'pipe', 'pipe', ...(onSideOutput === undefined ? [] : ['pipe' as const])] as const;
  const child = spawn(command, rest, { stdio: [...stdio], env: environment }) as PipedProcess;
  const side = child.stdio[3];
  if (onSideOutput !== undefined && side !== null && side !== undefined) {
    (side as Readable).on('data', onSideOutput).on('error', () => undefined);
  }
  return child;
}

/** A program may end before it has read everything: its own exit tells whether that is an error. */
const leftReading = new Set(['EPIPE', 'ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE', 'ERR_STREAM_DESTROYED']);

/** @returns why the input failed, if it did. The input is closed in any case. */
async function feed(stdin: Writable | null, input: AsyncIterable<Buffer> | undefined): Promise<unknown> {
  if (stdin === null || input === undefined) return undefined;
  try {
    await pipeline(Readable.from(input, { objectMode: true, highWaterMark: 1 }), stdin);
    return undefined;
  } catch (error) {
    return leftReading.has((error as NodeJS.ErrnoException).code ?? '') ? undefined : error;
  }
}

function unfedError(cause: unknown): FfmpegError {
  return new FfmpegError('failed', `its input failed: ${String(cause)}`, { cause });
}

/** Reads everything, so that the program never waits, and keeps the beginning. */
function collected(stream: Readable, maxBytes: number): () => string {
  const chunks: Buffer[] = [];
  let bytes = 0;
  stream.on('data', (chunk: Buffer) => {
    if (bytes < maxBytes) chunks.push(chunk.subarray(0, maxBytes - bytes));
    bytes += chunk.length;
  });
  return () => Buffer.concat(chunks).toString('utf8');
}

interface ProgramEnd {
  readonly code: number | null;
  readonly killedBy: NodeJS.Signals | null;
  /** Where the program could not even be started. */
  readonly startError?: Error;
}

function endOf(child: ChildProcess): Promise<ProgramEnd> {
  return new Promise((resolve) => {
    child.on('error', (startError) => resolve({ code: null, killedBy: null, startError }));
    child.on('close', (code, killedBy) => resolve({ code, killedBy }));
  });
}

function failureOf(end: ProgramEnd, lines: readonly string[], run: ProgramRun): FfmpegError | undefined {
  if (run.signal.aborted) return new FfmpegError('aborted', `${run.program} was stopped`);
  // ffmpeg takes a reader without memory for the end of the file and is content.
  if (lines.some((line) => /cannot allocate memory/i.test(line)))
    return new FfmpegError('memory_limit', 'decoding it needs more memory than is allowed');
  if (end.code === 0) return undefined;
  if (end.startError !== undefined || lines.some((line) => /^prlimit: failed to execute/.test(line))) {
    const cause = { cause: end.startError };
    return new FfmpegError('missing', `the program ${run.program} is not installed`, cause);
  }
  const refused = lines.find((line) => /not on whitelist/i.test(line));
  if (refused !== undefined) return new FfmpegError('codec_refused', tidy(refused, run.path));
  if (end.killedBy !== null)
    return new FfmpegError('killed', `${run.program} was ended by the system (${end.killedBy})`);
  const complaint = lines.find((line) => telling.test(line) && !/^Conversion/.test(line));
  return new FfmpegError('failed', tidy(complaint ?? `exit code ${end.code}`, run.path));
}

/** The line without the path of the temporary file and without addresses of the program's memory. */
function tidy(line: string, path: string): string {
  return line
    .replaceAll(path, 'the file')
    .replaceAll('pipe:0', 'the file')
    .replace(/^(\[[^\]]*\]\s*|the file:\s*)+/, '')
    .trim();
}

/** Everything that the program writes. @throws FfmpegError */
export async function collectOutput(
  run: ProgramRun,
): Promise<{ readonly output: Buffer; readonly lines: readonly string[] }> {
  const chunks: Buffer[] = [];
  const output = outputOf(run);
  for (;;) {
    const next = await output.next();
    if (next.done) return { output: Buffer.concat(chunks), lines: next.value };
    chunks.push(next.value);
  }
}
