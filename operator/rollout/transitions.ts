/** How a rollout gets from one state to the next: revision, people's words, judgements, steps. Pure; in this order. */
import type { ModelDeploymentSpec } from '../api/model-deployment.ts';
import type { CanaryStep, CanaryStrategy } from '../api/rollout/strategy.ts';
import type { Problem } from '../controllers/problems.ts';
import { timestamp } from '../runtime/conditions.ts';
import type { AnalysisOutcome, RevisionObservation, RolloutInput } from './contract.ts';
import { abortDelaySeconds, scaleDownDelaySeconds } from './delays.ts';
import { durationMs } from './duration.ts';
import { goalsOf, isAtCount, isReached } from './goals.ts';
import { wasStable } from './history.ts';
import {
  atFirstStep,
  type Completion,
  isHeld,
  isPaused,
  isReady,
  type Memory,
  outcomeOf,
  type PauseReason,
  pause,
  rolesOf,
  type Say,
  stepHashOf,
} from './memory.ts';
import { wantedPods } from './pods.ts';
import { analysisId, describe, splitOf, stepsOf } from './steps.ts';

export type Transition = (input: RolloutInput, memory: Memory, say: Say) => Memory;

const ended = (status: Completion['status'], revision: string, nowMs: number): Completion => ({
  status,
  revision,
  at: timestamp(nowMs),
});

/** A revision that rollbackTo names and that is not kept: nothing can be made of it. */
export function rollbackProblem({ spec, observation }: RolloutInput): Problem | undefined {
  const { rollbackTo } = spec;
  if (rollbackTo === undefined || rollbackTo === observation.wantedRevision) return undefined;
  if (observation.revisions.some(({ revision }) => revision === rollbackTo)) return undefined;
  return {
    reason: 'RevisionNotKept',
    message: `spec.rollbackTo names revision ${rollbackTo}, which is not kept: take it out, or name one of status.revisions`,
  };
}

function followed(input: RolloutInput, memory: Memory): string | undefined {
  if (rollbackProblem(input)) return memory.target;
  return input.spec.rollbackTo ?? input.observation.wantedRevision ?? memory.target;
}

/**
 * A stable revision that status does not know of, and that has the requests of clients: status was lost, or the first revision came
 * up in part. It is not taken away from them.
 */
function adopted({ observation }: RolloutInput, target: string | undefined): string | undefined {
  const { stable } = observation.traffic;
  if (stable === undefined || stable === target) return undefined;
  const serving = observation.revisions.find(({ revision }) => revision === stable);
  return serving && serving.available > 0 ? stable : undefined;
}

/** The stable service selects it yet, whatever was promoted meanwhile: there is nothing to roll out. */
function stillServes({ observation, status }: RolloutInput, target: string | undefined): boolean {
  if (status?.stableRevision === undefined || observation.traffic.stable !== target) return false;
  return observation.revisions.some(({ revision, available }) => revision === target && available > 0);
}

/** Whether a revision is still among those that there are pods of. */
const isKept = ({ observation }: RolloutInput, name: string | undefined) =>
  observation.revisions.some(({ revision }) => revision === name);

/** Another revision, or other steps, begin at the first step; the way back does not take them. */
export const follow: Transition = (input, before, say) => {
  const target = followed(input, before);
  const known = isKept(input, before.stable) || before.stable === target ? before.stable : undefined;
  const stable = stillServes(input, target) ? target : (known ?? adopted(input, target));
  const memory: Memory = { ...before, stable };
  const hash = stepHashOf(input);
  if (target !== memory.target) return restarted(input, { ...memory, stepHash: hash }, target, say);
  if (memory.stepHash === hash) return memory;
  const rolling = memory.stable !== undefined && memory.stable !== target;
  // An aborted rollout stays aborted, for what was wrong with it is not mended by other steps.
  if (!rolling || memory.abort) {
    return { ...memory, stepHash: hash, stepIndex: rolling ? 0 : stepsOf(input.spec).length };
  }
  return skipped(input, { ...atFirstStep(memory), stepHash: hash }, say);
};

