/** Who may ask the pods, and what they may reach. Pure. */
import type { ModelDeploymentSpec } from '../../api/model-deployment.ts';
import type { Applied } from '../../runtime/object.ts';
import type { ModelDeployment } from '../kinds.ts';
import { childMetadata, ownerReferences, podSelector } from './names.ts';

const NAMESPACE_LABEL = 'kubernetes.io/metadata.name';
/** Where clusters run their DNS. */
const DNS_NAMESPACE = 'kube-system';

const inNamespace = (name: string) => ({ namespaceSelector: { matchLabels: { [NAMESPACE_LABEL]: name } } });

/**
 * undefined: the pods are not confined. Kubelet's probes need no rule: they come from the pod's own node, which no policy
 * keeps out.
 */
export function desiredNetworkPolicy(
  owner: ModelDeployment,
  { networkPolicy }: ModelDeploymentSpec,
  operatorNamespace: string,
): Applied | undefined {
  if (!networkPolicy) return undefined;
  const { allowedNamespaces = [], ingress = [], egress = [] } = networkPolicy;
  const { name } = owner.metadata;
  const namespaces = [...new Set([operatorNamespace, ...allowedNamespaces])];
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { ...childMetadata(owner, name), ownerReferences: ownerReferences(owner) },
    spec: {
      podSelector: { matchLabels: podSelector(name) },
      policyTypes: ['Ingress', 'Egress'],
      ingress: [
        {
          from: [{ podSelector: {} }, ...namespaces.map(inNamespace)],
          ports: [{ port: 'http', protocol: 'TCP' }],
        },
        ...ingress,
      ],
      egress: [
        {
          to: [inNamespace(DNS_NAMESPACE)],
          ports: [
            { port: 53, protocol: 'UDP' },
            { port: 53, protocol: 'TCP' },
          ],
        },
        ...egress,
      ],
    },
  } as Applied;
}
