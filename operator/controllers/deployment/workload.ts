/** The Deployment of a track. Pure. */
import { DEFAULT_GPU_RESOURCE, type ModelDeploymentSpec } from '../../api/model-deployment.ts';
import { LABEL } from '../../api/names.ts';
import type { Applied } from '../../runtime/object.ts';
import type { ModelDeployment } from '../kinds.ts';
import {
  containerSecurityContext,
  type InferenceImage,
  imagePullSecrets,
  podSecurityContext,
} from '../pods.ts';
import type { ServedModel } from './models.ts';
import {
  apiKeySecretName,
  childMetadata,
  commonLabels,
  ownerReferences,
  podSelector,
  STABLE,
  trackName,
} from './names.ts';
import { revisionOf } from './revision.ts';

export interface WorkloadInput {
  readonly owner: ModelDeployment;
  readonly spec: ModelDeploymentSpec;
  readonly models: readonly ServedModel[];
  readonly image: InferenceImage;
  /** undefined: somebody else, a HorizontalPodAutoscaler, owns the count. */
  readonly replicas: number | undefined;
  /** There is no accelerator for an additional pod during a rollout: an old pod has to go first. */
  readonly noSurge: boolean;
}

export interface Workload {
  readonly revision: string;
  readonly deployment: Applied;
}

const PORT = 8080;
/** From the end of endpoints' propagation to the kill, s. */
const DRAIN_S = 5;
const GRACE_S = 60;
const SHUTDOWN_GRACE_MS = (GRACE_S - 2 * DRAIN_S) * 1000;
/** Holds uploads. Who exceeds it is evicted, so the server refuses uploads before. */
const TMP_SIZE = '1Gi';
const MAX_SPOOL_BYTES = 960 * 1024 ** 2;

export const apiKeyOf = (name: string, spec: ModelDeploymentSpec) =>
  spec.auth?.secretRef ?? { name: apiKeySecretName(name), key: 'api-key' };

export function desiredWorkload(input: WorkloadInput): Workload {
  const { owner, spec, replicas, noSurge } = input;
  const { name } = owner.metadata;
  const template = podTemplate(input);
  const revision = revisionOf(template);
  const labels = { ...commonLabels(name), [LABEL.track]: STABLE };
  const deployment = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: {
      ...childMetadata(owner, trackName(name), { [LABEL.track]: STABLE }),
      ownerReferences: ownerReferences(owner),
    },
    spec: {
      ...(replicas === undefined ? {} : { replicas }),
      paused: spec.paused,
      progressDeadlineSeconds: spec.progressDeadlineSeconds,
      revisionHistoryLimit: spec.revisionHistoryLimit,
      selector: { matchLabels: { ...podSelector(name), [LABEL.track]: STABLE } },
      strategy: {
        type: 'RollingUpdate',
        rollingUpdate: noSurge ? { maxSurge: 0, maxUnavailable: 1 } : { maxSurge: '25%', maxUnavailable: 0 },
      },
      template: {
        metadata: {
          ...template.metadata,
          labels: { ...spec.template?.metadata?.labels, ...labels, [LABEL.revision]: revision },
        },
        spec: withRevision(template.spec, revision),
      },
    },
  };
  return { revision, deployment: deployment as Applied };
}

/** The pods but for what is derived from their hash. */
function podTemplate({ owner, spec, models, image }: WorkloadInput) {
  const { name } = owner.metadata;
  const overlay = spec.template;
  return {
    metadata: {
      labels: overlay?.metadata?.labels ?? {},
      annotations: overlay?.metadata?.annotations ?? {},
    },
    spec: {
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: GRACE_S,
      ...imagePullSecrets(image),
      securityContext: podSecurityContext,
      ...(spec.gpu?.runtimeClassName === undefined ? {} : { runtimeClassName: spec.gpu.runtimeClassName }),
      topologySpreadConstraints: [
        {
          maxSkew: 1,
          topologyKey: 'kubernetes.io/hostname',
          whenUnsatisfiable: 'ScheduleAnyway',
          labelSelector: { matchLabels: podSelector(name) },
          matchLabelKeys: ['pod-template-hash'],
        },
      ],
      containers: [
        {
          name: 'inference',
          image: image.name,
          imagePullPolicy: image.pullPolicy,
          command: ['node', 'inference/main.ts', 'serve'],
          env: environment(name, spec, models),
          ports: [{ name: 'http', containerPort: PORT, protocol: 'TCP' }],
          resources: resources(spec),
          ...probes,
          lifecycle: { preStop: { sleep: { seconds: DRAIN_S } } },
          securityContext: containerSecurityContext,
          terminationMessagePolicy: 'FallbackToLogsOnError',
          volumeMounts: [...models.map(modelMount), { name: 'tmp', mountPath: '/tmp' }],
        },
      ],
      volumes: [...claimVolumes(models), { name: 'tmp', emptyDir: { sizeLimit: TMP_SIZE } }],
    },
  };
}

