/**
 * Worker threads behind one bounded queue. `onnxruntime-node` blocks the thread that calls `run()`, so inference happens only in workers.
 * A worker that dies or stops answering is replaced; its jobs fail, the others do not notice.
 */
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { messageOf, ServiceError, serviceError } from '../errors.ts';
import type { FromWorker, ToWorker, WorkerFailure } from './protocol.ts';

export interface PoolOptions<Ready, Event> {
  /** Module that calls `hostJobs`. */
  readonly entry: URL;
  /** Handed to every worker as `workerData`. */
  readonly workerData: unknown;
  readonly size: number;
  /** Jobs that one worker holds at a time: with two, one is decoded while the other is computed. */
  readonly slotsPerWorker: number;
  /** Jobs that may wait; one more is refused. */
  readonly maxQueue: number;
  readonly heartbeatMs: number;
  /** A worker that has not answered for this long is replaced. */
  readonly stallMs: number;
  readonly onReady: (ready: Ready) => void;
  readonly onEvent: (event: Event) => void;
  readonly onWorkerLost: (reason: string) => void;
}

export interface PoolState {
  readonly size: number;
  readonly readyWorkers: number;
  readonly queued: number;
  readonly running: number;
  /** Milliseconds that the oldest job has waited; 0 when none waits. */
  readonly oldestQueuedMs: number;
  /** The same by priority. */
  readonly waiting: Readonly<Record<Priority, Waiting>>;
}

export interface Waiting {
  readonly queued: number;
  readonly oldestQueuedMs: number;
}

/** Interactive jobs are started before batch jobs, whenever they came. */
export type Priority = 'interactive' | 'batch';

export interface RunOptions<Progress> {
  /** Aborted: the job gives up its place at once, wherever it is. */
  readonly signal: AbortSignal;
  /** Default: interactive. */
  readonly priority?: Priority;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

interface Task<Job, Result, Progress> {
  readonly id: number;
  readonly job: Job;
  readonly options: RunOptions<Progress>;
  readonly queuedAt: number;
  /** Known once a worker has the job. */
  queueMs: number;
  readonly settle: (outcome: { result: Result; queueMs: number } | { error: unknown }) => void;
}

interface Member<Job, Result, Progress> {
  readonly thread: Worker;
  readonly tasks: Map<number, Task<Job, Result, Progress>>;
  ready: boolean;
  answeredAt: number;
}

const firstRestartMs = 200;
const maxRestartMs = 10_000;
const endGraceMs = 10_000;

/** Jobs of one priority are started in the order of their arrival. */
export class WorkerPool<Job, Result, Ready, Event, Progress = never> {
  readonly #options: PoolOptions<Ready, Event>;
  readonly #members = new Set<Member<Job, Result, Progress>>();
  readonly #queue: Task<Job, Result, Progress>[] = [];
  readonly #now: () => number;
  #nextId = 1;
  #restartMs = firstRestartMs;
  #closed = false;
  #heartbeat: NodeJS.Timeout | undefined;

  constructor(options: PoolOptions<Ready, Event>, now: () => number = () => performance.now()) {
    this.#options = options;
    this.#now = now;
  }

