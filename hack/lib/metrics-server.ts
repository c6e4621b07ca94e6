/** metrics-server as a Deployment, for clusters that run it in a pod. */
import { metricsApiService } from './node-config.ts';
import { pinnedVersions } from './toolchain.ts';

const NAME = 'metrics-server';
const NAMESPACE = 'kube-system';
const PORT = 10250;

export function metricsServerObjects(): object[] {
  const metadata = { name: NAME, namespace: NAMESPACE, labels: { 'k8s-app': NAME } };
  const subjects = [{ kind: 'ServiceAccount', name: NAME, namespace: NAMESPACE }];
  const rbac = 'rbac.authorization.k8s.io';
  const bind = (kind: string, name: string, role: string, roleKind: string, namespace?: string) => ({
    apiVersion: `${rbac}/v1`,
    kind,
    metadata: { name, ...(namespace === undefined ? {} : { namespace }) },
    roleRef: { apiGroup: rbac, kind: roleKind, name: role },
    subjects,
  });
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata },
    {
      apiVersion: `${rbac}/v1`,
      kind: 'ClusterRole',
      metadata: { name: `system:${NAME}` },
      rules: [
        { apiGroups: [''], resources: ['nodes/metrics'], verbs: ['get'] },
        { apiGroups: [''], resources: ['pods', 'nodes'], verbs: ['get', 'list', 'watch'] },
      ],
    },
    bind('ClusterRoleBinding', `system:${NAME}`, `system:${NAME}`, 'ClusterRole'),
    bind('ClusterRoleBinding', `${NAME}:system:auth-delegator`, 'system:auth-delegator', 'ClusterRole'),
    bind(
      'RoleBinding',
      `${NAME}-auth-reader`,
      'extension-apiserver-authentication-reader',
      'Role',
      NAMESPACE,
    ),
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: { selector: { 'k8s-app': NAME }, ports: [{ name: 'https', port: 443, targetPort: PORT }] },
    },
    { apiVersion: 'apps/v1', kind: 'Deployment', metadata, spec: deploymentSpec() },
    metricsApiService(true),
  ];
}

function deploymentSpec(): object {
  const container = {
    name: NAME,
    image: `registry.k8s.io/metrics-server/metrics-server:${pinnedVersions().metricsServer}`,
    args: [
      '--cert-dir=/tmp',
      `--secure-port=${PORT}`,
      '--kubelet-insecure-tls',
      '--kubelet-preferred-address-types=InternalIP',
      '--metric-resolution=15s',
    ],
    ports: [{ containerPort: PORT }],
    readinessProbe: { httpGet: { path: '/readyz', port: PORT, scheme: 'HTTPS' } },
    securityContext: {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      readOnlyRootFilesystem: true,
      runAsNonRoot: true,
      runAsUser: 1000,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }],
  };
  return {
    selector: { matchLabels: { 'k8s-app': NAME } },
    template: {
      metadata: { labels: { 'k8s-app': NAME } },
      spec: { serviceAccountName: NAME, containers: [container], volumes: [{ name: 'tmp', emptyDir: {} }] },
    },
  };
}