function restarted(input: RolloutInput, memory: Memory, target: string | undefined, say: Say): Memory {
  const { stable, target: left, abort } = memory;
  const begun: Memory = { ...atFirstStep(memory), target };
  const interrupted = left !== undefined && stable !== undefined && left !== stable && !abort;
  if (!interrupted || target === undefined) return skipped(input, begun, say);
  const back = target === stable;
  const completion = back
    ? ended('FastRolledBack', target, input.nowMs)
    : ended('Superseded', left, input.nowMs);
  say({
    reason: back ? 'RolloutRolledBack' : 'RolloutSuperseded',
    type: 'Normal',
    message: back
      ? `back to the stable revision ${target}; ${left} is left`
      : `revision ${left} is left for ${target}`,
  });
  return skipped(input, { ...begun, completion }, say);
}

/** The stable revision, the first one, and one within the rollback window need no proof. */
function skipped(input: RolloutInput, memory: Memory, say: Say): Memory {
  const { canary } = rolesOf(input, memory);
  if (canary && !isWithinWindow(input, memory)) return memory;
  if (canary) {
    say({
      reason: 'SkipSteps',
      type: 'Normal',
      message: `back to revision ${memory.target} within the rollback window`,
    });
  }
  return { ...memory, stepIndex: stepsOf(input.spec).length };
}

/** The target is older than what is stable. */
function isRollback(input: RolloutInput, memory: Memory): boolean {
  const { canary, stable } = rolesOf(input, memory);
  return (
    isKept(input, canary?.revision) &&
    canary !== undefined &&
    stable !== undefined &&
    canary.createdAt < stable.createdAt
  );
}

/** The target is one of the last revisions before the stable one, and was stable itself. */
export function isWithinWindow(input: RolloutInput, memory: Memory): boolean {
  const { rollbackWindow } = input.spec;
  const { canary, stable, others } = rolesOf(input, memory);
  if (!rollbackWindow || !canary || !stable || !isRollback(input, memory)) return false;
  if (!wasStable(input.status, canary.revision)) return false;
  const between = others.filter(
    ({ createdAt }) => canary.createdAt < createdAt && createdAt < stable.createdAt,
  );
  return between.length < rollbackWindow.revisions;
}

/** Abort, retry, promotion in full or by a step: what people wrote into status. */
export const heed: Transition = (input, memory, say) => {
  const { canary } = rolesOf(input, memory);
  if (!canary) return withoutRollout(memory, say);
  if (memory.abort && memory.abortedAt === undefined) {
    return aborted(input, memory, memory.abortReason ?? 'aborted by a person', say);
  }
  if (memory.abort && !memory.promoteFull) return memory;
  if (memory.promoteFull) return inFull(input, memory);
  if (memory.abortedAt !== undefined) {
    say({ reason: 'RolloutRetried', type: 'Normal', message: `revision ${canary.revision} is tried again` });
    return skipped(input, { ...atFirstStep(memory), completion: undefined }, say);
  }
  return promotedByStep(input, memory, say);
};

/** Where nothing is rolled out there is nothing to abort, promote or hold. */
function withoutRollout(memory: Memory, say: Say): Memory {
  if (memory.abort) {
    const message = 'there is no rollout to abort, and no other revision to go back to';
    say({ reason: 'NothingToAbort', type: 'Warning', message });
  }
  return {
    ...memory,
    pauses: [],
    controllerPause: false,
    abort: false,
    abortedAt: undefined,
    abortReason: undefined,
    promoteFull: false,
  };
}

/** Steps and judgements are left out; the weight still follows the pods. */
function inFull(input: RolloutInput, memory: Memory): Memory {
  const { abortedAt, noSurge } = memory;
  const again = abortedAt !== undefined;
  const begun = again ? { ...atFirstStep(memory), noSurge, completion: undefined } : memory;
  return {
    ...begun,
    promoteFull: true,
    stepIndex: stepsOf(input.spec).length,
    pauses: [],
    controllerPause: false,
    analysis: [],
  };
}

/** With its reasons taken out, a pause of ours is over: the step that waits or that could not be judged is done. */
function promotedByStep(input: RolloutInput, memory: Memory, say: Say): Memory {
  if (!memory.controllerPause || memory.pauses.length > 0) return memory;
  const background = analysisId();
  const unsure = (id: string) => outcomeOf(input, memory, id)?.phase === 'Inconclusive';
  const step = stepsOf(input.spec)[memory.stepIndex];
  const done = step?.pause !== undefined || unsure(analysisId(memory.stepIndex));
  const analysis = unsure(background)
    ? memory.analysis.filter(({ id }) => id !== background)
    : memory.analysis;
  say({ reason: 'RolloutResumed', type: 'Normal', message: 'promoted by a person' });
  const resumed = { ...memory, controllerPause: false, analysis };
  return done && step ? nextStep(input, resumed, step, say) : resumed;
}

