import type { ModelDeploymentSpec } from '../../api/model-deployment.ts';
import type { Applied } from '../../runtime/object.ts';
import type { ModelDeployment } from '../kinds.ts';
import { childMetadata, ownerReferences, podSelector } from './names.ts';

/** What a node drain may take away of all tracks together. */
export function desiredDisruptionBudget(
  owner: ModelDeployment,
  { disruption }: ModelDeploymentSpec,
): Applied {
  const { name } = owner.metadata;
  const { minAvailable, maxUnavailable = 1 } = disruption ?? {};
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: { ...childMetadata(owner, name), ownerReferences: ownerReferences(owner) },
    spec: {
      selector: { matchLabels: podSelector(name) },
      // A pod that is not ready serves nobody, so it must not keep a node from being drained.
      unhealthyPodEvictionPolicy: 'AlwaysAllow',
      ...(minAvailable === undefined ? { maxUnavailable } : { minAvailable }),
    },
  } as Applied;
}
