/**
 * Programs that we start: short ones whose end is awaited, and daemons that are recorded on disk so that a later
 * process can tell whether exactly that program still runs, and end exactly that one.
 */
import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readJson, writeJson } from './files.ts';

/** A program that could not start or ended with a non-zero status; the message carries the end of its output. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly exitCode: number | null;
  readonly output: string;

  constructor(command: string, exitCode: number | null, output: string) {
    super(`${command} ended with status ${exitCode ?? 'none (killed)'}: ${lastLines(output, 8)}`);
    this.exitCode = exitCode;
    this.output = output;
  }
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Written to the program's standard input, which is empty otherwise. */
  readonly input?: string | Buffer;
  /** Everything the program prints is appended here as well. */
  readonly logFile?: string;
  /** Receives what the program prints, in pieces as they come. */
  readonly onOutput?: (text: string) => void;
  readonly signal?: AbortSignal;
}

/** Runs a program to its end and returns what it wrote to standard output. @throws CommandError */
export async function run(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const log = options.logFile === undefined ? undefined : openSync(options.logFile, 'a');
  try {
    return await capture(command, args, options, log);
  } finally {
    if (log !== undefined) closeSync(log);
  }
}

function capture(
  command: string,
  args: readonly string[],
  options: RunOptions,
  log: number | undefined,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      stdio: 'pipe',
      ...(options.signal ? { signal: options.signal } : {}),
    });
    const stdout: Buffer[] = [];
    const all: Buffer[] = [];
    const collect = (chunk: Buffer) => {
      all.push(chunk);
      if (log !== undefined) writeFileSync(log, chunk);
      options.onOutput?.(chunk.toString());
    };
    child.stdout.on('data', (chunk: Buffer) => {
      stdout.push(chunk);
      collect(chunk);
    });
    child.stderr.on('data', collect);
    // A program that ends without reading its input is judged by its exit status, not by the broken pipe.
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input ?? '');
    child.on('error', (cause) => reject(new Error(`cannot run ${command}: ${cause.message}`, { cause })));
    child.on('close', (code) => {
      if (code === 0) resolve(Buffer.concat(stdout).toString());
      else reject(new CommandError(command, code, Buffer.concat(all).toString()));
    });
  });
}

/** The full path of a program on PATH (the administrator's folders included) or at a path, or undefined. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'];
  if (name.startsWith('/')) return existsSync(name) ? name : undefined;
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

export interface DaemonSpec {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** The configuration file that it reads: written here, and a change of it restarts the program. */
  readonly config?: { readonly path: string; readonly text: string };
  /** false: the kernel ends it when the process that started it ends, however that ends. */
  readonly outlivesCaller: boolean;
}

/** How a daemon is found again: a pid means a program only together with its start time in this boot. */
export interface DaemonRecord {
  readonly name: string;
  readonly pid: number;
  readonly startTicks: string;
  readonly bootId: string;
  readonly commandLine: readonly string[];
  readonly logFile: string;
}

/**
 * Starts a daemon whose record lies in `directory/NAME.json` and whose output goes to `logDirectory/NAME.log`.
 * One that runs already with the same command line and configuration is kept; with others it is ended first.
 */
export async function startDaemon(
  directory: string,
  spec: DaemonSpec,
  logDirectory: string = directory,
): Promise<DaemonRecord> {
  for (const folder of [directory, logDirectory]) mkdirSync(folder, { recursive: true });
  const commandLine = launchCommand(spec);
  const earlier = readDaemonRecord(directory, spec.name);
  const sameConfig = spec.config === undefined || readText(spec.config.path) === spec.config.text;
  if (earlier && isRunning(earlier)) {
    if (sameConfig && JSON.stringify(earlier.commandLine) === JSON.stringify(commandLine)) return earlier;
    await stopDaemon(directory, earlier);
  }
  if (spec.config && !sameConfig) writeFileSync(spec.config.path, spec.config.text);
  const logFile = join(logDirectory, `${spec.name}.log`);
  const log = openSync(logFile, 'a');
  const [program, ...args] = commandLine;
  const child = spawn(program ?? spec.command, args, {
    cwd: '/',
    detached: true,
    env: spec.env ?? { PATH: process.env.PATH, HOME: process.env.HOME, TMPDIR: process.env.TMPDIR },
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  await new Promise<void>((resolve, reject) => {
    child.on('spawn', resolve);
    child.on('error', (cause) =>
      reject(new Error(`cannot start ${spec.command}: ${cause.message}`, { cause })),
    );
  });
  child.unref();
  const pid = child.pid ?? 0;
  const record: DaemonRecord = {
    name: spec.name,
    pid,
    startTicks: startTicksOf(pid) ?? '',
    bootId: bootId(),
    commandLine,
    logFile,
  };
  writeJson(join(directory, `${spec.name}.json`), record);
  return record;
}

/** The command line that a daemon is started with: setpriv replaces itself by the program, so the pid stays. */
export function launchCommand(spec: Pick<DaemonSpec, 'command' | 'args' | 'outlivesCaller'>): string[] {
  const bound = spec.outlivesCaller ? [] : ['setpriv', '--pdeathsig', 'KILL', '--'];
  return [...bound, spec.command, ...spec.args];
}

function readDaemonRecord(directory: string, name: string): DaemonRecord | undefined {
  return readJson(join(directory, `${name}.json`)) as DaemonRecord | undefined;
}

/** Every daemon ever started in `directory` and not stopped, running or not. */
export async function listDaemons(directory: string): Promise<DaemonRecord[]> {
  if (!existsSync(directory)) return [];
  const files = (await readdir(directory)).filter((file) => file.endsWith('.json')).sort();
  const records = files.map((file) => readDaemonRecord(directory, file.slice(0, -'.json'.length)));
  return records.filter((record) => record !== undefined);
}

/** Whether the very process that was recorded is alive: never true for another one that got its pid. */
export function isRunning(record: DaemonRecord): boolean {
  return record.bootId === bootId() && startTicksOf(record.pid) === record.startTicks;
}

/** Ends a recorded daemon (SIGTERM, after `graceMs` SIGKILL) and forgets it. A stale record ends nothing. */
export async function stopDaemon(directory: string, record: DaemonRecord, graceMs = 10_000): Promise<void> {
  const deadline = Date.now() + graceMs;
  if (isRunning(record)) process.kill(record.pid, 'SIGTERM');
  while (isRunning(record) && Date.now() < deadline) await sleep(50);
  if (isRunning(record)) process.kill(record.pid, 'SIGKILL');
  while (isRunning(record)) await sleep(20);
  rmSync(join(directory, `${record.name}.json`), { force: true });
}

/** The last lines of a daemon's log, for a message about its failure. */
export function logTail(record: DaemonRecord, lines = 8): string {
  return lastLines(readText(record.logFile) ?? '', lines);
}

/** Field 22 of /proc/PID/stat, counted after the parenthesised name; undefined for a zombie or no process. */
export function startTicksOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

function readText(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
}

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

/** The end of a text, for a message. */
export function lastLines(text: string, count: number): string {
  return text.trimEnd().split('\n').slice(-count).join('\n');
}
