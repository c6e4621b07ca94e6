/** Objects for tests of this folder: a canary that waits at its second step of four, changed as a row says. */
import { LABEL } from '../../api/names.ts';
import type { Deployment, ModelDeployment, Pod } from '../../controllers/kinds.ts';

export const NOW = Date.parse('2026-03-04T12:00:00Z');
export const ago = (seconds: number) => new Date(NOW - seconds * 1000).toISOString().replace('.000Z', 'Z');

const digest = (letter: string) => `sha256:${letter.repeat(64)}`;
const keptRevision = (
  revision: string,
  version: string,
  letter: string,
  age: number,
  { replicas = 0, promoted = true } = {},
) => ({
  revision,
  createdAt: ago(age),
  ...(promoted ? { promotedAt: ago(age - 60) } : {}),
  replicas,
  ready: replicas,
  models: [{ name: 'cnn', version, digest: digest(letter) }],
});

export const REVISIONS = [
  keptRevision('r3', '0.3.0', 'c', 600, { replicas: 1, promoted: false }),
  keptRevision('r2', '0.2.0', 'b', 7_200, { replicas: 3 }),
  keptRevision('r1', '0.1.0', 'a', 90_000),
];

export const STEPS = [
  { setWeight: 25 },
  { pause: {} },
  { analysis: { metrics: [{ name: 'errors', builtin: { metric: 'errorRate', max: 0.01 } }] } },
  { setWeight: 100 },
];

export const canary = (fields: object = {}) => ({ strategy: { canary: { steps: STEPS, ...fields } } });

/** Paused by its second step, r3 on its way to replace r2. */
export function rollout(
  status: object = {},
  spec: object = canary(),
  metadata: object = {},
): ModelDeployment {
  return {
    metadata: {
      name: 'faces',
      namespace: 'prod',
      generation: 4,
      resourceVersion: '77',
      creationTimestamp: ago(3 * 86_400),
      ...metadata,
    },
    spec: { models: [{ name: 'cnn' }], replicas: 4, device: 'cpu', paused: false, ...spec },
    status: {
      observedGeneration: 4,
      phase: 'Paused',
      message: 'waits for a person at step 2 of 4',
      replicas: 4,
      readyReplicas: 4,
      currentRevision: 'r3',
      stableRevision: 'r2',
      lastGoodRevision: 'r2',
      currentStepIndex: 1,
      controllerPause: true,
      pauseConditions: [{ reason: 'CanaryPauseStep', startTime: ago(300) }],
      models: REVISIONS[0]?.models,
      revisions: REVISIONS,
      canary: { weights: { stable: 75, canary: 25, achieved: 25, verified: true } },
      ...status,
    },
  } as unknown as ModelDeployment;
}

export const HEALTHY = {
  phase: 'Healthy',
  message: '4 of 4 pods serve revision r3',
  stableRevision: 'r3',
  currentStepIndex: 4,
  controllerPause: undefined,
  pauseConditions: undefined,
};
export const ABORTED = {
  phase: 'Degraded',
  message: 'aborted: metric errors failed',
  abort: true,
  abortedAt: ago(60),
  currentStepIndex: 0,
  pauseConditions: undefined,
  controllerPause: undefined,
};

const labelsOf = (revision: string) => ({ [LABEL.modelDeployment]: 'faces', [LABEL.revision]: revision });

export const workload = (revision: string, replicas: number, readyReplicas: number, age = 600) =>
  ({
    metadata: {
      name: `faces-${revision}`,
      labels: { [LABEL.modelDeployment]: 'faces' },
      creationTimestamp: ago(age),
    },
    spec: { replicas, template: { metadata: { labels: labelsOf(revision) } } },
    status: { readyReplicas },
  }) as unknown as Deployment;

export const pod = (revision: string, suffix: string, container: object = {}) =>
  ({
    metadata: {
      name: `faces-${revision}-${suffix}`,
      labels: labelsOf(revision),
      creationTimestamp: ago(300),
    },
    spec: { nodeName: 'node-1', containers: [{ name: 'inference' }] },
    status: {
      phase: 'Running',
      conditions: [{ type: 'Ready', status: 'ready' in container ? 'False' : 'True' }],
      containerStatuses: [
        { name: 'inference', ready: true, restartCount: 0, state: { running: {} }, ...container },
      ],
    },
  }) as unknown as Pod;
