/** What a user adds to the pods that the operator makes. */
import { z } from 'zod';
import { doc, passthrough, stringMap } from './schema.ts';

const reservedKeys = (what: string) => [
  {
    rule: "!self.exists(key, key.startsWith('deepfake-operator.io/') || key.startsWith('app.kubernetes.io/'))",
    message: `${what} under deepfake-operator.io/ and app.kubernetes.io/ are the operator's own`,
  },
];

/** The API server reads it into the field of the same meaning, where it would be no different from what spec may not say. */
const APPARMOR_ANNOTATION = 'container.apparmor.security.beta.kubernetes.io/';

/** A fragment of a PodTemplateSpec, laid over the operator's by the rules of a strategic merge patch. */
export const podOverlay = (description: string) =>
  doc(
    z.object({
      metadata: doc(
        z.object({
          labels: stringMap(32, 'Further labels of the pods.', reservedKeys('labels')).optional(),
          annotations: stringMap(32, 'Further annotations of the pods.', [
            ...reservedKeys('annotations'),
            {
              rule: `!self.exists(key, key.startsWith('${APPARMOR_ANNOTATION}'))`,
              message: `annotations under ${APPARMOR_ANNOTATION} are refused: choose a profile by securityContext.appArmorProfile`,
            },
          ]).optional(),
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
