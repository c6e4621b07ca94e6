/** DeepfakeModel: a model package that the operator fetches, verifies and keeps on a volume. */
import { z } from 'zod';
import type { KindDefinition } from './crd.ts';
import { modelSource } from './model-source.ts';
import { DEEPFAKE_MODEL } from './names.ts';
import { podOverlay } from './pod-overlay.ts';
import { conditions, digest, doc, objectName, observedGeneration, passthrough, timestamp } from './schema.ts';

/** Names of Jobs and their pods' labels are built from the model's name and have to stay within 63 characters. */
export const MODEL_NAME_MAX = 40;

export const DEFAULT_CLAIM_SIZE = '1Gi';

const fetch = doc(
  z.object({
    policy: doc(
      z.enum(['Immediate', 'OnDemand']),
      'Immediate: the package is fetched as soon as the model exists, before anything serves it. OnDemand: once a ModelDeployment names the model.',
    ).default('Immediate'),
    deadlineSeconds: doc(
      z.int().min(30).max(86_400),
      'An attempt that takes longer is ended; the next goes on where it stood.',
    ).default(3600),
    caConfigMapRef: doc(
      z.object({
        name: doc(objectName(), 'Name of a ConfigMap in the same namespace.'),
        key: doc(
          z
            .string()
            .min(1)
            .max(253)
            .regex(/^[-._a-zA-Z0-9]+$/),
          'Key of the PEM bundle.',
        ).default('ca.crt'),
      }),
      'Certificate authorities to trust besides the public ones, for servers with a private one.',
    ).optional(),
    template: podOverlay("What to add to the fetch Job's pods: nodes, tolerations, resources.").optional(),
  }),
  'When and how the package is fetched.',
);

const storage = doc(
  z.object({
    pvc: doc(
      z.object({
        size: doc(
          z.string().max(32),
          `Size of the claim, a quantity. Default ${DEFAULT_CLAIM_SIZE}. It may grow where the StorageClass can expand volumes; a change that the API server refuses is told in the condition ClaimResized, and the claim stays as it is.`,
          {
            rules: [
              {
                rule: 'isQuantity(self) && quantity(self).isGreaterThan(quantity("0"))',
                message: 'size has to be a quantity above zero, such as 2Gi',
              },
            ],
          },
        ).optional(),
        storageClassName: doc(objectName(), "Default: the cluster's default StorageClass.").optional(),
        accessMode: doc(
          z.enum(['ReadWriteOnce', 'ReadWriteMany', 'ReadOnlyMany']),
          'Default ReadWriteOnce: all pods that mount the claim are scheduled onto one node. ReadWriteMany: onto any. ReadOnlyMany: the fetch writes the volume once, and pods on any node mount it read-only; the storage has to offer that.',
        ).optional(),
        existingClaim: doc(objectName(), 'Keep the package on this claim instead of a new one.').optional(),
        retain: doc(
          z.boolean(),
          'true: the claim outlives the models that share it. It is labelled deepfake-operator.io/retain=true, by which it is found and deleted later. Default false.',
        ).optional(),
      }),
      'The claim that holds the verified package. Models of a namespace with the same digest, storageClassName and accessMode share one.',
      {
        rules: [
          {
            rule: '!has(self.existingClaim) || !(has(self.size) || has(self.storageClassName) || has(self.accessMode) || has(self.retain))',
            message:
              'existingClaim is a claim as it is: size, storageClassName, accessMode and retain say nothing about it',
          },
        ],
      },
    ),
  }),
  'Where the package is kept.',
);

/** CEL for a field of storage.pvc or its default. (Optional chaining would make the cost estimate unbounded.) */
const claimField = (object: string, field: string, fallback: string) => {
  const pvc = `${object}.storage.pvc`;
  return `(has(${object}.storage) && has(${pvc}) && has(${pvc}.${field}) ? ${pvc}.${field} : '${fallback}')`;
};

const unchanged = (field: string, fallback: string) => ({
  rule: `${claimField('self', field, fallback)} == ${claimField('oldSelf', field, fallback)}`,
  message: `storage.pvc.${field} is immutable: a claim cannot change it; make a new DeepfakeModel`,
});

export const deepfakeModelSpec = doc(
  z.object({
    modality: doc(
      z.enum(['image', 'video', 'audio']),
      'What the detector looks at. If set, the package has to say the same.',
    ).optional(),
    version: doc(
      z
        .string()
        .max(64)
        .regex(/^[0-9]+\.[0-9]+\.[0-9]+([-+][0-9A-Za-z.+-]+)?$/),
      'Semantic version. If set, the package has to say the same.',
    ).optional(),
    source: modelSource,
    digest: doc(
      digest(),
      'SHA-256 of the package manifest, as `sha256sum model.yaml` prints it, prefixed by sha256:. Nothing else is served.',
    ).optional(),
    storage: storage.optional(),
    fetch: fetch.optional(),
  }),
  'What to fetch and what it has to be.',
  {
    rules: [
      {
        rule: 'has(self.source.builtin) || has(self.digest)',
        message: 'digest is required with every source but builtin',
      },
      {
        rule: '!(has(self.source.pvc) && has(self.storage))',
        message: 'storage contradicts source.pvc: that package stays on its own volume',
      },
      {
        rule: '!has(self.modality) || !has(oldSelf.modality) || self.modality == oldSelf.modality',
        message: 'modality is immutable: another modality is another model',
      },
      unchanged('storageClassName', ''),
      unchanged('accessMode', 'ReadWriteOnce'),
      unchanged('existingClaim', ''),
    ],
  },
);
export type DeepfakeModelSpec = z.output<typeof deepfakeModelSpec>;

