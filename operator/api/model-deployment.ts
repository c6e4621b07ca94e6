/** ModelDeployment: one or more DeepfakeModels served by a set of pods behind a Service. */
import { z } from 'zod';
import type { KindDefinition } from './crd.ts';
import { MODEL_NAME_MAX } from './deepfake-model.ts';
import { MODEL_DEPLOYMENT } from './names.ts';
import { podOverlay } from './pod-overlay.ts';
import { rolloutStatus } from './rollout/status.ts';
import { strategy } from './rollout/strategy.ts';
import {
  conditions,
  countOrPercent,
  digest,
  dnsLabel,
  doc,
  mapList,
  objectName,
  observedGeneration,
  passthrough,
  quantityMap,
  secretKey,
  stringMap,
  timestamp,
} from './schema.ts';

/** Child names add at most 12 characters (`-stable`, `-api-key`, later tracks) and have to stay DNS labels. */
export const DEPLOYMENT_NAME_MAX = 50;

export const DEFAULT_TARGET_CPU_PERCENT = 70;

export const DEFAULT_GPU_RESOURCE = 'nvidia.com/gpu';

const gpu = doc(
  z.object({
    resourceName: doc(
      z
        .string()
        .max(317)
        .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?\/[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/),
      `Any extended resource, a MIG slice such as nvidia.com/mig-1g.10gb too. Default ${DEFAULT_GPU_RESOURCE}.`,
    ).optional(),
    count: doc(z.int().min(1).max(16), 'Devices per pod. Default 1.').optional(),
    resourceClaimTemplateName: doc(
      objectName(),
      'A ResourceClaimTemplate in the same namespace: every pod gets a claim of its own (dynamic resource allocation).',
    ).optional(),
    resourceClaimName: doc(
      objectName(),
      'A ResourceClaim in the same namespace that all pods share (dynamic resource allocation).',
    ).optional(),
    runtimeClassName: doc(objectName(), 'RuntimeClass of pods that use the device.').optional(),
  }),
  'The accelerator of every pod: an extended resource, or a claim of dynamic resource allocation.',
  {
    rules: [
      {
        rule: '!(has(self.resourceClaimTemplateName) && has(self.resourceClaimName))',
        message: 'resourceClaimTemplateName and resourceClaimName exclude each other',
      },
      {
        rule: '!(has(self.resourceClaimTemplateName) || has(self.resourceClaimName)) || !(has(self.resourceName) || has(self.count))',
        message: 'a resource claim says which devices and how many: leave resourceName and count out',
      },
    ],
  },
);

const autoscaling = doc(
  z.object({
    minReplicas: doc(z.int().min(1).max(1000), 'Never fewer pods than this.').default(1),
    maxReplicas: doc(z.int().min(1).max(1000), 'Never more pods than this.'),
    targetCPUUtilizationPercentage: doc(
      z.int().min(1).max(1000),
      `Mean CPU use in percent of the request. Default ${DEFAULT_TARGET_CPU_PERCENT} where metrics is empty.`,
    ).optional(),
    metrics: doc(
      z.array(passthrough('An autoscaling/v2 MetricSpec.')).max(16),
      'autoscaling/v2 metrics, handed to the HorizontalPodAutoscaler as they are.',
      { 'x-kubernetes-list-type': 'atomic' },
    ).optional(),
    behavior: passthrough('An autoscaling/v2 HorizontalPodAutoscalerBehavior.').optional(),
  }),
  'Lets a HorizontalPodAutoscaler choose the number of pods.',
  {
    rules: [
      { rule: 'self.minReplicas <= self.maxReplicas', message: 'minReplicas must not exceed maxReplicas' },
      {
        rule: '!(has(self.targetCPUUtilizationPercentage) && has(self.metrics))',
        message:
          'targetCPUUtilizationPercentage and metrics exclude each other: put a CPU metric into metrics',
      },
    ],
  },
);

const networkPolicy = doc(
  z.object({
    allowedNamespaces: doc(
      z.array(doc(dnsLabel(), 'Name of a namespace.')).max(64),
      'Namespaces whose pods may ask, by name. The namespace of the ModelDeployment and that of the operator always may.',
      { 'x-kubernetes-list-type': 'set' },
    ).optional(),
    ingress: doc(
      z.array(passthrough('A networking.k8s.io/v1 NetworkPolicyIngressRule.')).max(32),
      'Further rules of who may ask.',
      { 'x-kubernetes-list-type': 'atomic' },
    ).optional(),
    egress: doc(
      z.array(passthrough('A networking.k8s.io/v1 NetworkPolicyEgressRule.')).max(32),
      'What pods may reach besides the DNS in kube-system. Default: nothing.',
      { 'x-kubernetes-list-type': 'atomic' },
    ).optional(),
  }),
  'Confines the pods by a NetworkPolicy. Default: none is made.',
);

