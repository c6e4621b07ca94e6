/** Names and labels of a ModelDeployment's children: functions of its name. */
import { APP_NAME, LABEL, MANAGED_BY, MODEL_DEPLOYMENT } from '../../api/names.ts';
import { controllerReference } from '../../runtime/object.ts';
import type { ModelDeployment } from '../kinds.ts';

/** Pods that serve the version in force. (A canary will be a track of its own.) */
export const STABLE = 'stable';

export const trackName = (deployment: string, track = STABLE) => `${deployment}-${track}`;
export const apiKeySecretName = (deployment: string) => `${deployment}-api-key`;

export const commonLabels = (deployment: string) => ({
  [LABEL.name]: APP_NAME,
  [LABEL.instance]: deployment,
  [LABEL.managedBy]: MANAGED_BY,
  [LABEL.modelDeployment]: deployment,
});

/** Pods of every track. */
export const podSelector = (deployment: string) => ({ [LABEL.modelDeployment]: deployment });

export function childMetadata(
  { metadata }: ModelDeployment,
  name: string,
  labels: Readonly<Record<string, string>> = {},
) {
  return {
    name,
    ...(metadata.namespace === undefined ? {} : { namespace: metadata.namespace }),
    labels: { ...labels, ...commonLabels(metadata.name) },
  };
}

export const ownerReferences = (owner: ModelDeployment) => [controllerReference(MODEL_DEPLOYMENT, owner)];
