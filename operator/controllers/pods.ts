/** What pods of both controllers have in common: how they are confined, and what may be wrong with them. */
import { isTiedByClaim } from './claims.ts';
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
/** What kubelet means by a CreateContainerConfigError; the first that fits. */
const CONFIG_PROBLEMS: readonly (readonly [message: RegExp, reason: string])[] = [
  [/secret "[^"]*" not found/, 'SecretNotFound'],
  [/configmap "[^"]*" not found/, 'ConfigMapNotFound'],
  [/couldn't find key/, 'KeyNotFound'],
];
/** Of pods that wait for something that only a person brings. */
export const CANNOT_START_REASONS: readonly string[] = [
  ...START_REASONS,
  ...CONFIG_PROBLEMS.map(([, reason]) => reason),
];

type ContainerStatus = NonNullable<NonNullable<Pod['status']>['containerStatuses']>[number];
type PodCheck = (pod: Pod) => Problem | undefined;
type ContainerCheck = (container: ContainerStatus, pod: Pod) => Problem | undefined;

/** Pods that ended, evicted ones for example, stay for people to look at: others have taken their place. */
export const living = (pods: readonly Pod[]) =>
  pods.filter(({ status }) => status?.phase !== 'Failed' && status?.phase !== 'Succeeded');

/** What keeps pods from running, in the words of the scheduler, kubelet or the program itself. Pods that go away do not count. */
export function podProblem(pods: readonly Pod[]): Problem | undefined {
  const staying = pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  // In order of what explains most; the first hit is told.
  const checks: readonly PodCheck[] = [
    unschedulable,
    ...[cannotStart, damagedPackage, outOfMemory, killedByProbe, crashing, notReadyAgain].map(ofContainers),
  ];
  for (const check of checks) {
    for (const pod of staying) {
      const problem = check(pod);
      if (problem) return { ...problem, message: `pod ${pod.metadata.name}: ${problem.message}` };
    }
  }
  return undefined;
}

/**
 * Why a node gave up the latest pod that it did, in kubelet's words: it ran out of a resource (Evicted), shut down, or could not
 * take the pod at all (UnexpectedAdmissionError of a device plugin, OutOfcpu). Where others serve in its place it is history.
 */
export function givenUp(pods: readonly Pod[]): Problem | undefined {
  const [latest] = pods
    .filter(({ status }) => status?.phase === 'Failed' && status.reason !== undefined)
    .sort((a, b) => createdAt(b) - createdAt(a));
  const { reason, message } = latest?.status ?? {};
  if (!latest || reason === undefined) return undefined;
  return { reason, message: `pod ${latest.metadata.name}: ${message ?? 'its node gave it up'}` };
}

const createdAt = ({ metadata }: Pod) => Date.parse(metadata.creationTimestamp ?? '');

/** The first container with the problem, named where there are several. */
const ofContainers =
  (check: ContainerCheck): PodCheck =>
  (pod) => {
    const { initContainerStatuses = [], containerStatuses = [] } = pod.status ?? {};
    const containers = [...initContainerStatuses, ...containerStatuses];
    for (const container of containers) {
      const problem = check(container, pod);
      if (problem && containers.length === 1) return problem;
      if (problem) return { ...problem, message: `container ${container.name}: ${problem.message}` };
    }
    return undefined;
  };

function unschedulable(pod: Pod): Problem | undefined {
  const scheduled = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled');
  if (scheduled?.status !== 'False' || scheduled.reason !== 'Unschedulable') return undefined;
  const message = scheduled.message ?? 'no node takes it';
  if (namesAccelerator(message, pod)) return { reason: 'InsufficientGPU', message };
  if (/persistentvolume|volume node affinity|available volume/i.test(message)) {
    return { reason: 'PvcPending', message };
  }
  const tied = isTiedByClaim(pod.metadata.labels) && /match pod affinity rules/.test(message);
  if (!tied) return { reason: 'Unschedulable', message };
  const why = 'pods that mount the same ReadWriteOnce claim have to run on one node';
  return { reason: 'VolumeNodeFull', message: `${message}; ${why}` };
}

/**
 * Whether the scheduler misses an accelerator such as the pod has or wants. Extended resources all have a domain in their name;
 * claims of dynamic resource allocation are allocated or not.
 */
export function namesAccelerator(message: string, { spec }: Pod): boolean {
  const limits =
    spec?.containers.flatMap((container) => Object.keys(container.resources?.limits ?? {})) ?? [];
  const extended = limits.filter((name) => name.includes('/'));
  return (
    extended.some((name) => message.includes(`Insufficient ${name}`)) ||
    (spec?.resourceClaims !== undefined && message.includes('cannot allocate all claims'))
  );
}

function cannotStart({ state, image }: ContainerStatus): Problem | undefined {
  const { reason, message } = state?.waiting ?? {};
  if (reason === undefined || ![...IMAGE_REASONS, ...START_REASONS].includes(reason)) return undefined;
  const known = CONFIG_PROBLEMS.find(([pattern]) => pattern.test(message ?? ''))?.[1];
  return { reason: known ?? reason, message: message ?? `${reason} of image ${image}` };
}

/** How a container ended that has to run and does not yet again. */
function lastEnd({ ready, restartCount, state, lastState }: ContainerStatus) {
  return ready || restartCount === 0 ? undefined : (state?.terminated ?? lastState?.terminated);
}

/** Of a serving pod whose package is not what it has to be. */
export const DAMAGED_EXIT_CODE = 65;

function damagedPackage(container: ContainerStatus): Problem | undefined {
  const last = lastEnd(container);
  if (last?.exitCode !== DAMAGED_EXIT_CODE) return undefined;
  return { reason: 'PackageDamaged', message: packageError(last.message ?? '') };
}

function packageError(lastWords: string): string {
  try {
    const { model, reason, message } = JSON.parse(lastWords).error;
    return `model ${model}: ${reason}: ${message}`;
  } catch {
    return lastWords.trim() || 'the package of a model is damaged';
  }
}

function outOfMemory(container: ContainerStatus, { spec }: Pod): Problem | undefined {
  if (lastEnd(container)?.reason !== 'OOMKilled') return undefined;
  const limit = spec?.containers.find(({ name }) => name === container.name)?.resources?.limits?.['memory'];
  const allowed = limit === undefined ? '' : ` of ${limit}`;
  return { reason: 'OOMKilled', message: `it needs more memory than its limit${allowed} allows` };
}

/** Kubelet ends a container by SIGTERM, then SIGKILL. A program that serves ends by itself with an error only. */
const ENDED_BY_KUBELET = [0, 137, 143];

function killedByProbe(container: ContainerStatus): Problem | undefined {
  const last = lastEnd(container);
  if (!last || !ENDED_BY_KUBELET.includes(last.exitCode)) return undefined;
  const message = `ended from outside (exit code ${last.exitCode}), as kubelet does when the startup or liveness probe fails for too long`;
  return { reason: 'ProbeFailing', message };
}

function crashing(container: ContainerStatus): Problem | undefined {
  const last = lastEnd(container);
  if (!last) return undefined;
  const said = last.message?.trim();
  const ended = `exit code ${last.exitCode}${last.reason ? ` (${last.reason})` : ''}`;
  return { reason: 'CrashLoopBackOff', message: `${ended}${said ? `: ${said}` : ''}` };
}

/** One that was ready, lost it and runs on. Before a pod is ready for the first time it loads its models. */
function notReadyAgain({ ready, state }: ContainerStatus, { status }: Pod): Problem | undefined {
  const startedAt = state?.running?.startedAt;
  const condition = status?.conditions?.find(({ type }) => type === 'Ready');
  if (ready || startedAt === undefined || condition?.status !== 'False') return undefined;
  if (!(Date.parse(condition.lastTransitionTime ?? '') > Date.parse(startedAt))) return undefined;
  return {
    reason: 'ProbeFailing',
    message: `runs, and its readiness probe fails: ${condition.message ?? ''}`,
  };
}
