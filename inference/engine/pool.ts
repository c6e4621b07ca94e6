/**
 * Worker threads behind one bounded queue. `onnxruntime-node` blocks the thread that calls `run()`, so inference happens only in workers.
 * A worker that dies or stops answering is replaced; its jobs fail, the others do not notice.
 */
import type { Transferable } from 'node:worker_threads';
import { serviceError } from '../errors.ts';
import { JobQueue, type Priority, type Waiting } from './job-queue.ts';
import { Member, type Task } from './member.ts';
import type { Work } from './protocol.ts';

export interface PoolOptions<W extends Work> {
  /** Module that calls `hostJobs`. */
  readonly entry: URL;
  /** Handed to every worker as `workerData`, until they are replaced. */
  readonly settings: W['settings'];
  readonly size: number;
  /** Jobs that one worker holds at a time: with two, one is decoded while the other is computed. */
  readonly slotsPerWorker: number;
  /** Jobs that may wait; one more is refused. */
  readonly maxQueue: number;
  readonly heartbeatMs: number;
  /** A worker that has not answered for this long is replaced. */
  readonly stallMs: number;
  /** A worker begins to take jobs. */
  readonly onReady: (ready: W['ready']) => void;
  readonly onEvent: (event: W['event']) => void;
  readonly onWorkerLost: (reason: string) => void;
}

export interface PoolState extends Waiting {
  readonly size: number;
  /** Workers that take jobs. */
  readonly readyWorkers: number;
  readonly running: number;
  readonly waiting: Readonly<Record<Priority, Waiting>>;
}

export interface RunOptions<Progress> {
  /** Aborted: the job gives up its place at once, wherever it is. */
  readonly signal: AbortSignal;
  /** Default: interactive. */
  readonly priority?: Priority;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** What of the job changes hands when a worker takes it. Default: nothing. */
  readonly transfer?: readonly Transferable[];
}

export interface Finished<W extends Work> {
  readonly result: W['result'];
  /** Milliseconds before a worker took the job. */
  readonly queueMs: number;
  /** Those of the worker that did the job. */
  readonly settings: W['settings'];
}

const firstRestartMs = 200;
const maxRestartMs = 10_000;

/** Jobs of one priority are started in the order of their arrival. */
export class WorkerPool<W extends Work> {
  readonly #options: PoolOptions<W>;
  /** Workers that take jobs, or will as soon as they are ready. */
  #members = new Set<Member<W>>();
  /** Workers that were replaced: they finish what they hold and end. */
  readonly #retired = new Set<Member<W>>();
  /** Workers that are to replace the members. */
  readonly #newcomers = new Set<Member<W>>();
  readonly #queue = new JobQueue<QueuedJob<W>>();
  readonly #now: () => number;
  #settings: W['settings'];
  #nextId = 1;
  #restartMs = firstRestartMs;
  #closed = false;
  #heartbeat: NodeJS.Timeout | undefined;

  constructor(options: PoolOptions<W>, now: () => number = () => performance.now()) {
    this.#options = options;
    this.#settings = options.settings;
    this.#now = now;
  }

