/**
 * Every right that reconciling needs, and no other. The chart's roles and the integration tests use the same list. The Lease
 * of leader election is named after the release, so its Role is written in the chart.
 */
import { GROUP } from './api/names.ts';

export interface PolicyRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

const READ = ['get', 'list', 'watch'];
/** Server-side apply creates and patches. */
const APPLY = [...READ, 'create', 'patch'];

/** In every watched namespace, or in the cluster. */
export const RECONCILE_RULES: readonly PolicyRule[] = [
  { apiGroups: [GROUP], resources: ['deepfakemodels'], verbs: [...READ, 'patch'] },
  { apiGroups: [GROUP], resources: ['modeldeployments'], verbs: READ },
  { apiGroups: [GROUP], resources: ['deepfakemodels/status', 'modeldeployments/status'], verbs: ['patch'] },
  // Clusters that enforce owner reference permissions ask for this when a child blocks its owner's deletion.
  {
    apiGroups: [GROUP],
    resources: ['deepfakemodels/finalizers', 'modeldeployments/finalizers'],
    verbs: ['update'],
  },
  { apiGroups: [''], resources: ['pods'], verbs: ['list', 'watch'] },
  { apiGroups: [''], resources: ['persistentvolumeclaims'], verbs: [...APPLY, 'delete'] },
  { apiGroups: [''], resources: ['services'], verbs: [...APPLY, 'delete'] },
  // Create only: the operator makes API keys and never reads a Secret.
  { apiGroups: [''], resources: ['secrets'], verbs: ['create'] },
  // Of revisions that are no longer kept.
  { apiGroups: ['apps'], resources: ['deployments'], verbs: [...APPLY, 'delete'] },
  // An older one may make pods that mount a claim which nothing else mounts.
  { apiGroups: ['apps'], resources: ['replicasets'], verbs: ['list'] },
  { apiGroups: ['autoscaling'], resources: ['horizontalpodautoscalers'], verbs: [...APPLY, 'delete'] },
  { apiGroups: ['batch'], resources: ['jobs'], verbs: [...READ, 'create', 'delete'] },
  { apiGroups: ['networking.k8s.io'], resources: ['networkpolicies'], verbs: [...APPLY, 'delete'] },
  // Of the Gateway API, where a cluster has it.
  { apiGroups: ['gateway.networking.k8s.io'], resources: ['httproutes'], verbs: [...APPLY, 'delete'] },
  // Of Prometheus Operator, where a cluster has it.
  { apiGroups: ['monitoring.coreos.com'], resources: ['podmonitors'], verbs: [...APPLY, 'delete'] },
  // To tell that what a ModelDeployment names is not there.
  {
    apiGroups: ['resource.k8s.io'],
    resources: ['resourceclaims', 'resourceclaimtemplates'],
    verbs: ['get'],
  },
  { apiGroups: ['policy'], resources: ['poddisruptionbudgets'], verbs: APPLY },
  // Some things that keep a fetch from beginning are told in events alone.
  { apiGroups: ['events.k8s.io'], resources: ['events'], verbs: ['create', 'list', 'patch'] },
];

/**
 * How many accelerators are free is a question about the whole cluster, so it is only asked where the operator watches all of
 * it; pods it may list there anyway.
 */
export const CLUSTER_RULES: readonly PolicyRule[] = [
  { apiGroups: [''], resources: ['nodes'], verbs: ['list'] },
];
