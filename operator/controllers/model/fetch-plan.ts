/** What has to be fetched for a DeepfakeModel, and the objects that do it. Pure. */
import { DEFAULT_CLAIM_SIZE, type DeepfakeModelSpec } from '../../api/deepfake-model.ts';
import { DEEPFAKE_MODEL as KIND, LABEL, MANAGED_BY } from '../../api/names.ts';
import { hashOf } from '../../runtime/apply.ts';
import { type Applied, controllerReference } from '../../runtime/object.ts';
import type { DeepfakeModel } from '../kinds.ts';
import {
  containerSecurityContext,
  type InferenceImage,
  imagePullSecrets,
  podSecurityContext,
} from '../pods.ts';

/** Attempts may resume, so a deadline costs little and a hung download cannot last for ever. */
const ATTEMPT_DEADLINE_S = 3600;
/** Finished Jobs are only kept for people to look at. */
const JOB_TTL_S = 3600;
const VOLUME_PATH = '/models';

/** A claim of the operator's own, or one that the user names. */
export interface ModelClaim {
  readonly name: string;
  readonly own: boolean;
}

export function claimOf(model: string, { source, storage }: DeepfakeModelSpec): ModelClaim {
  const named = source.pvc?.claimName ?? storage?.pvc?.existingClaim;
  return named === undefined ? { name: `${model}-weights`, own: true } : { name: named, own: false };
}

/**
 * Changes with everything that the outcome depends on: another id is another fetch. A claim that was made anew has a new
 * uid. A builtin package without a digest is whatever the image holds, so it is fetched again with every image.
 */
export function fetchId(
  spec: DeepfakeModelSpec,
  claim: ModelClaim,
  claimUid: string | undefined,
  image: InferenceImage,
): string {
  const floating = spec.source.builtin && spec.digest === undefined;
  return hashOf({
    source: spec.source,
    digest: spec.digest,
    version: spec.version,
    modality: spec.modality,
    claim: claim.name,
    claimUid: claim.own ? claimUid : undefined,
    image: floating ? image.name : undefined,
  });
}

export const jobName = (model: string, id: string, attempt: number) => `${model}-fetch-${id}-${attempt}`;

const labelsOf = (model: string) => ({
  [LABEL.name]: 'deepfake-model',
  [LABEL.instance]: model,
  [LABEL.managedBy]: MANAGED_BY,
  [LABEL.model]: model,
});

/**
 * The claim for packages of this model. Retained ones have no owner and so outlive it. Nor have those in use: a foreground
 * deletion takes what is owned away at once, whatever holds the owner.
 */
export function desiredClaim(
  model: DeepfakeModel,
  spec: DeepfakeModelSpec,
  claim: ModelClaim,
  used: boolean,
): Applied {
  const {
    size = DEFAULT_CLAIM_SIZE,
    storageClassName,
    accessMode = 'ReadWriteOnce',
    retain,
  } = spec.storage?.pvc ?? {};
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {
      ...identity(model, claim.name),
      ownerReferences: retain || used ? [] : [controllerReference(KIND, model)],
    },
    spec: {
      accessModes: [accessMode],
      resources: { requests: { storage: size } },
      ...(storageClassName === undefined ? {} : { storageClassName }),
    },
  } as Applied;
}

/** One attempt. It is never retried by Kubernetes: the operator knows from the reason how soon a retry makes sense. */
export function desiredJob(
  model: DeepfakeModel,
  spec: DeepfakeModelSpec,
  { claim, id, attempt, image }: { claim: ModelClaim; id: string; attempt: number; image: InferenceImage },
): Applied {
  const labels = { ...labelsOf(model.metadata.name), [LABEL.fetch]: id };
  const inPlace = spec.source.pvc !== undefined;
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      ...identity(model, jobName(model.metadata.name, id, attempt)),
      labels,
      ownerReferences: [controllerReference(KIND, model)],
    },
    spec: {
      backoffLimit: 0,
      activeDeadlineSeconds: ATTEMPT_DEADLINE_S,
      ttlSecondsAfterFinished: JOB_TTL_S,
      template: {
        metadata: { labels },
        spec: {
          restartPolicy: 'Never',
          ...imagePullSecrets(image),
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          securityContext: podSecurityContext,
          containers: [
            {
              name: 'fetch',
              image: image.name,
              imagePullPolicy: image.pullPolicy,
              command: ['node', 'inference/main.ts', 'fetch'],
              args: fetchArguments(spec),
              ...environment(spec),
              resources: { requests: { cpu: '100m', memory: '256Mi' }, limits: { memory: '1Gi' } },
              securityContext: containerSecurityContext,
              terminationMessagePolicy: 'FallbackToLogsOnError',
              volumeMounts: [
                { name: 'models', mountPath: VOLUME_PATH, readOnly: inPlace },
                { name: 'tmp', mountPath: '/tmp' },
              ],
            },
          ],
          volumes: [
            { name: 'models', persistentVolumeClaim: { claimName: claim.name, readOnly: inPlace } },
            { name: 'tmp', emptyDir: { sizeLimit: '64Mi' } },
          ],
        },
      },
    },
  } as Applied;
}

function fetchArguments({ source, digest, storage }: DeepfakeModelSpec): string[] {
  const { builtin, http, pvc } = source;
  const described = builtin ? { builtin } : http ? { http: { url: http.url } } : { pvc: { path: pvc?.path } };
  const size = storage?.pvc?.existingClaim ? undefined : (storage?.pvc?.size ?? DEFAULT_CLAIM_SIZE);
  return [
    `--source=${JSON.stringify(described)}`,
    `--destination=${VOLUME_PATH}`,
    ...(digest === undefined ? [] : [`--digest=${digest}`]),
    ...(size === undefined || pvc ? [] : [`--max-bytes=${bytesOf(size)}`]),
  ];
}

function environment({ source }: DeepfakeModelSpec) {
  const secret = source.http?.secretRef;
  return secret ? { env: [{ name: 'SOURCE_AUTHORIZATION', valueFrom: { secretKeyRef: secret } }] } : {};
}

function identity({ metadata }: DeepfakeModel, name: string) {
  const { namespace } = metadata;
  return { name, ...(namespace === undefined ? {} : { namespace }), labels: labelsOf(metadata.name) };
}

const DECIMAL = ['', 'k', 'M', 'G', 'T', 'P', 'E'];

/** Bytes of a Kubernetes quantity, rounded down; the API server has checked its form. */
export function bytesOf(quantity: string): number {
  const [, digits = '0', unit = ''] = /^\+?([0-9.]+(?:e[0-9]+)?)([a-zA-Z]*)$/.exec(quantity) ?? [];
  if (unit === 'm') return Math.floor(Number(digits) / 1000);
  const power = DECIMAL.indexOf(unit.replace(/i$/, '').replace('K', 'k'));
  return Math.floor(Number(digits) * (unit.endsWith('i') ? 1024 : 1000) ** Math.max(power, 0));
}
