/** What the main thread gives to a worker and gets back once. */
import type { BatchSettings } from '../engine/batch-limits.ts';
import type { WorkerFailure } from '../engine/failure.ts';
import type { SessionOptions } from '../engine/session.ts';
import type { GraphMetadata, NamedTensor } from '../engine/tensors.ts';
import type { VideoLimits } from '../media/video.ts';
import type { GraphName } from '../models/graphs.ts';
import type { NamedPackage } from '../models/package.ts';
import type { Analysis, DetectorInput, Extras, ProgressStep, WorkerEvent } from './analysis.ts';

export interface WorkerSettings {
  readonly packages: readonly NamedPackage[];
  readonly session: SessionOptions;
  readonly batch: BatchSettings;
  /** Largest width times height of an image. */
  readonly limitPixels: number;
  readonly videoLimits: VideoLimits;
  /** Changed copies of an image that are judged at most; 0: none. */
  readonly perturbationRuns: number;
}

export interface AnalysisJob extends DetectorInput {
  readonly type: 'analyse';
  /** Serving name. */
  readonly model: string;
  readonly extras: Extras;
}

/** Several models of one file, each of which may fail alone. */
export interface JointAnalysisJob extends DetectorInput {
  readonly type: 'analyse-jointly';
  /** Serving names, with what is wanted beside the score. */
  readonly models: readonly { readonly name: string; readonly extras: Extras }[];
}

/** Tensors for the graph itself, without decoding and calibration around it. */
export interface TensorsJob {
  readonly type: 'tensors';
  /** Serving name. */
  readonly model: string;
  readonly graph: GraphName;
  readonly inputs: readonly NamedTensor[];
  readonly outputs: readonly string[];
}

export interface Computation {
  readonly outputs: readonly NamedTensor[];
  /** Milliseconds in the graph. */
  readonly inferMs: number;
}

export type WorkerResult =
  | { readonly type: 'analyse'; readonly analysis: Analysis }
  | {
      readonly type: 'analyse-jointly';
      /** In the order of the job's models. */
      readonly outcomes: readonly ({ readonly analysis: Analysis } | { readonly failure: WorkerFailure })[];
    }
  | ({ readonly type: 'tensors' } & Computation);

export interface WorkerReady {
  /** Milliseconds from opening the graph to the last golden score, by serving name. */
  readonly loadMs: Readonly<Record<string, number>>;
  /** What the graphs take and give, by serving name and name in the package; those are not there that `NamedTensor` cannot hold. */
  readonly graphs: Readonly<Record<string, Readonly<Partial<Record<GraphName, GraphMetadata>>>>>;
}

export interface AnalysisWork {
  readonly job: AnalysisJob | JointAnalysisJob | TensorsJob;
  readonly result: WorkerResult;
  readonly settings: WorkerSettings;
  readonly ready: WorkerReady;
  readonly event: WorkerEvent;
  /** The model is said where a job has several. */
  readonly progress: ProgressStep & { readonly model?: string };
}