const monitoring = doc(
  z.object({
    podMonitor: doc(
      z.object({
        labels: stringMap(32, 'Labels by which a Prometheus selects the PodMonitor.').optional(),
        interval: doc(
          z
            .string()
            .max(16)
            .regex(/^[0-9]+(ms|s|m|h)$/),
          'Time between scrapes.',
        ).default('30s'),
      }),
      'Has the pods scraped through a monitoring.coreos.com/v1 PodMonitor.',
    ).optional(),
  }),
  'Who reads the metrics of the pods.',
);

/** CEL: whether resources count the accelerator too. */
const namesResource = (which: 'limits' | 'requests') =>
  `(has(self.resources.${which}) && (has(self.gpu.resourceName) ? self.gpu.resourceName : '${DEFAULT_GPU_RESOURCE}') in self.resources.${which})`;

export const modelDeploymentSpec = doc(
  z.object({
    models: mapList(
      doc(
        z.object({ name: doc(dnsLabel().max(MODEL_NAME_MAX), 'A DeepfakeModel in the same namespace.') }),
        'A model that every pod serves.',
      ),
      'name',
      16,
      'Models that every pod serves. The first is the default; the order of the others means nothing.',
    ).min(1),
    replicas: doc(
      z.int().min(0).max(1000),
      'Number of pods. With autoscaling it is left out: the autoscaler chooses.',
    ).default(1),
    device: doc(z.enum(['cpu', 'cuda', 'tensorrt']), 'What the models run on.').default('cpu'),
    gpu: gpu.optional(),
    resources: doc(
      z.object({
        requests: quantityMap('What a pod is scheduled by.').optional(),
        limits: quantityMap('What a pod may use at most.').optional(),
      }),
      'Resources of the container. The accelerator belongs into gpu.',
    ).default({ requests: { cpu: '500m', memory: '512Mi' }, limits: { memory: '1Gi' } }),
    template: podOverlay('What to add to the pods.').optional(),
    engine: doc(
      z.object({
        workers: doc(z.int().min(1).max(64), 'Worker threads per pod. Default: by the CPU quota.').optional(),
        maxBatch: doc(
          z.int().min(1).max(64),
          'Tiles, windows or frames that one run of a graph computes. Default: 1 on processors, 8 on GPUs.',
        ).optional(),
        maxDelayMs: doc(
          z.int().min(0).max(1000),
          'How long a run that is not full waits for other requests, in milliseconds. Default: 0.',
        ).optional(),
      }),
      'How a pod runs its models.',
    ).optional(),
    autoscaling: autoscaling.optional(),
    disruption: doc(
      z.object({
        maxUnavailable: countOrPercent(
          'Pods that may be away at a time, a count or a percentage.',
        ).optional(),
        minAvailable: countOrPercent('Pods that have to stay, a count or a percentage.').optional(),
      }),
      'What a node drain may take away. Default: one pod at a time.',
      {
        rules: [
          {
            rule: 'has(self.maxUnavailable) != has(self.minAvailable)',
            message: 'exactly one of disruption.maxUnavailable and disruption.minAvailable has to be set',
          },
        ],
      },
    ).optional(),
    auth: doc(
      z.object({
        secretRef: secretKey('Holds the accepted X-API-Key values, separated by commas.', 'api-key'),
      }),
      'Who may ask. Default: a Secret <name>-api-key with a random key, made once and named in status.authSecret.',
    ).optional(),
    networkPolicy: networkPolicy.optional(),
    monitoring: monitoring.optional(),
    paused: doc(z.boolean(), 'true: pod changes are not rolled out; scaling goes on.').default(false),
    progressDeadlineSeconds: doc(
      z.int().min(30).max(86_400),
      'A rollout that makes no progress for this long is reported as failed. More where pods may take longer to load their models.',
    ).default(600),
    progressDeadlineAbort: doc(
      z.boolean(),
      'true: a canary that exceeds progressDeadlineSeconds is aborted. Default true; with strategy canary or blueGreen.',
    ).optional(),
    revisionHistoryLimit: doc(
      z.int().min(0).max(100),
      'Old revisions to keep, as ReplicaSets or, with strategy canary or blueGreen, as Deployments without pods.',
    ).default(5),
    strategy: strategy.optional(),
    rollbackWindow: doc(
      z.object({
        revisions: doc(
          z.int().min(1).max(100),
          'Going back to one of the last so many revisions skips the steps.',
        ),
      }),
      'Which revisions may be gone back to without steps and analysis.',
    ).optional(),
    rollbackTo: doc(
      z
        .string()
        .max(16)
        .regex(/^[a-z0-9]+$/),
      'A kept revision (status.revisions) that is served whatever the rest of the spec says, until this is taken out.',
    ).optional(),
  }),
  'What to serve, where, and how many times.',
  {
    rules: [
      {
        rule: '!has(self.autoscaling) || self.replicas == 1',
        message:
          'replicas and autoscaling exclude each other: leave replicas out (or at its default of 1), autoscaling chooses the number of pods',
      },
      {
        rule: "self.device == 'cpu' || has(self.gpu)",
        message: 'device cuda and tensorrt need gpu: without it no accelerator is scheduled',
      },
      {
        rule: `!has(self.gpu) || !has(self.resources) || !${namesResource('limits')} && !${namesResource('requests')}`,
        message: 'the accelerator is counted by gpu.count alone: take it out of resources',
      },
      {
        rule: '!has(self.rollbackTo) || (has(self.strategy) && !has(self.strategy.rollingUpdate))',
        message: 'rollbackTo needs strategy canary or blueGreen, which keep revisions',
      },
    ],
  },
);
export type ModelDeploymentSpec = z.output<typeof modelDeploymentSpec>;

