/** The Job that has labelled media judged by both revisions. Pure. */
import type { V1Container, V1EnvVar, V1PodTemplateSpec, V1Volume } from '@kubernetes/client-node';
import type { ModelDeploymentSpec } from '../../api/model-deployment.ts';
import { LABEL, MANAGED_BY, MODEL_DEPLOYMENT } from '../../api/names.ts';
import type { Metric } from '../../api/rollout/analysis.ts';
import { claimVolume, placeByClaims } from '../../controllers/claims.ts';
import { apiKeyOf } from '../../controllers/deployment/auth.ts';
import type { Job, ModelDeployment } from '../../controllers/kinds.ts';
import {
  containerSecurityContext,
  type InferenceImage,
  imagePullSecrets,
  podSecurityContext,
} from '../../controllers/pods.ts';
import { hashOf } from '../../runtime/apply.ts';
import { controllerReference, type KubeObject, keyText } from '../../runtime/object.ts';

export type ProbeSet = NonNullable<Metric['probeSet']>;

export const PROBE_CONTAINER = 'probe';
const PROBE_APP_NAME = 'deepfake-probe';
const MEDIA_PATH = '/media';
const DEFAULT_TIMEOUT_S = 600;
/** From the end of the probe's own patience to the Job's, s: enough to say so. */
const LAST_WORDS_S = 5;
/** Finished Jobs are only kept for people to look at. */
const JOB_TTL_S = 3600;
/** Of media that are downloaded and unpacked. */
const DOWNLOAD_SIZE = '10Gi';

export interface ProbeInput {
  readonly owner: ModelDeployment;
  readonly spec: ModelDeploymentSpec;
  readonly metric: string;
  readonly probeSet: ProbeSet;
  /** See `probeJobName`. */
  readonly name: string;
  /** Where the services of the revisions answer. */
  readonly canaryUrl: string;
  /** undefined: there is no stable revision, and the canary is measured alone. */
  readonly stableUrl: string | undefined;
  readonly image: InferenceImage;
}

/** Which measurement it is: a function of what status remembers, so that a pass that died half-way finds the Job that it made. */
export interface ProbeIdentity {
  readonly revision: string;
  readonly analysis: string;
  readonly analysisStartedAt: string;
  readonly metric: string;
  /** How many measurements ended before. */
  readonly taken: number;
}

export const probeJobName = ({ metadata }: ModelDeployment, identity: ProbeIdentity) =>
  `${metadata.name}-p${hashOf(identity)}`;

/** Keys of the ModelDeployment that a probe's Job or pod is about, for an index. */
export const probeKeysOf = ({ metadata }: KubeObject): string[] => {
  const name = metadata.labels?.[LABEL.probe];
  return name === undefined ? [] : [keyText({ namespace: metadata.namespace ?? '', name })];
};

/** It is never retried by Kubernetes: every attempt is a measurement. */
export function desiredProbeJob(input: ProbeInput): Job {
  const { owner, name, metric, probeSet } = input;
  const { name: deployment, namespace } = owner.metadata;
  const labels = {
    [LABEL.name]: PROBE_APP_NAME,
    [LABEL.instance]: deployment,
    [LABEL.managedBy]: MANAGED_BY,
    [LABEL.probe]: deployment,
  };
  const template = podTemplate(input, {
    ...labels,
    // Media by URL may lie anywhere.
    [LABEL.egress]: probeSet.http ? 'source' : 'deployment',
  });
  const job = {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name,
      ...(namespace === undefined ? {} : { namespace }),
      labels,
      annotations: { [`${LABEL.probe}-metric`]: metric },
      ownerReferences: [controllerReference(MODEL_DEPLOYMENT, owner)],
    },
    spec: {
      backoffLimit: 0,
      activeDeadlineSeconds: timeoutOf(probeSet),
      ttlSecondsAfterFinished: JOB_TTL_S,
      template,
    },
  };
  return job as unknown as Job;
}

const timeoutOf = ({ timeoutSeconds = DEFAULT_TIMEOUT_S }: ProbeSet) => timeoutSeconds;

/** The model that a metric is about. */
export const modelOf = ({ model }: { readonly model?: string | undefined }, spec: ModelDeploymentSpec) =>
  model ?? spec.models[0]?.name ?? '';

function podTemplate(input: ProbeInput, labels: Record<string, string>) {
  const { owner, spec, probeSet, canaryUrl, stableUrl, image } = input;
  const apiKey: V1EnvVar = {
    name: 'API_KEY',
    valueFrom: { secretKeyRef: apiKeyOf(owner.metadata.name, spec) },
  };
  const media = mediaVolume(probeSet);
  const container: V1Container = {
    name: PROBE_CONTAINER,
    image: image.name,
    imagePullPolicy: image.pullPolicy,
    command: ['node', 'inference/main.ts', 'probe'],
    args: [
      `--canary=${canaryUrl}`,
      ...(stableUrl === undefined ? [] : [`--stable=${stableUrl}`]),
      ...mediaArguments(probeSet),
      `--model=${modelOf(probeSet, spec)}`,
      `--timeout-seconds=${Math.max(1, timeoutOf(probeSet) - LAST_WORDS_S)}`,
      '--result=/dev/termination-log',
    ],
    env: [apiKey],
    resources: { requests: { cpu: '100m', memory: '256Mi' }, limits: { memory: '1Gi' } },
    securityContext: containerSecurityContext as unknown as NonNullable<V1Container['securityContext']>,
    terminationMessagePolicy: 'FallbackToLogsOnError',
    volumeMounts: [
      ...(media ? [{ name: media.name, mountPath: MEDIA_PATH, readOnly: true }] : []),
      { name: 'tmp', mountPath: '/tmp' },
    ],
  };
  const pod: NonNullable<V1PodTemplateSpec['spec']> = {
    restartPolicy: 'Never',
    ...imagePullSecrets(image),
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    securityContext: podSecurityContext,
    containers: [container],
    volumes: [
      ...(media ? [media] : []),
      { name: 'tmp', emptyDir: { sizeLimit: probeSet.http ? DOWNLOAD_SIZE : '64Mi' } },
    ],
  };
  const claims = probeSet.pvc ? [{ claimName: probeSet.pvc.claimName, readOnly: true }] : [];
  return placeByClaims({ metadata: { labels }, spec: pod }, claims);
}

function mediaVolume({ configMap, pvc }: ProbeSet): V1Volume | undefined {
  if (configMap) return { name: 'media', configMap: { name: configMap.name } };
  return pvc ? claimVolume('media', { claimName: pvc.claimName, readOnly: true }) : undefined;
}

function mediaArguments({ pvc, http }: ProbeSet): string[] {
  if (http) return [`--media-url=${http.url}`, `--media-digest=${http.digest}`];
  const path = pvc?.path?.replace(/^\/+|\/+$/g, '') ?? '';
  return [`--media=${path === '' ? MEDIA_PATH : `${MEDIA_PATH}/${path}`}`];
}
