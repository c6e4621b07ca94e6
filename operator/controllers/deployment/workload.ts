/** The Deployment that serves: of a revision, or the one that rolls. Pure. */
import type { ModelDeploymentSpec } from '../../api/model-deployment.ts';
import { LABEL } from '../../api/names.ts';
import type { Applied } from '../../runtime/object.ts';
import { claimVolume, placeByClaims } from '../claims.ts';
import type { ModelDeployment } from '../kinds.ts';
import { overlaid } from '../overlay.ts';
import {
  containerSecurityContext,
  type InferenceImage,
  imagePullSecrets,
  podSecurityContext,
} from '../pods.ts';
import type { Problem } from '../problems.ts';
import { apiKeyAnnotations, apiKeyOf } from './auth.ts';
import { containerResources, deviceEnvironment, devicePodSpec } from './devices.ts';
import type { ServedModel } from './models.ts';
import {
  childMetadata,
  commonLabels,
  ownerReferences,
  podSelector,
  revisionName,
  STABLE,
  trackName,
} from './names.ts';
import { probes, progressDeadlineS, startupBudgetS } from './probes.ts';
import { modelsAnnotation, revisionOf } from './revision.ts';
import { keepsRevisions, splitsByPods } from './strategy.ts';

export interface WorkloadInput {
  readonly owner: ModelDeployment;
  readonly spec: ModelDeploymentSpec;
  readonly models: readonly ServedModel[];
  readonly image: InferenceImage;
  /** Of the Deployment that rolls. undefined: somebody else, a HorizontalPodAutoscaler, owns the count. */
  readonly replicas: number | undefined;
  /** There is no accelerator for an additional pod during a rollout: an old pod has to go first. */
  readonly noSurge: boolean;
}

export interface Workload {
  readonly revision: string;
  /** That of the revision says nothing of its count, which is decided apart. */
  readonly deployment: Applied;
}

/** The container that serves; a user may add others. */
export const CONTAINER = 'inference';
const PORT = 8080;
/** From the end of endpoints' propagation to the kill, s. */
const DRAIN_S = 5;
const GRACE_S = 60;
const SHUTDOWN_GRACE_MS = (GRACE_S - 2 * DRAIN_S) * 1000;
/** Holds uploads. Who exceeds it is evicted, so the server refuses uploads before. */
const TMP_SIZE = '1Gi';
const MAX_SPOOL_BYTES = 960 * 1024 ** 2;
/** Where the split of requests follows the pods behind one Service: a connection stays with its pod, so it must not last. */
const MAX_REQUESTS_PER_CONNECTION = 100;

/** Says instead what is wrong with the overlay of the pods. */
export function desiredWorkload(input: WorkloadInput): Workload | { readonly problem: Problem } {
  const { owner, spec } = input;
  const { name } = owner.metadata;
  const models = inSteadyOrder(input.models);
  const laid = overlaid(CONTAINER, podTemplate({ ...input, models }), spec.template);
  if ('problem' in laid) return laid;
  const template = placeByClaims(laid.template, models);
  const revision = revisionOf(template);
  const { identity, spec: counts } = keepsRevisions(spec) ? ofRevision(name, revision) : rolling(input, name);
  const deployment = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: {
      ...childMetadata(owner, identity.name, identity.labels),
      annotations: modelsAnnotation(models),
      ownerReferences: ownerReferences(owner),
    },
    spec: {
      ...counts,
      progressDeadlineSeconds: progressDeadlineS(spec, startupBudgetS(models, spec.device)),
      selector: { matchLabels: { ...podSelector(name), ...identity.labels } },
      template: {
        metadata: {
          ...template.metadata,
          labels: {
            ...template.metadata.labels,
            ...commonLabels(name),
            ...identity.labels,
            [LABEL.revision]: revision,
          },
        },
        spec: withRevision(template.spec, revision),
      },
    },
  };
  return { revision, deployment: deployment as Applied };
}

/** The one Deployment whose pods are exchanged. */
const rolling = ({ spec, replicas, noSurge }: WorkloadInput, name: string) => ({
  identity: { name: trackName(name), labels: { [LABEL.track]: STABLE } },
  spec: {
    ...(replicas === undefined ? {} : { replicas }),
    paused: spec.paused,
    revisionHistoryLimit: spec.revisionHistoryLimit,
    strategy: {
      type: 'RollingUpdate',
      rollingUpdate: noSurge ? { maxSurge: 0, maxUnavailable: 1 } : rollingUpdateOf(spec),
    },
  },
});

/** A Deployment whose pods never change: revisions that are kept are Deployments, not its ReplicaSets. */
const ofRevision = (name: string, revision: string) => ({
  identity: { name: revisionName(name, revision), labels: { [LABEL.revision]: revision } },
  spec: { revisionHistoryLimit: 0 },
});

