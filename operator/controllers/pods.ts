/** What pods of both controllers have in common: how they are confined, and what may be wrong with them. */
import type { Pod } from './kinds.ts';
import type { Problem } from './problems.ts';

/** The image that serving pods and fetch Jobs run. */
export interface InferenceImage {
  readonly name: string;
  readonly pullPolicy: 'Always' | 'IfNotPresent' | 'Never';
  /** Names of Secrets in the pods' namespace. */
  readonly pullSecrets?: readonly string[];
}

/** The part of a pod's spec that lets kubelet pull the image. */
export const imagePullSecrets = ({ pullSecrets = [] }: InferenceImage) =>
  pullSecrets.length === 0 ? {} : { imagePullSecrets: pullSecrets.map((name) => ({ name })) };

/** The user and group of the image. */
const IMAGE_ID = 65532;

/** Satisfies the Pod Security Standard `restricted`. */
export const podSecurityContext = {
  runAsNonRoot: true,
  runAsUser: IMAGE_ID,
  runAsGroup: IMAGE_ID,
  fsGroup: IMAGE_ID,
  fsGroupChangePolicy: 'OnRootMismatch',
  seccompProfile: { type: 'RuntimeDefault' },
} as const;

export const containerSecurityContext = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
} as const;

const IMAGE_REASONS = ['ImagePullBackOff', 'ErrImagePull', 'InvalidImageName', 'ErrImageNeverPull'];
const START_REASONS = ['CreateContainerConfigError', 'CreateContainerError', 'RunContainerError'];

type ContainerStatus = NonNullable<NonNullable<Pod['status']>['containerStatuses']>[number];
type Check = (pod: Pod, container: ContainerStatus | undefined) => Problem | undefined;

/** Pods that ended, evicted ones for example, stay for people to look at: others have taken their place. */
export const living = (pods: readonly Pod[]) =>
  pods.filter(({ status }) => status?.phase !== 'Failed' && status?.phase !== 'Succeeded');

/** What keeps pods from running, in the words of the scheduler, kubelet or the program itself. Pods that go away do not count. */
export function podProblem(pods: readonly Pod[]): Problem | undefined {
  const staying = pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  // In order of what explains most; the first hit is told.
  const checks: readonly Check[] = [unschedulable, cannotStart, crashing];
  for (const check of checks) {
    for (const pod of staying) {
      const problem = check(pod, pod.status?.containerStatuses?.[0]);
      if (problem) return { ...problem, message: `pod ${pod.metadata.name}: ${problem.message}` };
    }
  }
  return undefined;
}

function unschedulable(pod: Pod): Problem | undefined {
  const scheduled = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled');
  if (scheduled?.status !== 'False' || scheduled.reason !== 'Unschedulable') return undefined;
  const message = scheduled.message ?? 'no node takes it';
  const lacking = acceleratorsOf(pod).some((name) => message.includes(`Insufficient ${name}`));
  if (lacking) return { reason: 'InsufficientGPU', message };
  return {
    reason: /persistentvolume|volume node affinity|available volume/i.test(message)
      ? 'PvcPending'
      : 'Unschedulable',
    message,
  };
}

/** Extended resources, which all have a domain in their name. */
function acceleratorsOf(pod: Pod): string[] {
  const limits = pod.spec?.containers.flatMap((container) => Object.keys(container.resources?.limits ?? {}));
  return limits?.filter((name) => name.includes('/')) ?? [];
}

function cannotStart(_pod: Pod, container: ContainerStatus | undefined): Problem | undefined {
  const { reason, message } = container?.state?.waiting ?? {};
  if (reason === undefined || ![...IMAGE_REASONS, ...START_REASONS].includes(reason)) return undefined;
  return { reason, message: message ?? `${reason} of image ${container?.image}` };
}

function crashing(_pod: Pod, container: ContainerStatus | undefined): Problem | undefined {
  if (!container || container.ready || container.restartCount === 0) return undefined;
  const last = container.state?.terminated ?? container.lastState?.terminated;
  if (!last) return undefined;
  const said = last.message?.trim();
  const ended = `exit code ${last.exitCode}${last.reason ? ` (${last.reason})` : ''}`;
  return { reason: 'CrashLoopBackOff', message: `${ended}${said ? `: ${said}` : ''}` };
}
