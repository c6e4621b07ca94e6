import { randomBytes } from 'node:crypto';
import type { ModelDeployment, Secret } from '../kinds.ts';
import { apiKeySecretName, childMetadata, ownerReferences } from './names.ts';

/**
 * A Secret with a random key, for a ModelDeployment that names none: pods are never open. It is only ever created, so the
 * operator needs no right to read Secrets and never rotates a key. For the same reason one of that name that is there
 * already is taken as it is: it cannot be told from one that was made before a restart.
 */
export function newApiKeySecret(owner: ModelDeployment): Secret {
  const key = randomBytes(24).toString('base64url');
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      ...childMetadata(owner, apiKeySecretName(owner.metadata.name)),
      ownerReferences: ownerReferences(owner),
    },
    type: 'Opaque',
    data: { 'api-key': Buffer.from(key).toString('base64') },
  } as Secret;
}