function withRevision(spec: ReturnType<typeof podTemplate>['spec'], revision: string) {
  const containers = spec.containers.map((container) => ({
    ...container,
    env: [...container.env, { name: 'REVISION', value: revision }],
  }));
  return { ...spec, containers };
}

/** A model may take minutes to load and warm up; once it has, readiness is asked often and liveness never depends on load. */
const probes = {
  startupProbe: { ...probe('ready'), periodSeconds: 2, failureThreshold: 300 },
  readinessProbe: { ...probe('ready'), periodSeconds: 5, failureThreshold: 2 },
  livenessProbe: { ...probe('live'), periodSeconds: 10, failureThreshold: 6 },
};

function probe(what: 'ready' | 'live') {
  return { httpGet: { path: `/health/${what}`, port: 'http' }, timeoutSeconds: 5 };
}

function environment(name: string, spec: ModelDeploymentSpec, models: readonly ServedModel[]) {
  const field = (fieldPath: string) => ({ valueFrom: { fieldRef: { fieldPath } } });
  const workers = spec.engine?.workers;
  return [
    { name: 'HOST', value: '0.0.0.0' },
    { name: 'PORT', value: String(PORT) },
    { name: 'MODELS_DIR', value: '/models' },
    { name: 'ACTIVE_MODELS', value: models.map((model) => model.name).join(',') },
    { name: 'DEFAULT_MODEL_NAME', value: models[0]?.name ?? '' },
    { name: 'MODEL_DIGESTS', value: models.map((model) => `${model.name}=${model.digest}`).join(',') },
    { name: 'DEVICE', value: spec.device },
    { name: 'API_KEY', valueFrom: { secretKeyRef: apiKeyOf(name, spec) } },
    { name: 'AUTH_MODE', value: 'required' },
    { name: 'SHUTDOWN_GRACE_MS', value: String(SHUTDOWN_GRACE_MS) },
    { name: 'MAX_SPOOL_BYTES', value: String(MAX_SPOOL_BYTES) },
    ...(workers === undefined ? [] : [{ name: 'ENGINE_WORKERS', value: String(workers) }]),
    { name: 'POD_NAME', ...field('metadata.name') },
    { name: 'POD_NAMESPACE', ...field('metadata.namespace') },
  ];
}

/** Extended resources are requested by their limit. */
function resources({ resources: { requests, limits }, gpu }: ModelDeploymentSpec) {
  const accelerators = gpu ? { [gpu.resourceName ?? DEFAULT_GPU_RESOURCE]: gpu.count ?? 1 } : {};
  return {
    ...(requests === undefined ? {} : { requests: asStrings(requests) }),
    ...(limits || gpu ? { limits: asStrings({ ...limits, ...accelerators }) } : {}),
  };
}

/** As the API server writes quantities. */
const asStrings = (quantities: Readonly<Record<string, string | number>>) =>
  Object.fromEntries(Object.entries(quantities).map(([name, value]) => [name, String(value)]));

/** Claims are shared by models: one volume each. */
const volumeName = (claimName: string, claims: readonly string[]) => `models-${claims.indexOf(claimName)}`;
const claimsOf = (models: readonly ServedModel[]) => [...new Set(models.map(({ claimName }) => claimName))];

function claimVolumes(models: readonly ServedModel[]) {
  const claims = claimsOf(models);
  const isReadOnly = (claim: string) =>
    models.some(({ claimName, readOnly }) => claimName === claim && readOnly === true);
  return claims.map((claimName) => ({
    name: volumeName(claimName, claims),
    persistentVolumeClaim: { claimName, ...(isReadOnly(claimName) ? { readOnly: true } : {}) },
  }));
}

function modelMount({ name, claimName, path }: ServedModel, _index: number, models: readonly ServedModel[]) {
  const volume = volumeName(claimName, claimsOf(models));
  return { name: volume, mountPath: `/models/${name}`, subPath: path, readOnly: true };
}
