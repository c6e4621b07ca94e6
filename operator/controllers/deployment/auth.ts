import { randomBytes } from 'node:crypto';
import type { ModelDeploymentSpec, ModelDeploymentStatus } from '../../api/model-deployment.ts';
import { GROUP } from '../../api/names.ts';
import type { KubeClient } from '../../runtime/client.ts';
import { isConflict } from '../../runtime/errors.ts';
import { type Deployment, type ModelDeployment, SECRET, type Secret } from '../kinds.ts';
import { type Problem, refused } from '../problems.ts';
import { apiKeySecretName, childMetadata, ownerReferences } from './names.ts';

const KEY = 'api-key';

/** Where pods find the accepted keys. */
export const apiKeyOf = (name: string, spec: ModelDeploymentSpec) =>
  spec.auth?.secretRef ?? { name: apiKeySecretName(name), key: KEY };

type AuthSecret = ModelDeploymentStatus['authSecret'];

/** The same, where it is known that the Secret is the user's or our own. */
export function knownApiKey({ metadata, status }: ModelDeployment, spec: ModelDeploymentSpec): AuthSecret {
  const key = apiKeyOf(metadata.name, spec);
  if (spec.auth) return key;
  return status?.authSecret?.name === key.name ? status.authSecret : undefined;
}

/** For the pods' annotations: pods that began with a key that is gone must not serve beside those of the new one. */
export function apiKeyAnnotations(owner: ModelDeployment, spec: ModelDeploymentSpec): Record<string, string> {
  const { renewedAt } = knownApiKey(owner, spec) ?? {};
  return renewedAt === undefined ? {} : { [`${GROUP}/api-key-renewed-at`]: renewedAt };
}

export interface KeyContext {
  readonly client: KubeClient;
  readonly owner: ModelDeployment;
  readonly spec: ModelDeploymentSpec;
  readonly live: Pick<Deployment, 'status'> | undefined;
  readonly signal: AbortSignal;
  /** Keeps in status that the Secret is the owner's, and whether its key is another one than pods began with. */
  readonly remember: (renewed: boolean) => Promise<void>;
}

/**
 * Makes a Secret with a random key for a ModelDeployment that names none: pods are never open. The operator has no right to
 * read Secrets, so it cannot ask whose one is. Instead it notes in status.authSecret that the name is its own before it
 * creates the Secret, and only if nobody had one of that name by then.
 */
export async function ensureApiKey(context: KeyContext): Promise<Problem | undefined> {
  const { client, owner, spec, live, signal, remember } = context;
  if (spec.auth) return undefined;
  const secret = newApiKeySecret(owner);
  const { name } = secret.metadata;
  const isOurs = knownApiKey(owner, spec) !== undefined;
  if (isOurs && allPodsRun(live)) return undefined;
  try {
    await client.tryCreate(SECRET, secret, signal);
    await remember(isOurs && live !== undefined);
    await client.create(SECRET, secret, signal);
    return undefined;
  } catch (error) {
    if (!isConflict(error)) return refused('Secret', name, error);
    return isOurs ? undefined : foreignSecret(name);
  }
}

/** They have their key; when they do not run, one that was deleted is noticed. */
function allPodsRun(live: Pick<Deployment, 'status'> | undefined): boolean {
  const { availableReplicas = 0, replicas = 0 } = live?.status ?? {};
  return replicas > 0 && availableReplicas >= replicas;
}

const foreignSecret = (name: string): Problem => ({
  reason: 'OwnershipConflict',
  message: `Secret ${name} was there before: name it in spec.auth.secretRef to use its keys, or delete it and a new one is made`,
});

function newApiKeySecret(owner: ModelDeployment): Secret {
  const key = randomBytes(24).toString('base64url');
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      ...childMetadata(owner, apiKeySecretName(owner.metadata.name)),
      ownerReferences: ownerReferences(owner),
    },
    type: 'Opaque',
    data: { [KEY]: Buffer.from(key).toString('base64') },
  } as Secret;
}