  /** Resolves when every worker is ready. @throws Error with the message of the first worker that refuses to start */
  async start(): Promise<void> {
    const { size, heartbeatMs } = this.#options;
    this.#heartbeat = setInterval(() => this.#checkHeartbeats(), heartbeatMs).unref();
    await Promise.all(Array.from({ length: size }, () => this.#spawn()));
  }

  state(): PoolState {
    const members = [...this.#members];
    return {
      size: this.#options.size,
      readyWorkers: members.filter((member) => member.ready).length,
      running: members.reduce((sum, member) => sum + member.tasks.size, 0),
      ...this.#waiting(this.#queue),
      waiting: {
        interactive: this.#waiting(this.#queue.filter((task) => !isBatch(task))),
        batch: this.#waiting(this.#queue.filter(isBatch)),
      },
    };
  }

  #waiting(tasks: readonly Task<Job, Result, Progress>[]): Waiting {
    const now = this.#now();
    return {
      queued: tasks.length,
      oldestQueuedMs: tasks.reduce((oldest, { queuedAt }) => Math.max(oldest, now - queuedAt), 0),
    };
  }

  /** @throws ServiceError queue_full */
  refuseWhenFull(): void {
    if (this.#queue.length >= this.#options.maxQueue && this.#freeMember() === undefined) {
      throw serviceError('queue_full', { limit: this.#options.maxQueue });
    }
  }

  /**
   * Queues a job.
   * @throws ServiceError queue_full, worker_lost, or what the job threw; the signal's reason where it was aborted
   */
  async run(job: Job, options: RunOptions<Progress>): Promise<{ result: Result; queueMs: number }> {
    const { signal } = options;
    signal.throwIfAborted();
    this.refuseWhenFull();
    return new Promise((resolve, reject) => {
      const onAbort = () => this.#abort(task);
      const task: Task<Job, Result, Progress> = {
        id: this.#nextId++,
        job,
        options,
        queuedAt: this.#now(),
        queueMs: 0,
        settle: (outcome) => {
          signal.removeEventListener('abort', onAbort);
          if ('error' in outcome) reject(outcome.error);
          else resolve(outcome);
        },
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#enqueue(task);
      this.#dispatch();
    });
  }

  /** Ends all threads when they have finished the call that they are in; jobs that are left fail. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#heartbeat);
    const members = [...this.#members];
    this.#members.clear();
    for (const member of members) this.#failTasks(member);
    for (const task of this.#queue.splice(0)) task.settle({ error: serviceError('worker_lost', {}) });
    await Promise.all(members.map((member) => end(member.thread)));
  }

  #enqueue(task: Task<Job, Result, Progress>): void {
    const place = isBatch(task) ? -1 : this.#queue.findIndex(isBatch);
    this.#queue.splice(place < 0 ? this.#queue.length : place, 0, task);
  }

  #spawn(): Promise<void> {
    const thread = new Worker(this.#options.entry, { workerData: this.#options.workerData });
    const member: Member<Job, Result, Progress> = {
      thread,
      tasks: new Map(),
      ready: false,
      answeredAt: this.#now(),
    };
    this.#members.add(member);
    return new Promise((resolve, reject) => {
      thread.on('message', (message: FromWorker<Result, Ready, Event, Progress>) => {
        member.answeredAt = this.#now();
        if (message.type === 'ready') {
          this.#becomeReady(member, message.ready);
          resolve();
        } else if (message.type === 'refused') {
          reject(new Error(message.message));
        } else this.#receive(member, message);
      });
      const lost = (reason: string) => {
        reject(new Error(reason));
        this.#lose(member, reason);
      };
      thread.on('error', (error) => lost(messageOf(error)));
      thread.on('exit', (code) => lost(`the worker thread exited with code ${code}`));
    });
  }

  #becomeReady(member: Member<Job, Result, Progress>, ready: Ready): void {
    member.ready = true;
    this.#restartMs = firstRestartMs;
    this.#options.onReady(ready);
    this.#dispatch();
  }

  #receive(member: Member<Job, Result, Progress>, message: FromWorker<Result, Ready, Event, Progress>): void {
    if (message.type === 'event') this.#options.onEvent(message.event);
    if (message.type === 'progress') member.tasks.get(message.id)?.options.onProgress?.(message.progress);
    if (message.type !== 'result' && message.type !== 'failed') return;
    const task = member.tasks.get(message.id);
    member.tasks.delete(message.id);
    if (message.type === 'failed') task?.settle({ error: revive(message.failure) });
    else task?.settle({ result: message.result, queueMs: task.queueMs });
    this.#dispatch();
  }

  #dispatch(): void {
    for (let member = this.#freeMember(); member !== undefined; member = this.#freeMember()) {
      const task = this.#queue.shift();
      if (task === undefined) return;
      task.queueMs = this.#now() - task.queuedAt;
      member.tasks.set(task.id, task);
      member.thread.postMessage({ type: 'run', id: task.id, job: task.job } satisfies ToWorker<Job>);
    }
  }

  #freeMember(): Member<Job, Result, Progress> | undefined {
    return [...this.#members]
      .filter((member) => member.ready && member.tasks.size < this.#options.slotsPerWorker)
      .sort((a, b) => a.tasks.size - b.tasks.size)[0];
  }

  #abort(task: Task<Job, Result, Progress>): void {
    const place = this.#queue.indexOf(task);
    if (place >= 0) this.#queue.splice(place, 1);
    const member = [...this.#members].find((candidate) => candidate.tasks.has(task.id));
    member?.thread.postMessage({ type: 'cancel', id: task.id } satisfies ToWorker<Job>);
    task.settle({ error: task.options.signal.reason });
  }

  #checkHeartbeats(): void {
    for (const member of this.#members) {
      if (!member.ready) continue;
      if (this.#now() - member.answeredAt > this.#options.stallMs) {
        this.#lose(member, `the worker has not answered for ${this.#options.stallMs} ms`);
        member.thread.postMessage({ type: 'stop' } satisfies ToWorker<Job>);
      } else member.thread.postMessage({ type: 'ping' } satisfies ToWorker<Job>);
    }
  }

  /** A member that never became ready fails `start()` or, on a restart, is tried again later. */
  #lose(member: Member<Job, Result, Progress>, reason: string): void {
    if (!this.#members.delete(member) || this.#closed) return;
    this.#failTasks(member);
    this.#options.onWorkerLost(reason);
    setTimeout(() => {
      if (!this.#closed) this.#spawn().catch(() => undefined);
    }, this.#restartMs).unref();
    this.#restartMs = Math.min(maxRestartMs, this.#restartMs * 2);
  }

  #failTasks(member: Member<Job, Result, Progress>): void {
    for (const task of member.tasks.values()) task.settle({ error: serviceError('worker_lost', {}) });
    member.tasks.clear();
  }
}

function isBatch({ options }: { readonly options: { readonly priority?: Priority } }): boolean {
  return options.priority === 'batch';
}

/** Asks first, because to terminate a thread inside ONNX Runtime ends the whole process. */
async function end(thread: Worker): Promise<void> {
  if (thread.threadId < 0) return;
  const exited = once(thread, 'exit');
  thread.postMessage({ type: 'stop' } satisfies ToWorker<never>);
  await Promise.race([exited, delay(endGraceMs, undefined, { ref: false })]);
  await thread.terminate();
}

function revive(failure: WorkerFailure): Error {
  return 'service' in failure ? new ServiceError(failure.service) : new Error(failure.unexpected);
}
