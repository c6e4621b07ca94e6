/** Whether a rollout has to take an old pod away before it makes a new one. Pure. */
import type { Deployment, Pod } from '../kinds.ts';
import { namesAccelerator } from '../pods.ts';
import type { Problem } from '../problems.ts';

/**
 * Whether a pod lacks what others have on their nodes: an accelerator, or room where a volume is. A resource that none of them
 * has, or a claim that is not there, does not come by an old pod's going.
 */
function isHeld({ reason, message }: Problem, pods: readonly Pod[]): boolean {
  if (reason === 'VolumeNodeFull') return true;
  if (reason === 'PvcPending') return /volume node affinity conflict|ReadWriteOncePod/.test(message);
  if (reason !== 'InsufficientGPU') return false;
  return pods.some((pod) => pod.spec?.nodeName !== undefined && namesAccelerator(message, pod));
}

/** True where a surge pod lacks what an old pod has while others serve; then until the rollout is over. */
export function needsNoSurge(
  live: Deployment | undefined,
  podProblem: Problem | undefined,
  pods: readonly Pod[],
): boolean {
  if (!live) return false;
  const { updatedReplicas = 0, availableReplicas = 0, replicas = 0 } = live.status ?? {};
  const rolling = updatedReplicas < replicas || updatedReplicas < (live.spec?.replicas ?? 0);
  const already = live.spec?.strategy?.rollingUpdate?.maxSurge === 0;
  const lacking = podProblem !== undefined && isHeld(podProblem, pods);
  return rolling && (already || (lacking && availableReplicas > 0));
}
