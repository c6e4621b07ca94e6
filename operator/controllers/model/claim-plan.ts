/** Which claim keeps a model's package, and what that claim has to be for all models that share it. Pure. */
import { DEFAULT_CLAIM_SIZE, type DeepfakeModelSpec } from '../../api/deepfake-model.ts';
import { DEEPFAKE_MODEL as KIND, LABEL, MANAGED_BY } from '../../api/names.ts';
import { hashOf } from '../../runtime/apply.ts';
import type { Applied, OwnerReference } from '../../runtime/object.ts';
import type { AccessMode } from '../claims.ts';
import type { DeepfakeModel, PersistentVolumeClaim } from '../kinds.ts';
import type { Problem } from '../problems.ts';

/** A claim of the operator's own, or one that the user names. */
export interface ModelClaim {
  readonly name: string;
  readonly own: boolean;
}

/** A model that keeps its package on a claim. */
export interface Sharer {
  readonly model: DeepfakeModel;
  /** A ModelDeployment names it. */
  readonly used: boolean;
}

export const MODEL_APP_NAME = 'deepfake-model';

export function claimOf(model: string, spec: DeepfakeModelSpec): ModelClaim {
  const named = spec.source.pvc?.claimName ?? spec.storage?.pvc?.existingClaim;
  if (named !== undefined) return { name: named, own: false };
  const name = spec.digest === undefined ? `${model}-weights` : sharedClaimName(spec.digest, spec);
  return { name, own: true };
}

const MODE_SUFFIX: Readonly<Record<AccessMode, string>> = {
  ReadWriteOnce: 'rwo',
  ReadWriteMany: 'rwx',
  ReadOnlyMany: 'rox',
};

/** At most 63 characters; the volume's folder is named by the whole digest. */
function sharedClaimName(digest: string, { storage }: DeepfakeModelSpec): string {
  const { storageClassName, accessMode = 'ReadWriteOnce' } = storage?.pvc ?? {};
  const parts = ['weights', digest.replace('sha256:', '').slice(0, 16), MODE_SUFFIX[accessMode]];
  if (storageClassName !== undefined) {
    const readable = /^[a-z0-9-]{1,30}$/.test(storageClassName);
    parts.push(readable ? storageClassName : hashOf(storageClassName));
  }
  return parts.join('-');
}

const labelsOf = (claim: ModelClaim, { model: { metadata, spec } }: Sharer, retained: boolean) => ({
  [LABEL.name]: MODEL_APP_NAME,
  [LABEL.managedBy]: MANAGED_BY,
  ...(claim.name === `${metadata.name}-weights`
    ? { [LABEL.instance]: metadata.name, [LABEL.model]: metadata.name }
    : { [LABEL.digest]: digestLabel(spec.digest ?? '') }),
  ...(retained ? { [LABEL.retain]: 'true' } : {}),
});

const digestLabel = (digest: string) => digest.replace('sha256:', '').slice(0, 63);

export interface ClaimSize {
  /** The largest that any sharer asks for, or what the claim has where it cannot shrink. */
  readonly size: string;
  readonly refused?: Problem;
}

export function claimSize(sharers: readonly Sharer[], live: PersistentVolumeClaim | undefined): ClaimSize {
  const asked = sharers
    .map(({ model }) => model.spec.storage?.pvc?.size ?? DEFAULT_CLAIM_SIZE)
    .reduce((largest, size) => (bytesOf(size) > bytesOf(largest) ? size : largest));
  const has = sizeOf(live);
  if (has === undefined || bytesOf(asked) > bytesOf(has)) return { size: asked };
  if (bytesOf(asked) === bytesOf(has)) return { size: has };
  const message = `PersistentVolumeClaim ${live?.metadata.name} keeps its ${has} although ${asked} are asked for: claims cannot shrink`;
  return { size: has, refused: { reason: 'ClaimCannotShrink', message } };
}

