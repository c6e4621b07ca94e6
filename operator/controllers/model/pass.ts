/** What the parts of a reconcile pass of one DeepfakeModel know in common. */
import type { Logger } from 'pino';
import type { DeepfakeModelSpec } from '../../api/deepfake-model.ts';
import type { DeepfakeModel } from '../kinds.ts';
import type { ModelClaim, Sharer } from './claim-plan.ts';

export interface ModelPass {
  readonly model: DeepfakeModel;
  readonly namespace: string;
  readonly spec: DeepfakeModelSpec;
  readonly claim: ModelClaim;
  /** ModelDeployments that name the model, sorted. */
  readonly users: readonly string[];
  /** Every model that keeps its package on the claim, this one first. */
  readonly sharers: readonly [Sharer, ...Sharer[]];
  readonly signal: AbortSignal;
  readonly log: Logger;
}

/** Whether the spec was edited since the last pass. */
export const isEdited = ({ metadata, status }: DeepfakeModel) =>
  status?.observedGeneration !== metadata.generation;