const rollingUpdateOf = ({ strategy }: ModelDeploymentSpec) => {
  const { maxSurge = '25%', maxUnavailable = 0 } = strategy?.rollingUpdate ?? {};
  return { maxSurge, maxUnavailable };
};

/** The first is the default; the order of the others means nothing, so no pod is started again for it. */
function inSteadyOrder(models: readonly ServedModel[]): readonly ServedModel[] {
  const [first, ...others] = models;
  return first ? [first, ...others.sort((a, b) => (a.name < b.name ? -1 : 1))] : [];
}

/** The pods but for what a user adds and what is derived from their hash. */
function podTemplate({ owner, spec, models, image }: WorkloadInput) {
  const { name } = owner.metadata;
  const labels: Record<string, string> = {};
  return {
    metadata: {
      labels,
      // Else it would be the first, which may be one that the user adds.
      annotations: {
        'kubectl.kubernetes.io/default-container': CONTAINER,
        ...apiKeyAnnotations(owner, spec),
      },
    },
    spec: {
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: GRACE_S,
      ...imagePullSecrets(image),
      securityContext: podSecurityContext,
      ...devicePodSpec(spec),
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
          name: CONTAINER,
          image: image.name,
          imagePullPolicy: image.pullPolicy,
          command: ['node', 'inference/main.ts', 'serve'],
          env: environment(name, spec, models),
          ports: [{ name: 'http', containerPort: PORT, protocol: 'TCP' }],
          resources: containerResources(spec),
          ...probes(startupBudgetS(models, spec.device)),
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
  const containers = spec.containers.map((container) =>
    container.name === CONTAINER
      ? { ...container, env: [...container.env, { name: 'REVISION', value: revision }] }
      : container,
  );
  return { ...spec, containers };
}

function environment(name: string, spec: ModelDeploymentSpec, models: readonly ServedModel[]) {
  const field = (fieldPath: string) => ({ valueFrom: { fieldRef: { fieldPath } } });
  const { workers, maxBatch, maxDelayMs } = spec.engine ?? {};
  const optional = { ENGINE_WORKERS: workers, ENGINE_MAX_BATCH: maxBatch, ENGINE_MAX_DELAY_MS: maxDelayMs };
  return [
    { name: 'HOST', value: '::' },
    { name: 'PORT', value: String(PORT) },
    { name: 'MODELS_DIR', value: '/models' },
    { name: 'ACTIVE_MODELS', value: models.map((model) => model.name).join(',') },
    { name: 'DEFAULT_MODEL_NAME', value: models[0]?.name ?? '' },
    { name: 'MODEL_DIGESTS', value: models.map((model) => `${model.name}=${model.digest}`).join(',') },
    ...deviceEnvironment(spec),
    { name: 'API_KEY', valueFrom: { secretKeyRef: apiKeyOf(name, spec) } },
    { name: 'AUTH_MODE', value: 'required' },
    { name: 'SHUTDOWN_GRACE_MS', value: String(SHUTDOWN_GRACE_MS) },
    { name: 'MAX_SPOOL_BYTES', value: String(MAX_SPOOL_BYTES) },
    ...(splitsByPods(spec)
      ? [{ name: 'MAX_REQUESTS_PER_CONNECTION', value: String(MAX_REQUESTS_PER_CONNECTION) }]
      : []),
    ...Object.entries(optional).flatMap(([variable, value]) =>
      value === undefined ? [] : [{ name: variable, value: String(value) }],
    ),
    { name: 'POD_NAME', ...field('metadata.name') },
    { name: 'POD_NAMESPACE', ...field('metadata.namespace') },
  ];
}

/** Claims are shared by models: one volume each. */
const volumeName = (claimName: string, claims: readonly string[]) => `models-${claims.indexOf(claimName)}`;
const claimsOf = (models: readonly ServedModel[]) => [...new Set(models.map(({ claimName }) => claimName))];

function claimVolumes(models: readonly ServedModel[]) {
  const claims = claimsOf(models);
  return claims.map((claimName) => {
    const sharing = models.filter((model) => model.claimName === claimName);
    const readOnly = sharing.some((model) => model.readOnly);
    return claimVolume(volumeName(claimName, claims), {
      claimName,
      accessMode: sharing[0]?.accessMode,
      readOnly,
    });
  });
}

function modelMount({ name, claimName, path }: ServedModel, _index: number, models: readonly ServedModel[]) {
  const volume = volumeName(claimName, claimsOf(models));
  return { name: volume, mountPath: `/models/${name}`, subPath: path, readOnly: true };
}
