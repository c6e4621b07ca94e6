/** What the main thread and a worker say to each other. Paths, small results, and tensors whose bytes change hands: media never crosses. */
import type { WorkerFailure } from './failure.ts';

/** The types of what a pool and its workers exchange. */
export interface Work {
  readonly job: unknown;
  readonly result: unknown;
  /** What a worker starts with. */
  readonly settings: unknown;
  /** What a worker says when it takes jobs; never undefined. */
  readonly ready: NonNullable<unknown>;
  /** What a worker says at any time, of no job in particular. */
  readonly event: unknown;
  readonly progress: unknown;
}

export type ToWorker<Job> =
  | { readonly type: 'run'; readonly id: number; readonly job: Job }
  | { readonly type: 'cancel'; readonly id: number }
  | { readonly type: 'ping' }
  /** Cancel everything and end. ONNX Runtime aborts the whole process when its thread is terminated during `run()`. */
  | { readonly type: 'stop' };

export type FromWorker<Result, Ready, Event, Progress> =
  | { readonly type: 'ready'; readonly ready: Ready }
  | { readonly type: 'refused'; readonly message: string }
  | { readonly type: 'result'; readonly id: number; readonly result: Result }
  | { readonly type: 'failed'; readonly id: number; readonly failure: WorkerFailure }
  | { readonly type: 'progress'; readonly id: number; readonly progress: Progress }
  | { readonly type: 'event'; readonly event: Event }
  | { readonly type: 'pong' };
