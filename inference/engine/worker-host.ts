/** The worker's side of the pool: start, take jobs, obey cancellation, answer heartbeats. */
import { parentPort, type Transferable } from 'node:worker_threads';
import { messageOf } from '../errors.ts';
import { failureOf } from './failure.ts';
import type { FromWorker, ToWorker } from './protocol.ts';

export interface JobContext<Progress> {
  readonly signal: AbortSignal;
  /** Tells whoever waits for the job how far it is. */
  readonly report: (progress: Progress) => void;
}

export interface StartedWorker<Job, Result, Ready, Progress> {
  readonly ready: Ready;
  run(job: Job, context: JobContext<Progress>): Promise<Result>;
  /** What of a result changes hands instead of being copied. Default: nothing. */
  transferOf?(result: Result): readonly Transferable[];
}

/**
 * Runs `start` and then every job that arrives. A `start` that throws is reported to the pool with its message.
 * @param start receives a function that sends an event to the pool at any time
 */
export async function hostJobs<Job, Result, Ready, Event, Progress = never>(
  start: (emit: (event: Event) => void) => Promise<StartedWorker<Job, Result, Ready, Progress>>,
): Promise<void> {
  const port = parentPort;
  if (port === null) throw new Error('this module is the entry point of a worker thread');
  const send = (
    message: FromWorker<Result, Ready, Event, Progress>,
    transfer: readonly Transferable[] = [],
  ) => port.postMessage(message, transfer);
  let worker: StartedWorker<Job, Result, Ready, Progress>;
  try {
    worker = await start((event) => send({ type: 'event', event }));
  } catch (error) {
    send({ type: 'refused', message: messageOf(error) });
    return;
  }
  const running = new Map<number, AbortController>();
  let stopping = false;
  const run = async (id: number, job: Job) => {
    const controller = new AbortController();
    running.set(id, controller);
    const report = (progress: Progress) => send({ type: 'progress', id, progress });
    try {
      const result = await worker.run(job, { signal: controller.signal, report });
      send({ type: 'result', id, result }, worker.transferOf?.(result));
    } catch (error) {
      send({ type: 'failed', id, failure: failureOf(error) });
    } finally {
      running.delete(id);
      if (stopping && running.size === 0) port.close();
    }
  };
  port.on('message', (message: ToWorker<Job>) => {
    if (message.type === 'run') void run(message.id, message.job);
    else if (message.type === 'cancel') running.get(message.id)?.abort(new Error('cancelled'));
    else if (message.type === 'ping') send({ type: 'pong' });
    else {
      stopping = true;
      for (const controller of running.values()) controller.abort(new Error('stopped'));
      if (running.size === 0) port.close();
    }
  });
  send({ type: 'ready', ready: worker.ready });
}
