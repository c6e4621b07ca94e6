/** The Job of one fetch attempt. Pure. */
import type {
  V1Container,
  V1EnvVar,
  V1PodTemplateSpec,
  V1Volume,
  V1VolumeMount,
} from '@kubernetes/client-node';
import type { DeepfakeModelSpec } from '../../api/deepfake-model.ts';
import { DEEPFAKE_MODEL as KIND, LABEL, MANAGED_BY } from '../../api/names.ts';
import { controllerReference } from '../../runtime/object.ts';
import { type AccessMode, claimVolume, placeByClaims } from '../claims.ts';
import type { DeepfakeModel, Job } from '../kinds.ts';
import { overlaid } from '../overlay.ts';
import {
  containerSecurityContext,
  type InferenceImage,
  imagePullSecrets,
  podSecurityContext,
} from '../pods.ts';
import type { Problem } from '../problems.ts';
import { MODEL_APP_NAME } from './claim-plan.ts';
import { jobName } from './fetch-plan.ts';

/** Attempts may resume, so a deadline costs little and a hung download cannot last for ever. */
const DEFAULT_DEADLINE_S = 3600;
/** Finished Jobs are only kept for people to look at. */
const JOB_TTL_S = 3600;
const VOLUME_PATH = '/models';
export const PROGRESS_PORT = 8081;
export const FETCH_CONTAINER = 'fetch';

/**
 * `fetch`: brings the package from its source. `repair`: the same, and what lies there is checked and replaced. `verify`: another
 * model has put the package there; it is read and nothing is written.
 */
export type FetchMode = 'fetch' | 'repair' | 'verify';

export interface Attempt {
  readonly id: string;
  readonly number: number;
  readonly mode: FetchMode;
  readonly claimName: string;
  readonly accessMode: AccessMode;
  /** undefined: as much as the volume takes. */
  readonly maxBytes: number | undefined;
  readonly image: InferenceImage;
}

export type JobPlan = { readonly job: Job } | { readonly problem: Problem };

/** It is never retried by Kubernetes: the operator knows from the reason how soon a retry makes sense. */
export function desiredJob(model: DeepfakeModel, spec: DeepfakeModelSpec, attempt: Attempt): JobPlan {
  const { name, namespace } = model.metadata;
  const labels = {
    [LABEL.name]: MODEL_APP_NAME,
    [LABEL.instance]: name,
    [LABEL.managedBy]: MANAGED_BY,
    [LABEL.model]: name,
    [LABEL.fetch]: attempt.id,
  };
  const pods = overlaid(FETCH_CONTAINER, podTemplate(spec, attempt, labels), spec.fetch?.template);
  if ('problem' in pods) {
    const { reason, message } = pods.problem;
    return { problem: { reason, message: `spec.fetch.${message}` } };
  }
  const { claimName, accessMode } = attempt;
  const template = placeByClaims(pods.template, [{ claimName, accessMode }]);
  const job = {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name: jobName(name, attempt.id, attempt.number),
      ...(namespace === undefined ? {} : { namespace }),
      labels,
      ownerReferences: [controllerReference(KIND, model)],
    },
    spec: {
      backoffLimit: 0,
      activeDeadlineSeconds: spec.fetch?.deadlineSeconds ?? DEFAULT_DEADLINE_S,
      ttlSecondsAfterFinished: JOB_TTL_S,
      template,
    },
  };
  return { job: job as unknown as Job };
}

/** A package that lies on the user's volume, or that another model has put there, is left as it is. */
const isReadOnly = ({ source }: DeepfakeModelSpec, { mode }: Attempt) =>
  source.pvc !== undefined || mode === 'verify';

function podTemplate(spec: DeepfakeModelSpec, attempt: Attempt, labels: Record<string, string>) {
  const { image, claimName, accessMode } = attempt;
  const needs = attempt.mode === 'verify' ? NOTHING : needsOf(spec);
  const readOnly = isReadOnly(spec, attempt);
  // Not by claimVolume: of a claim that nodes share unwritten, this is the pod that writes.
  const models = readOnly
    ? claimVolume('models', { claimName, accessMode, readOnly })
    : { name: 'models', persistentVolumeClaim: { claimName } };
  const container: V1Container = {
    name: FETCH_CONTAINER,
    image: image.name,
    imagePullPolicy: image.pullPolicy,
    command: ['node', 'inference/main.ts', 'fetch'],
    args: fetchArguments(spec, attempt),
    ...(needs.env.length === 0 ? {} : { env: [...needs.env] }),
    ports: [{ name: 'progress', containerPort: PROGRESS_PORT, protocol: 'TCP' }],
    resources: { requests: { cpu: '100m', memory: '256Mi' }, limits: { memory: '1Gi' } },
    securityContext: containerSecurityContext as unknown as NonNullable<V1Container['securityContext']>,
    terminationMessagePolicy: 'FallbackToLogsOnError',
    volumeMounts: [
      { name: 'models', mountPath: VOLUME_PATH, readOnly },
      { name: 'tmp', mountPath: '/tmp' },
      ...needs.mounts,
    ],
  };
  const pod: NonNullable<V1PodTemplateSpec['spec']> = {
    restartPolicy: 'Never',
    ...imagePullSecrets(image),
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    securityContext: podSecurityContext,
    containers: [container],
    volumes: [models, { name: 'tmp', emptyDir: { sizeLimit: '64Mi' } }, ...needs.volumes],
  };
  return { metadata: { labels: { ...labels, [LABEL.egress]: needs.egress } }, spec: pod };
}

