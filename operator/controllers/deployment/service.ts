import type { Applied } from '../../runtime/object.ts';
import type { ModelDeployment } from '../kinds.ts';
import { childMetadata, ownerReferences, podSelector } from './names.ts';

/** One address for the pods of every track: `http://<name>.<namespace>.svc`, port 80. */
export function desiredService(owner: ModelDeployment): Applied {
  const { name } = owner.metadata;
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { ...childMetadata(owner, name), ownerReferences: ownerReferences(owner) },
    spec: {
      type: 'ClusterIP',
      selector: podSelector(name),
      ports: [{ name: 'http', port: 80, targetPort: 'http', protocol: 'TCP' }],
    },
  } as Applied;
}

export const endpointOf = ({ metadata }: ModelDeployment) =>
  `http://${metadata.name}.${metadata.namespace}.svc`;
