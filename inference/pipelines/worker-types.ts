/** What the main thread gives to a worker and gets back once. */
import type { BatchSettings } from '../engine/batch-limits.ts';
import type { SessionOptions } from '../engine/session.ts';
import type { VideoLimits } from '../media/video.ts';
import type { NamedPackage } from '../models/package.ts';
import type { Analysis, DetectorInput, ProgressStep, WorkerEvent } from './analysis.ts';

export interface WorkerSettings {
  readonly packages: readonly NamedPackage[];
  readonly session: SessionOptions;
  readonly batch: BatchSettings;
  /** Largest width times height of an image. */
  readonly limitPixels: number;
  readonly videoLimits: VideoLimits;
}

export interface AnalysisJob extends DetectorInput {
  /** Serving name. */
  readonly model: string;
}

export interface WorkerReady {
  /** Milliseconds from opening the graph to the last golden score, by serving name. */
  readonly loadMs: Readonly<Record<string, number>>;
}

export interface AnalysisWork {
  readonly job: AnalysisJob;
  readonly result: Analysis;
  readonly settings: WorkerSettings;
  readonly ready: WorkerReady;
  readonly event: WorkerEvent;
  readonly progress: ProgressStep;
}
