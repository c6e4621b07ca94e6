/** Runs the steps of a set-up: side by side where they do not need each other, each with its time, log and remedy. */
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Says in one line what is going on. */
export type Report = (message: string) => void;

export interface StepContext {
  /** Prints a line under the step's name and keeps it in the log. */
  readonly report: Report;
  /** The step's own log: programs it runs append their output here. */
  readonly logFile: string;
  /** Aborted when another step has failed. */
  readonly signal: AbortSignal;
}

export interface Step {
  /** Unique, short, as printed. */
  readonly name: string;
  /** Names of the steps that have to be done before. */
  readonly after?: readonly string[];
  /** What a person can do when it fails. */
  readonly remedy: string;
  /** The text that it returns is printed as its result. */
  run(context: StepContext): Promise<string | undefined>;
}

export interface StepTiming {
  readonly name: string;
  readonly seconds: number;
  readonly result: string;
}

export interface RunStepsOptions {
  /** Receives one log file per step, made anew. */
  readonly logDir: string;
  readonly print?: Report;
  /** Milliseconds since any fixed moment. */
  readonly now?: () => number;
  /** While nothing is printed for this long, the running steps are named. Default 20,000 ms. */
  readonly heartbeatMs?: number;
}

/** A step that failed, with all that a person needs to go on. Its message is the whole block to print. */
export class StepError extends Error {
  override readonly name = 'StepError';
  readonly step: string;
  readonly logFile: string;
  readonly remedy: string;

  constructor(step: Step, logFile: string, seconds: number, cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    super(
      [
        `FAILED   ${step.name} (after ${formatSeconds(seconds)})`,
        `  reason: ${reason.replaceAll('\n', '\n          ')}`,
        `  log:    ${logFile}`,
        `  remedy: ${step.remedy}`,
      ].join('\n'),
      { cause },
    );
    this.step = step.name;
    this.logFile = logFile;
    this.remedy = step.remedy;
  }
}

/** Runs every step once and returns their times in order of completion. @throws StepError of the first that failed. */
export async function runSteps(steps: readonly Step[], options: RunStepsOptions): Promise<StepTiming[]> {
  checkOrder(steps);
  mkdirSync(options.logDir, { recursive: true });
  const now = options.now ?? (() => performance.now());
  const print = options.print ?? ((line: string) => console.log(line));
  const begin = now();
  let lastLine = begin;
  const width = Math.max(...steps.map((step) => step.name.length));
  const say = (name: string, message: string) => {
    lastLine = now();
    print(`${formatSeconds((lastLine - begin) / 1000).padStart(8)}  ${name.padEnd(width)}  ${message}`);
  };

  const abort = new AbortController();
  const running = new Map<string, number>();
  const timings: StepTiming[] = [];
  const started = new Map<string, Promise<void>>();
  const start = (step: Step): Promise<void> => {
    const known = started.get(step.name);
    if (known) return known;
    const needed = steps.filter(({ name }) => step.after?.includes(name));
    const promise = Promise.all(needed.map(start)).then(() => perform(step));
    started.set(step.name, promise);
    return promise;
  };
  const perform = async (step: Step): Promise<void> => {
    abort.signal.throwIfAborted();
    const logFile = join(options.logDir, `${step.name.replaceAll(/[^\w.-]+/g, '-')}.log`);
    writeFileSync(logFile, '');
    const report = (message: string) => {
      appendFileSync(logFile, `${message}\n`);
      say(step.name, message);
    };
    const from = now();
    running.set(step.name, from);
    say(step.name, 'started');
    try {
      const result = (await step.run({ report, logFile, signal: abort.signal })) ?? '';
      const seconds = (now() - from) / 1000;
      timings.push({ name: step.name, seconds, result });
      say(step.name, `done in ${formatSeconds(seconds)}${result === '' ? '' : `: ${result}`}`);
    } catch (cause) {
      const error = new StepError(step, logFile, (now() - from) / 1000, cause);
      appendFileSync(logFile, `${cause instanceof Error ? (cause.stack ?? cause.message) : cause}\n`);
      if (!abort.signal.aborted) say(step.name, 'FAILED; ending the other steps');
      abort.abort(error);
      throw error;
    } finally {
      running.delete(step.name);
    }
  };

  const every = options.heartbeatMs ?? 20_000;
  const heartbeat = setInterval(() => {
    if (now() - lastLine < every) return;
    for (const [name, from] of running) say(name, `still running, ${formatSeconds((now() - from) / 1000)}`);
  }, every / 4);
  try {
    const outcomes = await Promise.allSettled(steps.map(start));
    if (abort.signal.aborted) throw abort.signal.reason;
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed) throw failed.reason;
  } finally {
    clearInterval(heartbeat);
  }
  return timings;
}

/** `4.2 s`, `3 min 07 s` */
export function formatSeconds(seconds: number): string {
  if (seconds < 99.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`;
}

function checkOrder(steps: readonly Step[]): void {
  const earlier = new Set<string>();
  for (const step of steps) {
    const missing = step.after?.find((name) => !earlier.has(name));
    if (missing !== undefined)
      throw new Error(`step "${step.name}" comes before "${missing}", which it needs`);
    if (earlier.has(step.name)) throw new Error(`two steps are named "${step.name}"`);
    earlier.add(step.name);
  }
}