export const sizeOf = (live: PersistentVolumeClaim | undefined): string | undefined =>
  live?.spec?.resources?.requests?.['storage'];

/**
 * The same whichever sharer asks. Claims that are retained have no owner and so outlive their models. Nor have those in use: a
 * foreground deletion takes what is owned away at once, whatever holds the owner.
 */
export function desiredClaim(
  claim: ModelClaim,
  sharers: readonly [Sharer, ...Sharer[]],
  size: string,
  live: PersistentVolumeClaim | undefined,
): Applied {
  const [first] = sharers;
  const { namespace } = first.model.metadata;
  const { storageClassName, accessMode = 'ReadWriteOnce' } = first.model.spec.storage?.pvc ?? {};
  const retained = sharers.some(({ model }) => model.spec.storage?.pvc?.retain === true);
  const held = retained || sharers.some(({ used }) => used);
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {
      name: claim.name,
      ...(namespace === undefined ? {} : { namespace }),
      labels: labelsOf(claim, first, retained),
      ownerReferences: held ? [] : owners(sharers, live?.metadata.ownerReferences ?? []),
    },
    spec: {
      accessModes: accessMode === 'ReadOnlyMany' ? ['ReadWriteOnce', 'ReadOnlyMany'] : [accessMode],
      resources: { requests: { storage: size } },
      ...(storageClassName === undefined ? {} : { storageClassName }),
    },
  } as Applied;
}

/** In the order in which the claim has them already, so that equal sets are equal lists. A model that goes owns nothing more. */
function owners(sharers: readonly Sharer[], before: readonly OwnerReference[]): OwnerReference[] {
  const place = ({ uid }: OwnerReference) => {
    const index = before.findIndex((owner) => owner.uid === uid);
    return index === -1 ? before.length : index;
  };
  return sharers
    .filter(({ model }) => model.metadata.deletionTimestamp === undefined)
    .map(({ model }) => ownerReference(model))
    .sort((a, b) => place(a) - place(b) || (a.name < b.name ? -1 : 1));
}

function ownerReference({ metadata: { name, uid = '' } }: DeepfakeModel): OwnerReference {
  return { apiVersion: KIND.apiVersion, kind: KIND.kind, name, uid };
}

/** Whether a claim of that name was made for these models, and not by somebody else. */
export function isClaimOf(live: PersistentVolumeClaim, sharers: readonly Sharer[]): boolean {
  const labels = live.metadata.labels ?? {};
  return sharers.some(
    ({ model: { metadata, spec } }) =>
      live.metadata.ownerReferences?.some(({ uid }) => uid === metadata.uid) ||
      labels[LABEL.model] === metadata.name ||
      (spec.digest !== undefined && labels[LABEL.digest] === digestLabel(spec.digest)),
  );
}

/** How pods may mount a claim, by what it asks for itself; undefined where its modes let only one pod in. */
export function accessModeOfClaim({ spec }: PersistentVolumeClaim): AccessMode | undefined {
  const modes = spec?.accessModes ?? [];
  if (modes.includes('ReadWriteMany')) return 'ReadWriteMany';
  if (modes.includes('ReadOnlyMany')) return 'ReadOnlyMany';
  return modes.includes('ReadWriteOnce') ? 'ReadWriteOnce' : undefined;
}

const DECIMAL = ['', 'k', 'M', 'G', 'T', 'P', 'E'];

/** Bytes of a Kubernetes quantity, rounded down; the API server has checked its form. */
export function bytesOf(quantity: string): number {
  const [, digits = '0', unit = ''] = /^\+?([0-9.]+(?:[eE][+-]?[0-9]+)?)([a-zA-Z]*)$/.exec(quantity) ?? [];
  if (unit === 'm') return Math.floor(Number(digits) / 1000);
  const power = DECIMAL.indexOf(unit.replace(/i$/, '').replace('K', 'k'));
  return Math.floor(Number(digits) * (unit.endsWith('i') ? 1024 : 1000) ** Math.max(power, 0));
}