const podCount = (description: string) => doc(z.int().min(0).max(100_000), description);

export const modelDeploymentStatus = doc(
  z.object({
    observedGeneration: observedGeneration().optional(),
    phase: doc(
      z.enum(['Healthy', 'Progressing', 'Paused', 'Degraded']),
      'Where it stands, in a word. Healthy: the wanted revision serves in full and nothing is wrong.',
    ).optional(),
    message: doc(z.string().max(4096), 'What a person should know now.').optional(),
    replicas: podCount('Pods that exist.').optional(),
    readyReplicas: podCount('Pods that passed their readiness probe.').optional(),
    availableReplicas: podCount('Pods that are ready and count as available.').optional(),
    updatedReplicas: podCount('Pods of the current revision.').optional(),
    selector: doc(z.string().max(1024), 'Label selector of the pods, for the scale subresource.').optional(),
    currentRevision: doc(
      z.string().max(16),
      'The revision that the spec asks for, or last asked for while it could be followed.',
    ).optional(),
    stableRevision: doc(z.string().max(16), 'The last revision that was available in full.').optional(),
    models: mapList(
      doc(
        z.object({
          name: doc(z.string().max(63), 'Name of the DeepfakeModel.'),
          version: doc(z.string().max(64), 'Version of its package.'),
          digest: doc(digest(), 'Digest of its package.'),
        }),
        'A package that the pods serve.',
      ),
      'name',
      16,
      'The packages of the current revision.',
    ).optional(),
    authSecret: doc(
      z.object({
        name: doc(z.string().max(253), 'Name of the Secret.'),
        key: doc(z.string().max(253), 'Key in the Secret.'),
        renewedAt: timestamp(
          "When the operator's own Secret was gone and got a new key, with which all pods are started again.",
        ).optional(),
      }),
      'Where the accepted X-API-Key values lie.',
    ).optional(),
    endpoint: doc(z.string().max(512), 'Address inside the cluster.').optional(),
    ...rolloutStatus,
    conditions: conditions(),
  }),
  'What the operator observed.',
);
export type ModelDeploymentStatus = z.output<typeof modelDeploymentStatus>;

export const modelDeploymentDefinition: KindDefinition = {
  ...MODEL_DEPLOYMENT,
  singular: 'modeldeployment',
  shortNames: ['mdep'],
  description: 'Deepfake detectors served by a set of pods behind a Service.',
  spec: modelDeploymentSpec,
  status: modelDeploymentStatus,
  rules: [
    {
      rule: `self.metadata.name.size() <= ${DEPLOYMENT_NAME_MAX} && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')`,
      message: `metadata.name has to be at most ${DEPLOYMENT_NAME_MAX} characters of a-z, 0-9 and '-', beginning with a letter`,
    },
  ],
  columns: [
    { name: 'Phase', type: 'string', jsonPath: '.status.phase' },
    { name: 'Ready', type: 'integer', jsonPath: '.status.readyReplicas' },
    { name: 'Replicas', type: 'integer', jsonPath: '.status.replicas' },
    { name: 'Up-to-date', type: 'integer', jsonPath: '.status.updatedReplicas' },
    { name: 'Device', type: 'string', jsonPath: '.spec.device', priority: 1 },
    { name: 'Revision', type: 'string', jsonPath: '.status.currentRevision', priority: 1 },
    { name: 'Stable', type: 'string', jsonPath: '.status.stableRevision', priority: 1 },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
    { name: 'Message', type: 'string', jsonPath: '.status.message' },
  ],
  scale: {
    specReplicasPath: '.spec.replicas',
    statusReplicasPath: '.status.replicas',
    labelSelectorPath: '.status.selector',
  },
};
