/** What a user adds to the pods that the operator makes. */
import { z } from 'zod';
import { doc, passthrough, stringMap } from './schema.ts';

const reservedKeys = (what: string) => [
  {
    rule: "!self.exists(key, key.startsWith('deepfake-operator.io/') || key.startsWith('app.kubernetes.io/'))",
    message: `${what} under deepfake-operator.io/ and app.kubernetes.io/ are the operator's own`,
  },
];

/** A fragment of a PodTemplateSpec, laid over the operator's by the rules of a strategic merge patch. */
export const podOverlay = (description: string) =>
  doc(
    z.object({
      metadata: doc(
        z.object({
          labels: stringMap(32, 'Further labels of the pods.', reservedKeys('labels')).optional(),
          annotations: stringMap(
            32,
            'Further annotations of the pods.',
            reservedKeys('annotations'),
          ).optional(),
        }),
        'What the pods say of themselves.',
      ).optional(),
      spec: passthrough(
        'A fragment of a core/v1 PodSpec, merged as `kubectl patch --type strategic` does: containers, volumes and env by name, mounts by mountPath, maps by key, other lists replaced, null takes away. Nodes, tolerations, affinity, priority, sidecars and volumes go here. Fields on which the operator relies (its commands, ports, probes, variables and mounts, the identity of the pod) cannot be changed.',
      ).optional(),
    }),
    description,
  );
export type PodOverlay = z.output<ReturnType<typeof podOverlay>>;
