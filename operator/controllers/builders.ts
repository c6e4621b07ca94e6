/** Objects for unit tests, with defaults. */
import { type DeepfakeModelStatus, deepfakeModelSpec } from '../api/deepfake-model.ts';
import { type ModelDeploymentSpec, modelDeploymentSpec } from '../api/model-deployment.ts';
import type { ServedModel } from './deployment/models.ts';
import type { DeepfakeModel, Deployment, Job, ModelDeployment, Pod } from './kinds.ts';

export const DIGEST = `sha256:${'a'.repeat(64)}`;
export const IMAGE = { name: 'registry.test/inference:1', pullPolicy: 'IfNotPresent' } as const;

const metadata = (name: string) => ({ name, namespace: 'ns', uid: `uid-${name}`, generation: 1 });

export const aModel = (
  name = 'm',
  changes: { spec?: object; status?: DeepfakeModelStatus } = {},
): DeepfakeModel => ({
  metadata: metadata(name),
  spec: deepfakeModelSpec.parse({ source: { builtin: { name: 'b' } }, ...changes.spec }),
  ...(changes.status === undefined ? {} : { status: changes.status }),
});

export const readyStatus = (changes: Partial<DeepfakeModelStatus> = {}): DeepfakeModelStatus => ({
  observedGeneration: 1,
  phase: 'Ready',
  digest: DIGEST,
  sizeBytes: 10,
  pvc: { claimName: 'm-weights', path: DIGEST.replace(':', '-') },
  card: { name: 'package', version: '0.1.0', modality: 'image' },
  ...changes,
});

export const deploymentSpec = (changes: object = {}): ModelDeploymentSpec =>
  modelDeploymentSpec.parse({ models: [{ name: 'm' }], ...changes });

export const aModelDeployment = (changes: object = {}, name = 'd'): ModelDeployment => ({
  metadata: metadata(name),
  spec: deploymentSpec(changes),
});

export const served = (name = 'm', changes: Partial<ServedModel> = {}): ServedModel => ({
  name,
  version: '0.1.0',
  digest: DIGEST,
  sizeBytes: 10,
  claimName: `${name}-weights`,
  path: DIGEST.replace(':', '-'),
  ...changes,
});

export const aJob = (condition?: { type: string; reason?: string; message?: string }): Job =>
  ({
    metadata: metadata('job'),
    status: condition
      ? { conditions: [{ status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z', ...condition }] }
      : {},
  }) as Job;

/** A pod with one container in the given state. */
export const aPod = (
  container: object = {},
  changes: { conditions?: object[]; limits?: object; deleted?: boolean } = {},
): Pod =>
  ({
    metadata: {
      ...metadata('pod'),
      ...(changes.deleted ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
    },
    spec: { containers: [{ name: 'c', resources: { limits: changes.limits ?? {} } }] },
    status: {
      conditions: changes.conditions ?? [],
      containerStatuses: [{ name: 'c', image: 'i', ready: false, restartCount: 0, state: {}, ...container }],
    },
  }) as unknown as Pod;

/** A Deployment with counts; `conditions` by type and status. */
export const aDeployment = (
  counts: {
    wanted?: number;
    total?: number;
    updated?: number;
    available?: number;
    behind?: boolean;
    maxSurge?: number;
  } = {},
  conditions: Record<string, 'True' | 'False'> = { Available: 'True' },
): Deployment => {
  const {
    wanted = 1,
    total = wanted,
    updated = total,
    available = updated,
    behind = false,
    maxSurge,
  } = counts;
  return {
    metadata: metadata('d-stable'),
    spec: {
      replicas: wanted,
      ...(maxSurge === undefined ? {} : { strategy: { rollingUpdate: { maxSurge, maxUnavailable: 1 } } }),
    },
    status: {
      observedGeneration: behind ? 0 : 1,
      replicas: total,
      updatedReplicas: updated,
      availableReplicas: available,
      conditions: Object.entries(conditions).map(([type, status]) => ({
        type,
        status,
        reason: `${type}Reason`,
        message: `${type} message`,
      })),
    },
  } as unknown as Deployment;
};
