/** How objects of one kind are found from those of another. */
import { LABEL } from '../../api/names.ts';
import { type KubeObject, keyText } from '../../runtime/object.ts';
import type { DeepfakeModel, Deployment, ModelDeployment, Pod } from '../kinds.ts';
import { claimOf } from './claim-plan.ts';

/** Index of jobs and pods by the model that they fetch, and of deployments by the models that they serve. */
export const BY_MODEL = 'by-model';
export const modelKeyOfChild = ({ metadata }: KubeObject): string[] => {
  const name = metadata.labels?.[LABEL.model];
  return name === undefined ? [] : [keyText({ namespace: metadata.namespace ?? '', name })];
};
export const modelKeysOfDeployment = ({ metadata, spec }: ModelDeployment): string[] =>
  spec.models.map(({ name }) => keyText({ namespace: metadata.namespace ?? '', name }));

/** Index of models by the claims that they want or are served from; of pods and Deployments by those that they mount. */
export const BY_CLAIM = 'by-claim';

export const claimKeysOfModel = ({ metadata, spec, status }: DeepfakeModel): string[] => {
  const names = new Set([claimOf(metadata.name, spec).name, status?.pvc?.claimName]);
  return keysOf(metadata.namespace, names);
};

export const claimKeysOfPod = ({ metadata, spec }: Pod): string[] =>
  keysOf(metadata.namespace, claimsIn(spec?.volumes));

export const claimKeysOfDeployment = ({ metadata, spec }: Deployment): string[] =>
  keysOf(metadata.namespace, claimsIn(spec?.template.spec?.volumes));

type Volumes = NonNullable<Pod['spec']>['volumes'];

/** Names of the claims that pods with these volumes mount. */
export const claimsIn = (volumes: Volumes) =>
  new Set(volumes?.map(({ persistentVolumeClaim }) => persistentVolumeClaim?.claimName));

const keysOf = (namespace = '', names: ReadonlySet<string | undefined>): string[] =>
  [...names].flatMap((name) => (name === undefined ? [] : keyText({ namespace, name })));
