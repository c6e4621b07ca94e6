/** One worker thread with the jobs that it holds. */
import './no-telemetry.ts';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { type Transferable, Worker } from 'node:worker_threads';
import { messageOf, serviceError } from '../errors.ts';
import '../once-per-process.ts';
import { revive } from './failure.ts';
import type { FromWorker, ToWorker, Work } from './protocol.ts';

/** A job with what becomes of it. */
export interface Task<W extends Work> {
  readonly id: number;
  readonly job: W['job'];
  /** What of the job changes hands when the worker takes it. */
  readonly transfer: readonly Transferable[];
  readonly onProgress: ((progress: W['progress']) => void) | undefined;
  readonly settle: (outcome: { readonly result: W['result'] } | { readonly error: unknown }) => void;
}

export interface MemberOptions<W extends Work> {
  /** Module that calls `hostJobs`. */
  readonly entry: URL;
  /** Handed to the thread as `workerData`. */
  readonly settings: W['settings'];
  readonly now: () => number;
  readonly onEvent: (event: W['event']) => void;
  /** A job has ended: there is a free slot. */
  readonly onFree: () => void;
  /** The thread has ended without being asked to. */
  readonly onLost: (reason: string) => void;
}

const endGraceMs = 10_000;
/** V8 lets young objects take several times as much where many different files come at full speed, and keeps it. */
const maxYoungGenerationSizeMb = 24;

export class Member<W extends Work> {
  readonly settings: W['settings'];
  /** Resolves when the worker takes jobs. @throws Error with the reason for which it does not start */
  readonly started: Promise<void>;
  readonly #options: MemberOptions<W>;
  readonly #thread: Worker;
  readonly #tasks = new Map<number, Task<W>>();
  readonly #start = Promise.withResolvers<void>();
  #ready: W['ready'] | undefined;
  #answeredAt: number;

  constructor(options: MemberOptions<W>) {
    this.#options = options;
    this.settings = options.settings;
    this.started = this.#start.promise;
    this.started.catch(() => undefined);
    this.#answeredAt = options.now();
    this.#thread = new Worker(options.entry, {
      workerData: options.settings,
      resourceLimits: { maxYoungGenerationSizeMb },
    });
    this.#thread.on('message', (message: FromWorker<W['result'], W['ready'], W['event'], W['progress']>) =>
      this.#receive(message),
    );
    this.#thread.on('error', (error) => this.#lose(messageOf(error)));
    this.#thread.on('exit', (code) => this.#lose(`the worker thread exited with code ${code}`));
  }

  /** What the worker said when it began to take jobs; undefined before. */
  get ready(): W['ready'] | undefined {
    return this.#ready;
  }

  /** Jobs that it holds. */
  get load(): number {
    return this.#tasks.size;
  }

  /** Milliseconds since it has said anything. */
  get silentMs(): number {
    return this.#options.now() - this.#answeredAt;
  }

  run(task: Task<W>): void {
    this.#tasks.set(task.id, task);
    this.#send({ type: 'run', id: task.id, job: task.job }, task.transfer);
  }

  /** Has the worker give up a job; the slot is free when it has. Nothing happens when it does not hold the job. */
  cancel(id: number): void {
    if (this.#tasks.has(id)) this.#send({ type: 'cancel', id });
  }

  ping(): void {
    this.#send({ type: 'ping' });
  }

  failTasks(): void {
    for (const task of this.#tasks.values()) task.settle({ error: serviceError('worker_lost', {}) });
    this.#tasks.clear();
  }

  /** Asks the thread to give up everything and end when it can. */
  stop(): void {
    this.#send({ type: 'stop' });
  }

  /** Resolves when the thread is gone. Asks first, because to terminate it inside ONNX Runtime ends the whole process. */
  async end(): Promise<void> {
    if (this.#thread.threadId < 0) return;
    const exited = once(this.#thread, 'exit');
    this.stop();
    await Promise.race([exited, delay(endGraceMs, undefined, { ref: false })]);
    await this.#thread.terminate();
  }

  #send(message: ToWorker<W['job']>, transfer: readonly Transferable[] = []): void {
    this.#thread.postMessage(message, transfer);
  }

  #receive(message: FromWorker<W['result'], W['ready'], W['event'], W['progress']>): void {
    this.#answeredAt = this.#options.now();
    switch (message.type) {
      case 'ready':
        this.#ready = message.ready;
        this.#start.resolve();
        break;
      case 'refused':
        this.#start.reject(new Error(message.message));
        break;
      case 'event':
        this.#options.onEvent(message.event);
        break;
      case 'progress':
        this.#tasks.get(message.id)?.onProgress?.(message.progress);
        break;
      case 'result':
        this.#finish(message.id, { result: message.result });
        break;
      case 'failed':
        this.#finish(message.id, { error: revive(message.failure) });
        break;
      case 'pong':
    }
  }

  #finish(id: number, outcome: { result: W['result'] } | { error: unknown }): void {
    const task = this.#tasks.get(id);
    this.#tasks.delete(id);
    task?.settle(outcome);
    this.#options.onFree();
  }

  #lose(reason: string): void {
    this.#start.reject(new Error(reason));
    this.#options.onLost(reason);
  }
}
