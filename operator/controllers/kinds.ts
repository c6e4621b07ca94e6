/** The kinds that the controllers read and write, as they travel. */
import type {
  V1Deployment,
  V1Job,
  V1NetworkPolicy,
  V1Node,
  V1PersistentVolumeClaim,
  V1Pod,
  V1PodDisruptionBudget,
  V1ReplicaSet,
  V1Secret,
  V1Service,
  V2HorizontalPodAutoscaler,
} from '@kubernetes/client-node';
import type { DeepfakeModelSpec, DeepfakeModelStatus } from '../api/deepfake-model.ts';
import type { ModelDeploymentSpec, ModelDeploymentStatus } from '../api/model-deployment.ts';
import { MODEL_DEPLOYMENT as DEPLOYER, DEEPFAKE_MODEL as MODEL } from '../api/names.ts';
import type { Condition } from '../runtime/conditions.ts';
import type { Kind, KubeObject, Raw } from '../runtime/object.ts';

export interface DeepfakeModel extends KubeObject {
  readonly spec: DeepfakeModelSpec;
  readonly status?: DeepfakeModelStatus;
}
export interface ModelDeployment extends KubeObject {
  readonly spec: ModelDeploymentSpec;
  readonly status?: ModelDeploymentStatus;
}
export type Deployment = Raw<V1Deployment>;
/** Of the Gateway API: what is read and written of a rule; all else is passed on as it came. */
export interface HttpRouteRule {
  readonly name?: string;
  readonly matches?: readonly { readonly headers?: readonly object[]; readonly path?: object }[];
  readonly filters?: readonly {
    readonly type: string;
    readonly requestMirror?: { readonly backendRef: RouteBackend; readonly percent?: number };
  }[];
  readonly backendRefs?: readonly (RouteBackend & { readonly weight?: number })[];
}
export interface RouteBackend {
  readonly group?: string;
  readonly kind?: string;
  readonly namespace?: string;
  readonly name: string;
  readonly port?: number;
}
export interface HttpRoute extends KubeObject {
  readonly spec?: { readonly parentRefs?: readonly object[]; readonly rules?: readonly HttpRouteRule[] };
  readonly status?: {
    readonly parents?: readonly {
      readonly parentRef?: { readonly name?: string };
      readonly conditions?: readonly Condition[];
    }[];
  };
}
export type HorizontalPodAutoscaler = Raw<V2HorizontalPodAutoscaler>;
export type Job = Raw<V1Job>;
export type NetworkPolicy = Raw<V1NetworkPolicy>;
export type PersistentVolumeClaim = Raw<V1PersistentVolumeClaim>;
export type Node = Raw<V1Node>;
export type Pod = Raw<V1Pod>;
export type PodDisruptionBudget = Raw<V1PodDisruptionBudget>;
/** Of Prometheus Operator. Read as any object: nothing of its spec is looked at. */
export type PodMonitor = KubeObject;
export type ReplicaSet = Raw<V1ReplicaSet>;
export type Secret = Raw<V1Secret>;
export type Service = Raw<V1Service>;

const namespacedKind = <T extends KubeObject>(apiVersion: string, kind: string, plural: string): Kind<T> => ({
  apiVersion,
  kind,
  plural,
  namespaced: true,
});

export const DEEPFAKE_MODEL: Kind<DeepfakeModel> = MODEL;
export const MODEL_DEPLOYMENT: Kind<ModelDeployment> = DEPLOYER;
export const DEPLOYMENT = namespacedKind<Deployment>('apps/v1', 'Deployment', 'deployments');
export const HPA = namespacedKind<HorizontalPodAutoscaler>(
  'autoscaling/v2',
  'HorizontalPodAutoscaler',
  'horizontalpodautoscalers',
);
export const HTTP_ROUTE = namespacedKind<HttpRoute>(
  'gateway.networking.k8s.io/v1',
  'HTTPRoute',
  'httproutes',
);
export const JOB = namespacedKind<Job>('batch/v1', 'Job', 'jobs');
export const NETWORK_POLICY = namespacedKind<NetworkPolicy>(
  'networking.k8s.io/v1',
  'NetworkPolicy',
  'networkpolicies',
);
export const NODE: Kind<Node> = { apiVersion: 'v1', kind: 'Node', plural: 'nodes', namespaced: false };
export const PVC = namespacedKind<PersistentVolumeClaim>(
  'v1',
  'PersistentVolumeClaim',
  'persistentvolumeclaims',
);
export const POD = namespacedKind<Pod>('v1', 'Pod', 'pods');
export const PDB = namespacedKind<PodDisruptionBudget>(
  'policy/v1',
  'PodDisruptionBudget',
  'poddisruptionbudgets',
);
export const POD_MONITOR = namespacedKind<PodMonitor>(
  'monitoring.coreos.com/v1',
  'PodMonitor',
  'podmonitors',
);
export const REPLICA_SET = namespacedKind<ReplicaSet>('apps/v1', 'ReplicaSet', 'replicasets');
export const RESOURCE_CLAIM = namespacedKind('resource.k8s.io/v1', 'ResourceClaim', 'resourceclaims');
export const RESOURCE_CLAIM_TEMPLATE = namespacedKind(
  'resource.k8s.io/v1',
  'ResourceClaimTemplate',
  'resourceclaimtemplates',
);
export const SECRET = namespacedKind<Secret>('v1', 'Secret', 'secrets');
export const SERVICE = namespacedKind<Service>('v1', 'Service', 'services');