function fetchArguments(spec: DeepfakeModelSpec, { mode, maxBytes }: Attempt): string[] {
  const { digest, source } = spec;
  const inPlace = mode === 'verify' && digest !== undefined;
  const described = inPlace ? { pvc: { path: digest.replace(':', '-') } } : describe(spec);
  return [
    `--source=${JSON.stringify(described)}`,
    `--destination=${VOLUME_PATH}`,
    ...(digest === undefined ? [] : [`--digest=${digest}`]),
    `--max-bytes=${maxBytes ?? Number.MAX_SAFE_INTEGER}`,
    ...(mode === 'repair' && !source.pvc ? ['--repair'] : []),
    `--progress-port=${PROGRESS_PORT}`,
  ];
}

/** The source as the fetch command reads it: without what names credentials. */
function describe({ source }: DeepfakeModelSpec): object {
  const { builtin, http, s3, huggingFace, oci, pvc, configMap } = source;
  if (builtin) return { builtin };
  if (http) return { http: without(http, 'secretRef') };
  if (s3) return { s3: without(s3, 'secretRef') };
  if (huggingFace) return { huggingFace: without(huggingFace, 'secretRef') };
  if (oci) return { oci: without(oci, 'secretRef') };
  if (pvc) return { pvc: without(pvc, 'claimName') };
  return { configMap: { path: `${CONFIG_MAP_PATH}/${configMap?.key}` } };
}

function without<T extends object, Key extends keyof T>(object: T, key: Key): Omit<T, Key> {
  const { [key]: _, ...rest } = object;
  return rest;
}

const CONFIG_MAP_PATH = '/run/config-map';
const REGISTRY_PATH = '/run/registry';
const CA_PATH = '/run/ca';

/** What a source takes besides the volume. Values of Secrets are never read here: kubelet hands them over. */
interface Needs {
  readonly egress: 'none' | 'source';
  readonly env: readonly V1EnvVar[];
  readonly volumes: readonly V1Volume[];
  readonly mounts: readonly V1VolumeMount[];
}

const NOTHING: Needs = { egress: 'none', env: [], volumes: [], mounts: [] };

function needsOf({ source, fetch }: DeepfakeModelSpec): Needs {
  const { http, s3, huggingFace, oci, configMap } = source;
  if (configMap) {
    const { name, key } = configMap;
    const volume = { name: 'config-map', configMap: { name, items: [{ key, path: key }] } };
    return { ...NOTHING, volumes: [volume], mounts: [readOnlyMount('config-map', CONFIG_MAP_PATH)] };
  }
  const ca = authorities(fetch?.caConfigMapRef);
  if (http) return fromNetwork(ca, { env: secretVariable('SOURCE_AUTHORIZATION', http.secretRef) });
  if (huggingFace) return fromNetwork(ca, { env: secretVariable('HF_TOKEN', huggingFace.secretRef) });
  if (s3) return fromNetwork(ca, { env: s3Variables(s3.secretRef) });
  return oci ? fromNetwork(ca, registryCredentials(oci.secretRef)) : NOTHING;
}

type Parts = Partial<Omit<Needs, 'egress'>>;

const fromNetwork = (...parts: readonly Parts[]): Needs => ({
  egress: 'source',
  env: parts.flatMap(({ env = [] }) => env),
  volumes: parts.flatMap(({ volumes = [] }) => volumes),
  mounts: parts.flatMap(({ mounts = [] }) => mounts),
});

const readOnlyMount = (name: string, mountPath: string) => ({ name, mountPath, readOnly: true });

function authorities(ref: NonNullable<DeepfakeModelSpec['fetch']>['caConfigMapRef']): Parts {
  if (!ref) return {};
  const { name, key } = ref;
  return {
    env: [{ name: 'NODE_EXTRA_CA_CERTS', value: `${CA_PATH}/${key}` }],
    volumes: [{ name: 'ca', configMap: { name, items: [{ key, path: key }] } }],
    mounts: [readOnlyMount('ca', CA_PATH)],
  };
}

const secretVariable = (
  variable: string,
  ref: { readonly name: string; readonly key: string; readonly optional?: boolean } | undefined,
): V1EnvVar[] => (ref ? [{ name: variable, valueFrom: { secretKeyRef: ref } }] : []);

function s3Variables(ref: NonNullable<DeepfakeModelSpec['source']['s3']>['secretRef']): V1EnvVar[] {
  if (!ref) return [];
  const { name, accessKeyIdKey, secretAccessKeyKey, sessionTokenKey } = ref;
  return [
    ...secretVariable('AWS_ACCESS_KEY_ID', { name, key: accessKeyIdKey }),
    ...secretVariable('AWS_SECRET_ACCESS_KEY', { name, key: secretAccessKeyKey }),
    ...secretVariable('AWS_SESSION_TOKEN', { name, key: sessionTokenKey, optional: true }),
  ];
}

function registryCredentials(ref: NonNullable<DeepfakeModelSpec['source']['oci']>['secretRef']): Parts {
  if (!ref) return {};
  const items = [{ key: '.dockerconfigjson', path: 'config.json' }];
  return {
    env: [{ name: 'DOCKER_CONFIG', value: REGISTRY_PATH }],
    volumes: [{ name: 'registry', secret: { secretName: ref.name, items } }],
    mounts: [readOnlyMount('registry', REGISTRY_PATH)],
  };
}
