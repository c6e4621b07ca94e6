/** Names that users, children and the chart share. Changing one is a breaking change. */
export const GROUP = 'deepfake-operator.io';
export const VERSION = 'v1alpha1';
export const API_VERSION = `${GROUP}/${VERSION}`;

/** Owns the fields of children; the status subresource has a manager of its own. */
export const FIELD_MANAGER = 'deepfake-operator';
export const STATUS_FIELD_MANAGER = 'deepfake-operator-status';

/** Holds a DeepfakeModel for as long as a ModelDeployment names it. */
export const IN_USE_FINALIZER = `${GROUP}/in-use`;

/** On every child: a hash of what was last applied. */
export const APPLIED_HASH_ANNOTATION = `${GROUP}/applied-hash`;

export const LABEL = {
  name: 'app.kubernetes.io/name',
  instance: 'app.kubernetes.io/instance',
  managedBy: 'app.kubernetes.io/managed-by',
  modelDeployment: `${GROUP}/model-deployment`,
  model: `${GROUP}/model`,
  track: `${GROUP}/track`,
  revision: `${GROUP}/revision`,
  fetch: `${GROUP}/fetch`,
  /** Of Jobs and pods that compare the revisions of a ModelDeployment: its name. They serve nothing, so they carry no `modelDeployment`. */
  probe: `${GROUP}/probe`,
  /** Of a claim: the first 63 digits of the digest whose package lies there. */
  digest: `${GROUP}/digest`,
  /** Of a claim: `true` where it outlives its models. */
  retain: `${GROUP}/retain`,
  /** Of fetch and probe pods: `none`, `source`, or `deployment` (the serving pods alone), for NetworkPolicies. */
  egress: `${GROUP}/egress`,
} as const;

export const MANAGED_BY = 'deepfake-operator';
export const APP_NAME = 'deepfake-inference';
/** Every child carries it, so that one selector finds all of them. */
export const MANAGED_SELECTOR = `${LABEL.managedBy}=${MANAGED_BY}`;

export const DEEPFAKE_MODEL = {
  apiVersion: API_VERSION,
  kind: 'DeepfakeModel',
  plural: 'deepfakemodels',
  namespaced: true,
} as const;

export const MODEL_DEPLOYMENT = {
  apiVersion: API_VERSION,
  kind: 'ModelDeployment',
  plural: 'modeldeployments',
  namespaced: true,
} as const;
