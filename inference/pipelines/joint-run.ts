/** One job for several models of one file, put together from runs that are asked for one by one. */
import { orAborted } from '../abortion.ts';
import type { RunOptions } from '../engine/pool.ts';
import { serviceError } from '../errors.ts';
import type { ProgressStep } from './analysis.ts';
import type { Analyzer, Assignment, CompletedAnalysis } from './analyzer.ts';

export type JointAnalyzer = Pick<Analyzer, 'analyze' | 'analyzeJointly'>;

/** A place in a joint run; it is taken or left, once. */
export interface Seat extends Pick<Analyzer, 'analyze'> {
  /** No run is needed. Nothing happens where the seat was taken or left before. */
  leave(): void;
}

interface Passenger {
  readonly assignment: Assignment;
  readonly options: RunOptions<ProgressStep>;
  readonly outcome: PromiseWithResolvers<CompletedAnalysis>;
}

/**
 * Departs when every seat was taken or left. Each passenger has its own signal; the job ends early when the last of them has given up.
 */
export class JointRun {
  readonly #analyzer: JointAnalyzer;
  readonly #passengers: Passenger[] = [];
  #undecided: number;

  constructor(analyzer: JointAnalyzer, seats: number) {
    this.#analyzer = analyzer;
    this.#undecided = seats;
  }

  /** To be called as often as there are seats. */
  seat(): Seat {
    let isDecided = false;
    const decide = () => {
      if (isDecided) return;
      isDecided = true;
      this.#undecided -= 1;
      if (this.#undecided === 0) this.#depart();
    };
    return {
      leave: decide,
      analyze: (assignment, options) => {
        if (isDecided) return this.#analyzer.analyze(assignment, options);
        const outcome = Promise.withResolvers<CompletedAnalysis>();
        // Nobody may be listening any more.
        outcome.promise.catch(() => undefined);
        this.#passengers.push({ assignment, options, outcome });
        decide();
        return orAborted(outcome.promise, options.signal);
      },
    };
  }

  #depart(): void {
    const passengers = this.#passengers.filter(({ options: { signal } }) => !signal.aborted);
    const [first, ...others] = passengers;
    if (first === undefined) return;
    if (others.length === 0) {
      this.#analyzer
        .analyze(first.assignment, first.options)
        .then(first.outcome.resolve, first.outcome.reject);
      return;
    }
    const abandoned = new AbortController();
    const onAbort = () => {
      if (passengers.every(({ options: { signal } }) => signal.aborted))
        abandoned.abort(first.options.signal.reason);
    };
    for (const { options } of passengers) options.signal.addEventListener('abort', onAbort);
    const { priority } = first.options;
    const run = {
      signal: abandoned.signal,
      ...(priority === undefined ? {} : { priority }),
      onProgress: (model: string, step: ProgressStep) =>
        passengers.find(({ assignment }) => assignment.model.name === model)?.options.onProgress?.(step),
    };
    this.#analyzer
      .analyzeJointly([first.assignment, ...others.map(({ assignment }) => assignment)], run)
      .then(
        (outcomes) => {
          for (const { assignment, outcome } of passengers) {
            const own = outcomes.get(assignment.model.name) ?? serviceError('worker_lost', {});
            if (own instanceof Error) outcome.reject(own);
            else outcome.resolve(own);
          }
        },
        (error: unknown) => {
          for (const { outcome } of passengers) outcome.reject(error);
        },
      )
      .finally(() => {
        for (const { options } of passengers) options.signal.removeEventListener('abort', onAbort);
      });
  }
}
