/** Where a rollout stands, in a word and in a sentence. Pure. */
import type { ModelDeploymentStatus } from '../api/model-deployment.ts';
import type { Problem } from '../controllers/problems.ts';
import type { RolloutInput } from './contract.ts';
import { isReady, type Memory, type Roles, rolesOf } from './memory.ts';
import { describe, stepsOf } from './steps.ts';
import { rollbackProblem } from './transitions.ts';

export interface Summary {
  readonly phase: NonNullable<ModelDeploymentStatus['phase']>;
  readonly message: string;
}

const tell = ({ reason, message }: Problem) => `${reason}: ${message}`;

/** In order of what explains most; the first hit is what people see. */
export function summaryOf(input: RolloutInput, memory: Memory): Summary {
  const roles = rolesOf(input, memory);
  return (
    abortedSummary(memory, roles) ??
    degradedSummary(rollbackProblem(input) ?? input.observation.traffic.problem) ??
    pausedSummary(input, memory, roles) ??
    degradedSummary(podsProblem(roles)) ??
    progressSummary(input, memory, roles)
  );
}

function abortedSummary(memory: Memory, { canary }: Roles): Summary | undefined {
  if (!memory.abort || !canary) return undefined;
  const message = `RolloutAborted: revision ${canary.revision}: ${memory.abortReason ?? 'aborted'}; ${memory.stable} serves`;
  return { phase: 'Degraded', message };
}

const degradedSummary = (problem: Problem | undefined): Summary | undefined =>
  problem && { phase: 'Degraded', message: tell(problem) };

function pausedSummary(
  input: RolloutInput,
  memory: Memory,
  { canary, stable, target }: Roles,
): Summary | undefined {
  const rolling = canary !== undefined || (!stable && target?.desired === 0 && input.spec.paused);
  if (!rolling) return undefined;
  if (input.spec.paused) return { phase: 'Paused', message: 'spec.paused holds the rollout' };
  const [pause] = memory.pauses;
  if (!pause) return undefined;
  const step = stepsOf(input.spec)[memory.stepIndex];
  const at = step ? `at step ${memory.stepIndex + 1}: ${describe(step)}` : 'after the last step';
  return { phase: 'Paused', message: `${pause.reason} ${at}` };
}

function podsProblem({ canary, target, stable }: Roles): Problem | undefined {
  for (const pods of [canary, stable ?? target]) {
    if (pods?.problem && pods.available < pods.desired) return pods.problem;
    if (pods?.deadlineExceeded && pods.available < pods.desired) {
      const message = `revision ${pods.revision}: ${pods.available} of ${pods.desired} pods available within progressDeadlineSeconds`;
      return { reason: 'ProgressDeadlineExceeded', message };
    }
  }
  return undefined;
}

function progressSummary(input: RolloutInput, memory: Memory, { canary, stable, target }: Roles): Summary {
  const { traffic, wantedReplicas } = input.observation;
  const progressing = (message: string): Summary => ({ phase: 'Progressing', message });
  if (!target) return progressing('there is no revision yet');
  if (canary) {
    const step = stepsOf(input.spec)[memory.stepIndex];
    const pods = `${canary.available} of ${canary.desired} canary pods available, ${traffic.canaryWeight ?? 0} % of the requests`;
    const at = step ? `step ${memory.stepIndex + 1}: ${describe(step)}` : 'all steps taken';
    return progressing(`revision ${canary.revision}: ${at}; ${pods}`);
  }
  const pods = `${target.available} of ${wantedReplicas} pods available`;
  if (!stable || !isReady(stable, wantedReplicas)) return progressing(`revision ${target.revision}: ${pods}`);
  const turned = traffic.stable === stable.revision && (traffic.canaryWeight ?? 0) === 0 && traffic.verified;
  if (!turned) return progressing(`revision ${stable.revision}: its services are not all turned to it yet`);
  return { phase: 'Healthy', message: `${pods}, all of revision ${stable.revision}` };
}