function nextStep(input: RolloutInput, memory: Memory, step: CanaryStep, say: Say): Memory {
  const stepIndex = memory.stepIndex + 1;
  const message = `step ${stepIndex} of ${stepsOf(input.spec).length}: ${describe(step)}`;
  say({ reason: 'RolloutStepCompleted', type: 'Normal', message });
  const pauses = memory.pauses.filter(({ reason }) => reason !== pauseReason(input.spec));
  return { ...memory, stepIndex, pauses, controllerPause: pauses.length > 0 && memory.controllerPause };
}

const pauseReason = (spec: ModelDeploymentSpec): PauseReason =>
  splitOf(spec) === 'blueGreen' ? 'BlueGreenPause' : 'CanaryPauseStep';

function aborted(input: RolloutInput, memory: Memory, abortReason: string, say: Say): Memory {
  const { target = '' } = memory;
  say({ reason: 'RolloutAborted', type: 'Warning', message: `revision ${target}: ${abortReason}` });
  return {
    ...memory,
    abort: true,
    abortedAt: timestamp(input.nowMs),
    abortReason: abortReason.slice(0, 1024),
    stepIndex: 0,
    pauses: [],
    controllerPause: false,
    promoteFull: false,
    scaleDownAt: undefined,
    completion: ended('Aborted', target, input.nowMs),
  };
}

/** A canary that is bad is aborted, one that could not be judged waits for a person. */
export const judge: Transition = (input, memory, say) => {
  const { canary } = rolesOf(input, memory);
  const spared = withCapacity(input, memory, say);
  if (!canary || memory.abort) return spared;
  const reason = reasonToAbort(input, memory, canary) ?? capacityFailure(input, memory);
  if (reason !== undefined) return aborted(input, spared, reason, say);
  const unsure = judgedNow(input, memory).find(({ phase }) => phase === 'Inconclusive');
  if (!unsure || isPaused(spared, 'InconclusiveAnalysis')) return spared;
  const message = `analysis ${unsure.id} is inconclusive${unsure.message ? `: ${unsure.message}` : ''}`;
  say({ reason: 'RolloutPaused', type: 'Warning', message });
  return pause(spared, 'InconclusiveAnalysis', input.nowMs);
};

/** Of the analyses that decide now: that of the step and that in the background. */
function judgedNow(input: RolloutInput, memory: Memory): AnalysisOutcome[] {
  const outcomes = [analysisId(memory.stepIndex), analysisId()].map((id) => outcomeOf(input, memory, id));
  return outcomes.filter((outcome) => outcome !== undefined);
}

/** Of programs that end although they should serve. */
const CRASHES = ['CrashLoopBackOff', 'OOMKilled', 'PackageDamaged'];

function reasonToAbort(input: RolloutInput, memory: Memory, canary: RevisionObservation): string | undefined {
  const failed = judgedNow(input, memory).find(({ phase }) => phase === 'Failed' || phase === 'Error');
  if (failed) {
    const how = failed.phase === 'Failed' ? 'failed' : 'could not measure';
    return `analysis ${failed.id} ${how}${failed.message ? `: ${failed.message}` : ''}`;
  }
  const { problem, desired, available } = canary;
  if (desired === 0) return undefined;
  if (problem && CRASHES.includes(problem.reason)) return `${problem.reason}: ${problem.message}`;
  const late = canary.deadlineExceeded && available < desired && !isHeld(input, memory);
  if (!late || input.spec.progressDeadlineAbort === false) return undefined;
  const why = problem ? `${problem.reason}: ${problem.message}` : `${available} of ${desired} pods available`;
  return `no progress within progressDeadlineSeconds: ${why}`;
}

const strategyOf = ({ spec }: RolloutInput): Partial<CanaryStrategy> => spec.strategy?.canary ?? {};

const holds = ({ holdsAccelerators = true }: RevisionObservation) => holdsAccelerators;

