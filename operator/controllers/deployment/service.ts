import type { Applied, ObjectMeta } from '../../runtime/object.ts';
import type { ModelDeployment } from '../kinds.ts';
import { childMetadata, ownerReferences, podSelector } from './names.ts';

export const SERVICE_PORT = 80;

/** One address for the pods of every revision: `http://<name>.<namespace>.svc`, port 80. */
export const desiredService = (owner: ModelDeployment): Applied =>
  serviceOf(owner, childMetadata(owner, owner.metadata.name), podSelector(owner.metadata.name));

export function serviceOf(
  owner: ModelDeployment,
  metadata: ObjectMeta,
  selector: Readonly<Record<string, string>>,
): Applied {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { ...metadata, ownerReferences: ownerReferences(owner) },
    spec: {
      type: 'ClusterIP',
      selector,
      ports: [{ name: 'http', port: SERVICE_PORT, targetPort: 'http', protocol: 'TCP' }],
    },
  } as Applied;
}

export const endpointOf = ({ metadata }: ModelDeployment) => serviceUrl(metadata.namespace, metadata.name);

export const serviceUrl = (namespace: string | undefined, service: string) =>
  `http://${service}.${namespace}.svc`;