const bytes = () => z.int().min(0).max(Number.MAX_SAFE_INTEGER).meta({ format: 'int64' });

export const modelCard = doc(
  z.object({
    name: doc(z.string().max(253), 'Name that the package gives itself.'),
    version: doc(z.string().max(64), 'Semantic version of the package.'),
    modality: doc(z.string().max(16), 'image, video or audio.'),
    status: doc(z.string().max(32), 'validated or demonstration.').optional(),
    thresholds: doc(
      z.object({
        low: doc(z.number(), 'Highest score of AUTHENTIC.'),
        high: doc(z.number(), 'Lowest score of DEEPFAKE.'),
      }),
      'Scores up to low are AUTHENTIC, from high on DEEPFAKE.',
    ).optional(),
    evaluation: doc(
      z.array(passthrough('Data set, metric, value, count and interval, as the card has them.')).max(5),
      'Rows measured on held-out data, as the model card gives them.',
      { 'x-kubernetes-list-type': 'atomic' },
    ).optional(),
  }),
  'What the verified package says of itself.',
);

export const deepfakeModelStatus = doc(
  z.object({
    observedGeneration: observedGeneration().optional(),
    phase: doc(
      z.enum(['Pending', 'Fetching', 'Ready', 'Failed']),
      'Where it stands, in a word. Ready: a package that is as the spec asks lies on its volume.',
    ).optional(),
    message: doc(z.string().max(4096), 'What a person should know now.').optional(),
    digest: doc(digest(), 'Digest of the verified package that deployments serve.').optional(),
    sizeBytes: doc(bytes(), 'Size of the verified package.').optional(),
    usedBy: doc(
      z.array(doc(z.string().max(253), 'Name of a ModelDeployment.')).max(100),
      'ModelDeployments that name the model, the first hundred.',
      {
        'x-kubernetes-list-type': 'set',
      },
    ).optional(),
    pvc: doc(
      z.object({
        claimName: doc(z.string().max(253), 'Name of the PersistentVolumeClaim.'),
        path: doc(z.string().max(512), "The package's folder on the volume."),
        uid: doc(z.string().max(64), 'Of a claim of the operator: a claim made anew is empty.').optional(),
        accessMode: doc(z.string().max(32), 'How pods may mount the claim.').optional(),
      }),
      'Where the verified package lies.',
    ).optional(),
    card: modelCard.optional(),
    fetch: doc(
      z.object({
        id: doc(z.string().max(16), 'Hash of everything that the fetch depends on.'),
        phase: doc(z.enum(['Running', 'Succeeded', 'Failed']), 'How the last attempt stands.'),
        attempts: doc(z.int().min(0).max(1_000_000), 'Attempts made for this id, the running one included.'),
        startedAt: timestamp('When the last attempt began.').optional(),
        completedAt: timestamp('When the last attempt ended.').optional(),
        durationMs: doc(z.int().min(0).max(Number.MAX_SAFE_INTEGER), 'Duration of the last attempt, ms.')
          .meta({ format: 'int64' })
          .optional(),
        receivedBytes: doc(
          bytes(),
          'Bytes received by the running attempt, what earlier ones left included.',
        ).optional(),
        totalBytes: doc(bytes(), 'Bytes to receive, where the source says so.').optional(),
        repairs: doc(
          z.int().min(0).max(1_000_000),
          'Fetches made because a pod found the package damaged.',
        ).optional(),
        nextRetryAt: timestamp('When the next attempt begins, after one that failed.').optional(),
        reason: doc(z.string().max(256), 'Why the last attempt failed, as one word.').optional(),
        message: doc(z.string().max(2048), 'Why the last attempt failed, for a person.').optional(),
      }),
      'The latest fetch.',
    ).optional(),
    conditions: conditions(),
  }),
  'What the operator observed.',
);
export type DeepfakeModelStatus = z.output<typeof deepfakeModelStatus>;

export const deepfakeModelDefinition: KindDefinition = {
  ...DEEPFAKE_MODEL,
  singular: 'deepfakemodel',
  shortNames: ['dfm'],
  description: 'A deepfake detector package: fetched, verified by digest, and kept on a volume.',
  spec: deepfakeModelSpec,
  status: deepfakeModelStatus,
  rules: [
    {
      rule: `self.metadata.name.size() <= ${MODEL_NAME_MAX} && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')`,
      message: `metadata.name has to be at most ${MODEL_NAME_MAX} characters of a-z, 0-9 and '-'`,
    },
  ],
  columns: [
    { name: 'Phase', type: 'string', jsonPath: '.status.phase' },
    { name: 'Version', type: 'string', jsonPath: '.status.card.version' },
    { name: 'Modality', type: 'string', jsonPath: '.status.card.modality' },
    {
      name: 'Reason',
      type: 'string',
      jsonPath: '.status.conditions[?(@.type=="Ready")].reason',
      priority: 1,
    },
    { name: 'Attempts', type: 'integer', jsonPath: '.status.fetch.attempts', priority: 1 },
    { name: 'Bytes', type: 'integer', jsonPath: '.status.sizeBytes', priority: 1 },
    { name: 'Digest', type: 'string', jsonPath: '.status.digest', priority: 1 },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
    { name: 'Message', type: 'string', jsonPath: '.status.message' },
  ],
};