/** Why pods that the rollout asks for find no accelerator. */
function lackOf(input: RolloutInput, memory: Memory): string | undefined {
  const { observation } = input;
  const { canary, stable, others } = rolesOf(input, memory);
  const pending = [canary, stable].find((pods) => pods?.problem?.reason === 'InsufficientGPU');
  const { freeAccelerators, leavingPods = 0 } = observation;
  // What pods hold that are about to go is as good as free.
  const surplus = others.filter(holds).reduce((sum, { replicas }) => sum + replicas, leavingPods);
  if (pending && surplus === 0) return pending.problem?.message;
  if (freeAccelerators === undefined) return undefined;
  const pods = wantedPods(input, memory);
  const current = new Map(observation.revisions.map((each) => [each.revision, each]));
  const more = [...pods].reduce((sum, [name, count]) => {
    const known = current.get(name);
    return known && !holds(known) ? sum : sum + count - (known?.desired ?? 0);
  }, 0);
  if (more <= freeAccelerators + leavingPods) return undefined;
  return `${more} more pods need an accelerator, and ${freeAccelerators} could get one`;
}

/** insufficientGPU: Fail. */
function capacityFailure(input: RolloutInput, memory: Memory): string | undefined {
  if (strategyOf(input).insufficientGPU !== 'Fail') return undefined;
  const lack = lackOf(input, memory);
  return lack === undefined ? undefined : `InsufficientGPU: ${lack}`;
}

/** Where no accelerator is free, pods are exchanged without a surge until the rollout is over and what it left is gone. */
function withCapacity(input: RolloutInput, memory: Memory, say: Say): Memory {
  const { canary, others } = rolesOf(input, memory);
  const exchanging = canary !== undefined || others.some(({ desired }) => desired > 0);
  if (!exchanging) return memory.noSurge ? { ...memory, noSurge: false } : memory;
  const fails = strategyOf(input).insufficientGPU === 'Fail' && !memory.abort && canary !== undefined;
  if (memory.noSurge || fails || splitOf(input.spec) === 'blueGreen') return memory;
  if (memory.stable === undefined) return memory;
  const lack = lackOf(input, memory);
  if (lack === undefined) return memory;
  const message = `${lack}: old pods go before new ones come`;
  say({ reason: 'InsufficientGPU', type: 'Warning', message });
  return { ...memory, noSurge: true };
}

/** Takes the steps that are done, and promotes what is through with them. */
export const proceed: Transition = (input, before, say) => {
  const { canary, target, stable } = rolesOf(input, before);
  if (!stable && target) return firstDeployed(input, before, target, say);
  if (!canary || before.abort) return before;
  let memory = before;
  for (let step = stepAt(input, memory); step; step = stepAt(input, memory)) {
    memory = waiting(input, memory, step, say);
    if (isHeld(input, memory) || !isDone(input, memory, step)) return memory;
    memory = nextStep(input, memory, step, say);
  }
  return isPromotable(input, memory) ? promoted(input, memory, say) : memory;
};

const stepAt = ({ spec }: RolloutInput, { stepIndex }: Memory) => stepsOf(spec)[stepIndex];

/** A pause begins when its step is reached, and belongs to no other step. */
function waiting(input: RolloutInput, memory: Memory, step: CanaryStep, say: Say): Memory {
  const reason = pauseReason(input.spec);
  if (step.pause && !isPaused(memory, reason)) {
    const message = `${describe(step)} (${reason})`;
    say({ reason: 'RolloutPaused', type: 'Normal', message });
    return pause(memory, reason, input.nowMs);
  }
  if (step.pause || !isPaused(memory, reason)) return memory;
  const pauses = memory.pauses.filter((condition) => condition.reason !== reason);
  return { ...memory, pauses, controllerPause: pauses.length > 0 && memory.controllerPause };
}

function isDone(input: RolloutInput, memory: Memory, step: CanaryStep): boolean {
  const roles = rolesOf(input, memory);
  if (step.pause) return pauseEndsInMs(input, memory) === 0;
  if (step.analysis) return outcomeOf(input, memory, analysisId(memory.stepIndex))?.phase === 'Successful';
  if (step.setWeight !== undefined) return isReached(input, memory, roles);
  return isAtCount(input, goalsOf(input, memory), roles);
}

/** What is left of a pause, ms; undefined where there is none or it ends by a person. */
export function pauseEndsInMs(input: RolloutInput, memory: Memory): number | undefined {
  const duration = stepAt(input, memory)?.pause?.duration;
  const condition = memory.pauses.find(({ reason }) => reason === pauseReason(input.spec));
  if (duration === undefined || !condition) return undefined;
  return Math.max(0, Date.parse(condition.startTime) + durationMs(duration) - input.nowMs);
}

