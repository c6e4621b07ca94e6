/** Jobs that wait for a worker, by priority. */

/** Interactive jobs are started before batch jobs, whenever they came; but see `maxOvertakings`. */
export type Priority = 'interactive' | 'batch';

export interface Waiting {
  readonly queued: number;
  /** Milliseconds that the oldest job has waited; 0 when none waits. */
  readonly oldestQueuedMs: number;
}

interface Queueable {
  /** Milliseconds on the clock of `waiting`. */
  readonly queuedAt: number;
}

/** After so many interactive jobs in a row one batch job that waits is started: it takes its time, but not for ever. */
export const maxOvertakings = 8;

/** Jobs of one priority leave in the order of their arrival. */
export class JobQueue<Job extends Queueable> {
  readonly #lines: Readonly<Record<Priority, Job[]>> = { interactive: [], batch: [] };
  #overtakings = 0;

  get length(): number {
    return this.#lines.interactive.length + this.#lines.batch.length;
  }

  push(job: Job, priority: Priority): void {
    this.#lines[priority].push(job);
  }

  /** The job whose turn it is, removed; undefined when none waits. */
  shift(): Job | undefined {
    const { interactive, batch } = this.#lines;
    if (batch.length === 0) {
      this.#overtakings = 0;
      return interactive.shift();
    }
    if (interactive.length === 0 || this.#overtakings >= maxOvertakings) {
      this.#overtakings = 0;
      return batch.shift();
    }
    this.#overtakings += 1;
    return interactive.shift();
  }

  /** Takes a job out, wherever it is; nothing happens when it does not wait. */
  remove(job: Job): void {
    for (const line of Object.values(this.#lines)) {
      const place = line.indexOf(job);
      if (place >= 0) line.splice(place, 1);
    }
  }

  /** Takes all jobs out. */
  clear(): Job[] {
    return Object.values(this.#lines).flatMap((line) => line.splice(0));
  }

  /** All that wait, those of one priority in order. */
  jobs(): readonly Job[] {
    return Object.values(this.#lines).flat();
  }

  waiting(now: number): Readonly<Record<Priority, Waiting>> {
    const { interactive, batch } = this.#lines;
    return { interactive: waitingIn(interactive, now), batch: waitingIn(batch, now) };
  }
}

function waitingIn([oldest, ...others]: readonly Queueable[], now: number): Waiting {
  if (oldest === undefined) return { queued: 0, oldestQueuedMs: 0 };
  return { queued: 1 + others.length, oldestQueuedMs: now - oldest.queuedAt };
}
