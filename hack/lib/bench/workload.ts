/** The objects that the bench makes: fake nodes, volumes, models and ModelDeployments. Pure. */
import { DEEPFAKE_MODEL, MODEL_DEPLOYMENT } from '../../../operator/api/names.ts';
import type { DeepfakeModel, ModelDeployment } from '../../../operator/controllers/kinds.ts';
import type { Kind, KubeObject } from '../../../operator/runtime/object.ts';

export const NAMESPACE_NAME = 'bench';
export const MODEL_COUNT = 50;
const GPUS_PER_NODE = 8;

/** On a ModelDeployment: which of the three kinds of spec it has. */
export const VARIANT_LABEL = 'bench.deepfake-operator.io/variant';
export const VARIANTS = ['cpu', 'gpu', 'autoscaled'] as const;
export type Variant = (typeof VARIANTS)[number];

const clusterKind = (apiVersion: string, kind: string, plural: string): Kind => ({
  apiVersion,
  kind,
  plural,
  namespaced: false,
});
export const CRD = clusterKind(
  'apiextensions.k8s.io/v1',
  'CustomResourceDefinition',
  'customresourcedefinitions',
);
export const NAMESPACE = clusterKind('v1', 'Namespace', 'namespaces');
export const NODE = clusterKind('v1', 'Node', 'nodes');
export const PERSISTENT_VOLUME = clusterKind('v1', 'PersistentVolume', 'persistentvolumes');
export const STORAGE_CLASS = clusterKind('storage.k8s.io/v1', 'StorageClass', 'storageclasses');
export const CLUSTER_ROLE = clusterKind('rbac.authorization.k8s.io/v1', 'ClusterRole', 'clusterroles');
export const BINDING = clusterKind(
  'rbac.authorization.k8s.io/v1',
  'ClusterRoleBinding',
  'clusterrolebindings',
);

const object = ({ apiVersion, kind }: Kind, name: string, rest: object): KubeObject => ({
  apiVersion,
  kind,
  metadata: { name },
  ...rest,
});

const numbered = (prefix: string, index: number, digits: number) =>
  `${prefix}-${String(index).padStart(digits, '0')}`;
const sequence = <T>(count: number, make: (index: number) => T) =>
  Array.from({ length: count }, (_, i) => make(i));

/** Enough accelerators for one pod of every ModelDeployment, and some nodes more. */
export function nodes(deployments: number): KubeObject[] {
  const room = { cpu: '64', memory: '512Gi', pods: '110', 'nvidia.com/gpu': String(GPUS_PER_NODE) };
  return sequence(Math.ceil(deployments / GPUS_PER_NODE) + 4, (index) => {
    const name = numbered('node', index, 4);
    return {
      ...object(NODE, name, { status: { capacity: room, allocatable: room } }),
      metadata: { name, labels: { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux' } },
    };
  });
}

const STORAGE = 'bench';

/** Nothing makes volumes here, so there is one for every model; nobody ever mounts them. */
export function storage(): { readonly storageClass: KubeObject; readonly volumes: KubeObject[] } {
  const storageClass = object(STORAGE_CLASS, STORAGE, {
    provisioner: 'kubernetes.io/no-provisioner',
    volumeBindingMode: 'Immediate',
  });
  const spec = {
    storageClassName: STORAGE,
    capacity: { storage: '1Gi' },
    accessModes: ['ReadWriteMany'],
    nfs: { server: 'nowhere.invalid', path: '/' },
  };
  const volumes = sequence(MODEL_COUNT, (index) =>
    object(PERSISTENT_VOLUME, numbered('volume', index, 3), { spec }),
  );
  return { storageClass, volumes };
}

const modelName = (index: number) => numbered('model', index % MODEL_COUNT, 3);

export function models(): DeepfakeModel[] {
  const spec = {
    source: { builtin: { name: 'image-residual-cnn' } },
    storage: { pvc: { size: '1Gi', storageClassName: STORAGE, accessMode: 'ReadWriteMany' } },
  };
  return sequence(MODEL_COUNT, (index) => ({
    apiVersion: DEEPFAKE_MODEL.apiVersion,
    kind: DEEPFAKE_MODEL.kind,
    metadata: { name: modelName(index), namespace: NAMESPACE_NAME },
    spec: spec as DeepfakeModel['spec'],
  }));
}

const SPECS: Readonly<Record<Variant, object>> = {
  cpu: {},
  gpu: { device: 'cuda', gpu: { resourceName: 'nvidia.com/gpu', count: 1 } },
  autoscaled: { autoscaling: { minReplicas: 1, maxReplicas: 3 } },
};

/** Every second one has a GPU; every tenth, none of those, an autoscaler. */
export const variantOf = (index: number): Variant =>
  index % 2 === 1 ? 'gpu' : index % 10 === 0 ? 'autoscaled' : 'cpu';

export function modelDeployment(name: string, variant: Variant, index: number): ModelDeployment {
  const spec = { models: [{ name: modelName(index) }], ...SPECS[variant] };
  return {
    apiVersion: MODEL_DEPLOYMENT.apiVersion,
    kind: MODEL_DEPLOYMENT.kind,
    metadata: { name, namespace: NAMESPACE_NAME, labels: { [VARIANT_LABEL]: variant } },
    spec: spec as unknown as ModelDeployment['spec'],
  };
}

export const modelDeployments = (count: number): ModelDeployment[] =>
  sequence(count, (index) => modelDeployment(numbered('detector', index, 4), variantOf(index), index));

/** One of each variant. */
export const probes = (): ModelDeployment[] =>
  VARIANTS.map((variant) => modelDeployment(`probe-${variant}`, variant, 0));
