/** Where a rollout stands, as a person needs to know it before doing something about it. Pure. */
import type { ModelDeploymentStatus } from '../../api/model-deployment.ts';
import type { CanaryStep } from '../../api/rollout/strategy.ts';
import type { ModelDeployment } from '../../controllers/kinds.ts';
import { describe, stepsOf } from '../../rollout/steps.ts';
import { type Phase, phaseOf } from '../status/tree.ts';

export type PauseCondition = NonNullable<ModelDeploymentStatus['pauseConditions']>[number];
export type Revision = NonNullable<ModelDeploymentStatus['revisions']>[number];

export interface Situation {
  readonly name: string;
  readonly phase: Phase;
  readonly message: string;
  readonly strategy: Strategy;
  /** Status speaks of the spec as it is now. */
  readonly seen: boolean;
  /** spec.paused */
  readonly held: boolean;
  readonly current: string | undefined;
  readonly stable: string | undefined;
  /** A revision is on its way to replace another one. */
  readonly underWay: boolean;
  readonly aborted: boolean;
  /** The operator has acted on what people last wrote into status: phase and message are about that. */
  readonly heeded: boolean;
  readonly promotedFully: boolean;
  readonly pauses: readonly PauseCondition[];
  /** Where the revision is that is under way. */
  readonly step: Step | undefined;
  readonly rollbackTo: string | undefined;
  /** Kept, the newest first. */
  readonly revisions: readonly Revision[];
  /** The revision whose rollout was the last to be aborted, if nothing came after it. */
  readonly failed: string | undefined;
}

export type Strategy = 'rollingUpdate' | 'canary' | 'blueGreen';

export interface Step {
  /** From 0; `count` when all are taken. */
  readonly index: number;
  readonly count: number;
  readonly text: string;
  /** It goes on by itself. */
  readonly timed: boolean;
}

export function situationOf(deployment: ModelDeployment): Situation {
  const { metadata, spec, status = {} } = deployment;
  const { currentRevision: current, stableRevision: stable, completion } = status;
  const underWay = current !== undefined && stable !== undefined && current !== stable;
  return {
    name: metadata.name,
    phase: phaseOf(deployment),
    message: status.message ?? 'the operator has not seen it yet',
    strategy: strategyOf(deployment),
    seen: (status.observedGeneration ?? 0) >= (metadata.generation ?? 0),
    held: spec.paused,
    current,
    stable,
    underWay,
    aborted: status.abort === true,
    heeded: isHeeded(deployment),
    promotedFully: status.promoteFull === true,
    pauses: status.pauseConditions ?? [],
    step: underWay ? stepOf(stepsOf(spec), status.currentStepIndex) : undefined,
    rollbackTo: spec.rollbackTo,
    revisions: status.revisions ?? [],
    failed: completion?.status === 'Aborted' ? completion.revision : undefined,
  };
}

function isHeeded({ spec, status = {} }: ModelDeployment): boolean {
  const { phase, pauseConditions = [], promoteFull, abort = false, abortedAt } = status;
  if (abort !== (abortedAt !== undefined)) return false;
  const goesOn = pauseConditions.length === 0 || promoteFull === true;
  return phase !== 'Paused' || spec.paused || !goesOn;
}

export function strategyOf({ spec: { strategy } }: Pick<ModelDeployment, 'spec'>): Strategy {
  if (strategy?.canary) return 'canary';
  return strategy?.blueGreen ? 'blueGreen' : 'rollingUpdate';
}

function stepOf(steps: readonly CanaryStep[], index: number | undefined): Step | undefined {
  if (index === undefined || steps.length === 0) return undefined;
  const step = steps[index];
  return {
    index,
    count: steps.length,
    text: step ? describe(step) : 'all steps are taken',
    timed: step?.pause?.duration !== undefined,
  };
}

/** `step 2/6 (set weight to 20 %)`; the steps of a person begin at 1. */
export const stepPlace = ({ index, count, text }: Step) =>
  index >= count ? `after step ${count}/${count}` : `step ${index + 1}/${count} (${text})`;

/** Nothing moves before a person does something: only the pause of a step with a duration ends by itself. */
export const waitsForPerson = ({ held, pauses, step }: Pick<Situation, 'held' | 'pauses' | 'step'>) =>
  held || pauses.some(({ reason }) => reason !== 'CanaryPauseStep' || !step?.timed);
