/** What the controller calls once in a pass: analyses that are due are measured, the others are left as they are. */
import type { AnalysisRun } from '../api/rollout/analysis.ts';
import type { Job, ModelDeployment, Pod } from '../controllers/kinds.ts';
import type { InferenceImage } from '../controllers/pods.ts';
import type { AnalysisOutcome, WantedAnalysis } from '../rollout/contract.ts';
import type { Clock } from '../runtime/clock.ts';

/** The revision on one side of a comparison. */
export interface Track {
  readonly revision: string;
  /** Its living pods, ready or not. */
  readonly pods: readonly Pod[];
  /** Where its service answers, e.g. `http://detector-canary.media.svc`. */
  readonly url: string;
}

export interface AnalysesInput {
  /** With its parsed spec, defaults filled in: what is measured stands in its strategy. */
  readonly owner: ModelDeployment;
  readonly wanted: readonly WantedAnalysis[];
  /**
   * status.canary.analysis. A run that is wanted goes on if it is about the same revision, and stays as it is once it has ended: leave
   * it out to measure anew. Those that are not wanted are ended and kept.
   */
  readonly previous: readonly AnalysisRun[];
  readonly canary: Track;
  /** undefined: there is none, so nothing can be compared. */
  readonly stable: Track | undefined;
  /** Jobs with the label `PROBE_LABEL`: <name of the owner>, and their pods. */
  readonly probeJobs: readonly Job[];
  readonly probePods: readonly Pod[];
  readonly image: InferenceImage;
  readonly signal: AbortSignal;
}

export interface AnalysesOutput {
  /** For status.canary.analysis, bounded. Equal to `previous` where nothing happened. */
  readonly analysis: readonly AnalysisRun[];
  /** Of those that are wanted, in their order. */
  readonly outcomes: readonly AnalysisOutcome[];
  /** When a measurement is due, ms from now; undefined where none is. */
  readonly lookAgainInMs: number | undefined;
  /** To be created; one of that name that is there already is the same. Only after `analysis` has been written to status, or with it. */
  readonly createJobs: readonly Job[];
  /** Names of Jobs to be deleted with their pods (propagation Background): their analyses have ended before them. */
  readonly deleteJobs: readonly string[];
}

export interface AnalysesOptions {
  readonly clock: Clock;
}

/**
 * Kept for as long as the operator leads: rates are differences to what pods said before. What it forgets in a restart costs a
 * measurement, never a verdict.
 */
export class Analyses {
  readonly #clock: Clock;

  constructor({ clock }: AnalysesOptions) {
    this.#clock = clock;
  }

  /** Ends within seconds whatever pods and servers do; rejects only when the signal aborts. */
  async run({ wanted, previous, canary, signal }: AnalysesInput): Promise<AnalysesOutput> {
    signal.throwIfAborted();
    const startedAt = new Date(this.#clock.now()).toISOString();
    const analysis = wanted.map(
      ({ id, step }): AnalysisRun =>
        previous.find((run) => run.id === id && run.revision === canary.revision) ?? {
          id,
          revision: canary.revision,
          ...(step === undefined ? {} : { step }),
          phase: 'Running',
          startedAt,
        },
    );
    const outcomes = analysis.map(({ id, phase, message = '' }) => ({ id, phase, message }));
    return { analysis, outcomes, lookAgainInMs: 5_000, createJobs: [], deleteJobs: [] };
  }
}