  /** Resolves when every worker is ready. @throws Error with the message of the first worker that refuses to start */
  async start(): Promise<void> {
    const { size, heartbeatMs } = this.#options;
    this.#heartbeat = setInterval(() => this.#checkHeartbeats(), heartbeatMs).unref();
    await Promise.all(Array.from({ length: size }, () => this.#hire()));
  }

  /** Jobs that the workers hold at a time. */
  get capacity(): number {
    return this.#options.size * this.#options.slotsPerWorker;
  }

  state(): PoolState {
    const waiting = this.#queue.waiting(this.#now());
    const { interactive, batch } = waiting;
    const ready = [...this.#members].filter((member) => member.ready !== undefined);
    return {
      size: this.#options.size,
      readyWorkers: ready.length,
      running: [...this.#members, ...this.#retired].reduce((sum, { load }) => sum + load, 0),
      queued: this.#queue.length,
      oldestQueuedMs: Math.max(interactive.oldestQueuedMs, batch.oldestQueuedMs),
      waiting,
    };
  }

  /** The jobs that no worker has taken yet. */
  waitingJobs(): readonly W['job'][] {
    return this.#queue.jobs().map(({ task }) => task.job);
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
  async run(
    job: W['job'],
    { signal, priority = 'interactive', onProgress, transfer = [] }: RunOptions<W['progress']>,
  ): Promise<Finished<W>> {
    signal.throwIfAborted();
    this.refuseWhenFull();
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        if (queued.member === undefined) this.#queue.remove(queued);
        else queued.member.cancel(task.id);
        task.settle({ error: signal.reason });
      };
      const task: Task<W> = {
        id: this.#nextId++,
        job,
        transfer,
        onProgress,
        settle: (outcome) => {
          signal.removeEventListener('abort', onAbort);
          const { member, queueMs } = queued;
          if ('error' in outcome) reject(outcome.error);
          else if (member !== undefined)
            resolve({ result: outcome.result, queueMs, settings: member.settings });
        },
      };
      const queued: QueuedJob<W> = {
        task,
        queuedAt: this.#now(),
        member: undefined,
        queueMs: 0,
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#queue.push(queued, priority);
      this.#dispatch();
    });
  }

  /**
   * Has workers with other settings take over. They start one by one beside those that serve, so that these notice little of it; when all are
   * ready they take every job that waits, and the old ones finish what they hold and end. One replacement at a time.
   * @throws Error with the reason for which a new worker does not start; nothing has changed then
   */
  async replace(settings: W['settings']): Promise<void> {
    const { size } = this.#options;
    try {
      while (this.#newcomers.size < size) {
        if (this.#closed) throw new Error('the workers are being ended');
        const newcomer = this.#spawn(settings);
        this.#newcomers.add(newcomer);
        await newcomer.started;
      }
    } catch (error) {
      const newcomers = [...this.#newcomers];
      this.#newcomers.clear();
      await Promise.all(newcomers.map((newcomer) => newcomer.end()));
      throw error;
    }
    this.#takeOver(settings);
  }

  /** Ends all threads when they have finished the call that they are in; jobs that are left fail. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#heartbeat);
    const members = [...this.#members, ...this.#newcomers, ...this.#retired];
    for (const group of [this.#members, this.#newcomers, this.#retired]) group.clear();
    for (const member of members) member.failTasks();
    for (const { task } of this.#queue.clear()) task.settle({ error: serviceError('worker_lost', {}) });
    await Promise.all(members.map((member) => member.end()));
  }

  #takeOver(settings: W['settings']): void {
    const old = this.#members;
    this.#members = new Set(this.#newcomers);
    this.#newcomers.clear();
    this.#settings = settings;
    for (const member of old) {
      this.#retired.add(member);
      this.#endWhenIdle(member);
    }
    for (const member of this.#members) this.#begin(member);
  }

  #endWhenIdle(member: Member<W>): void {
    if (member.load > 0) return;
    void member.end().finally(() => this.#retired.delete(member));
  }

  /** Adds a member. @throws Error when it does not start */
  async #hire(): Promise<void> {
    const member = this.#spawn(this.#settings);
    this.#members.add(member);
    await member.started;
    if (this.#members.has(member)) this.#begin(member);
  }

  #spawn(settings: W['settings']): Member<W> {
    const { entry, onEvent } = this.#options;
    const member: Member<W> = new Member({
      entry,
      settings,
      now: this.#now,
      onEvent,
      onFree: () => (this.#retired.has(member) ? this.#endWhenIdle(member) : this.#dispatch()),
      onLost: (reason: string) => this.#lose(member, reason),
    });
    return member;
  }

  #begin({ ready }: Member<W>): void {
    this.#restartMs = firstRestartMs;
    if (ready !== undefined) this.#options.onReady(ready);
    this.#dispatch();
  }

  #dispatch(): void {
    for (let member = this.#freeMember(); member !== undefined; member = this.#freeMember()) {
      const queued = this.#queue.shift();
      if (queued === undefined) return;
      queued.queueMs = this.#now() - queued.queuedAt;
      queued.member = member;
      member.run(queued.task);
    }
  }

  #freeMember(): Member<W> | undefined {
    return [...this.#members]
      .filter((member) => member.ready !== undefined && member.load < this.#options.slotsPerWorker)
      .sort((a, b) => a.load - b.load)[0];
  }

  #checkHeartbeats(): void {
    const { stallMs } = this.#options;
    for (const member of [...this.#members, ...this.#retired]) {
      if (member.ready === undefined) continue;
      if (member.silentMs > stallMs) {
        this.#lose(member, `the worker has not answered for ${stallMs} ms`);
        member.stop();
      } else member.ping();
    }
  }

  /** A member that never became ready fails `start()` or, on a restart, is tried again later; one that was replaced is not. */
  #lose(member: Member<W>, reason: string): void {
    this.#newcomers.delete(member);
    const wasRetired = this.#retired.delete(member);
    const wasMember = this.#members.delete(member);
    if (wasRetired || wasMember) member.failTasks();
    if (!wasMember || this.#closed) return;
    this.#options.onWorkerLost(reason);
    setTimeout(() => {
      if (!this.#closed) this.#hire().catch(() => undefined);
    }, this.#restartMs).unref();
    this.#restartMs = Math.min(maxRestartMs, this.#restartMs * 2);
  }
}

interface QueuedJob<W extends Work> {
  readonly task: Task<W>;
  readonly queuedAt: number;
  /** The worker that has the job. */
  member: Member<W> | undefined;
  /** Known once a worker has the job. */
  queueMs: number;
}