/** Served in full by pods that are there, and judged. */
function isPromotable(input: RolloutInput, memory: Memory): boolean {
  const { observation } = input;
  const { canary } = rolesOf(input, memory);
  const { wantedReplicas, traffic } = observation;
  if (!canary || isHeld(input, memory) || !isReady(canary, wantedReplicas)) return false;
  if (!isProved(input, memory)) return false;
  if (splitOf(input.spec) !== 'gatewayAPI' || wantedReplicas === 0) return true;
  return traffic.canaryWeight === 100 && traffic.verified && traffic.canary === canary.revision;
}

/**
 * The analysis in the background succeeded; one without an end succeeded at least once by every metric. Steps are not taken before
 * their analyses succeed.
 */
function isProved(input: RolloutInput, memory: Memory): boolean {
  const metrics = input.spec.strategy?.canary?.analysis?.metrics;
  if (!metrics || isExempt(input, memory)) return true;
  const phase = outcomeOf(input, memory, analysisId())?.phase;
  if (phase === 'Successful') return true;
  if (phase !== 'Running') return false;
  const results = memory.analysis.find(({ id }) => id === analysisId())?.metrics ?? [];
  return metrics.every(({ name, interval, count }) => {
    const result = results.find((candidate) => candidate.name === name);
    const endless = interval !== undefined && count === undefined;
    return result?.phase === 'Successful' || (endless && (result?.successful ?? 0) > 0);
  });
}

/** Neither steps nor analyses are asked of it. */
export const isExempt = (input: RolloutInput, memory: Memory) =>
  memory.promoteFull || isWithinWindow(input, memory);

function promoted(input: RolloutInput, memory: Memory, say: Say): Memory {
  const { target = '' } = memory;
  const status = completionOf(input, memory);
  say({ reason: 'RolloutCompleted', type: 'Normal', message: `revision ${target} is stable: ${status}` });
  const delay = scaleDownDelaySeconds(input.spec);
  return {
    ...memory,
    stable: target,
    lastGood: target,
    stepIndex: stepsOf(input.spec).length,
    pauses: [],
    controllerPause: false,
    promoteFull: false,
    scaleDownAt: delay > 0 ? timestamp(input.nowMs + delay * 1000) : undefined,
    completion: ended(status, target, input.nowMs),
  };
}

function completionOf(input: RolloutInput, memory: Memory): Completion['status'] {
  if (isWithinWindow(input, memory)) return 'FastRolledBack';
  if (isRollback(input, memory)) return 'RolledBack';
  return memory.promoteFull ? 'FastPromoted' : 'Promoted';
}

/** The first revision is stable as soon as it serves in full: until then there is nothing to go back to. */
function firstDeployed(input: RolloutInput, memory: Memory, target: RevisionObservation, say: Say): Memory {
  const { revision } = target;
  const through = { ...memory, stepIndex: stepsOf(input.spec).length };
  if (!isReady(target, input.observation.wantedReplicas) || input.spec.paused) return through;
  say({ reason: 'RolloutCompleted', type: 'Normal', message: `revision ${revision} is stable: the first` });
  const completion = ended('Promoted', revision, input.nowMs);
  return { ...through, stable: revision, lastGood: revision, completion };
}

/** When the pods of an aborted canary go, once nothing depends on them; forgotten once those of what was left are gone. */
export const retire: Transition = (input, memory) => {
  const { stable, canary, others } = rolesOf(input, memory);
  if (!canary) return withoutOldPods(input, memory, others);
  const delay = abortDelaySeconds(input.spec);
  if (!memory.abort || memory.scaleDownAt !== undefined || delay === undefined || !stable) return memory;
  const { traffic, wantedReplicas } = input.observation;
  const quiet = (traffic.canaryWeight ?? 0) === 0 && traffic.verified;
  if (!quiet || stable.available < wantedReplicas) return memory;
  return { ...memory, scaleDownAt: timestamp(input.nowMs + delay * 1000) };
};

function withoutOldPods(
  { nowMs }: RolloutInput,
  memory: Memory,
  others: readonly RevisionObservation[],
): Memory {
  const { scaleDownAt } = memory;
  const over = scaleDownAt !== undefined && nowMs >= Date.parse(scaleDownAt);
  return over && others.every(({ desired }) => desired === 0)
    ? { ...memory, scaleDownAt: undefined }
    : memory;
}
