/** A worker for tests of the pool: every job says what happens to it. */
import { setTimeout as delay } from 'node:timers/promises';
import { workerData } from 'node:worker_threads';
import { hostJobs } from '../engine/worker-host.ts';
import { serviceError } from '../errors.ts';

export type ObedientJob =
  | { readonly do: 'echo'; readonly value: number }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'block'; readonly ms: number }
  /** Ends when the test makes the gate's number 1 and notifies, or has the thread exit. */
  | { readonly do: 'hold'; readonly gate: SharedArrayBuffer; readonly exits?: boolean }
  | { readonly do: 'who' | 'fail' | 'refuse' | 'exit' };

export interface ObedientSettings {
  readonly refuses?: boolean;
  /** Said by the job `who`. */
  readonly id?: number;
}

export interface ObedientWork {
  readonly job: ObedientJob;
  readonly result: number;
  readonly settings: ObedientSettings;
  readonly ready: string;
  readonly event: string;
  readonly progress: never;
}

const settings = workerData as ObedientSettings;

await hostJobs<ObedientJob, number, string, string>(async (emit) => {
  if (settings.refuses) throw new Error('there is a reason');
  return {
    ready: 'here',
    run: async (job, { signal }) => {
      switch (job.do) {
        case 'echo':
          return job.value;
        case 'who':
          return settings.id ?? 0;
        case 'wait':
          await delay(job.ms, undefined, { signal }).finally(() =>
            emit(signal.aborted ? 'cancelled' : 'waited'),
          );
          return job.ms;
        case 'block':
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, job.ms);
          return job.ms;
        case 'fail':
          throw new Error('broken inside');
        case 'refuse':
          throw serviceError('empty_media', { field: 'media' });
        case 'exit':
          return process.exit(7);
        case 'hold':
          await Atomics.waitAsync(new Int32Array(job.gate), 0, 0).value;
          return job.exits ? process.exit(7) : 0;
      }
    },
  };
});
