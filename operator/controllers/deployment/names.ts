/** Names and labels of a ModelDeployment's children: functions of its name. */
import { APP_NAME, LABEL, MANAGED_BY, MODEL_DEPLOYMENT } from '../../api/names.ts';
import { controllerReference } from '../../runtime/object.ts';
import type { ModelDeployment } from '../kinds.ts';

/** What serves the version in force: the Deployment of a rolling update; with revisions, a Service and an autoscaler. */
export const STABLE = 'stable';
/** The Service and the autoscaler of the revision that has to prove itself. */
export const CANARY = 'canary';

export const trackName = (deployment: string, track: string = STABLE) => `${deployment}-${track}`;
/** The Deployment of a revision. */
export const revisionName = (deployment: string, revision: string) => `${deployment}-${revision}`;
export const apiKeySecretName = (deployment: string) => `${deployment}-api-key`;

export const commonLabels = (deployment: string) => ({
  [LABEL.name]: APP_NAME,
  [LABEL.instance]: deployment,
  [LABEL.managedBy]: MANAGED_BY,
  [LABEL.modelDeployment]: deployment,
});

/** Pods of every revision. */
export const podSelector = (deployment: string) => ({ [LABEL.modelDeployment]: deployment });
export const revisionSelector = (deployment: string, revision: string) => ({
  ...podSelector(deployment),
  [LABEL.revision]: revision,
});

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
