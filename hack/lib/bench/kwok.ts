/** What kwok does with the nodes and pods of the bench, as its configuration. Pure. */

const RUNNING_POD = `
{{ $now := Now }}
phase: Running
startTime: {{ $now | Quote }}
conditions:
{{ range list "Initialized" "ContainersReady" "Ready" }}
- { type: {{ . }}, status: "True", lastTransitionTime: {{ $now | Quote }} }
{{ end }}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  ready: true
  started: true
  restartCount: 0
  state: { running: { startedAt: {{ $now | Quote }} } }
{{ end }}
{{ with PodIPsWith .spec.nodeName false .metadata.uid .metadata.name .metadata.namespace }}
podIP: {{ index . 0 | Quote }}
podIPs: [{ ip: {{ index . 0 | Quote }} }]
{{ end }}
`;

const FETCHED = JSON.stringify({
  digest: `sha256:${'5e'.repeat(32)}`,
  sizeBytes: 1_234_567,
  durationMs: 42,
  card: { name: 'image-residual-cnn', version: '0.1.0', modality: 'image', status: 'demonstration' },
});

/** A fetch pod goes straight to its end, with the last words of a fetch that went well. */
const FETCH_POD = `
{{ $now := Now }}
phase: Succeeded
startTime: {{ $now | Quote }}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  ready: false
  started: false
  restartCount: 0
  state:
    terminated:
      exitCode: 0
      reason: Completed
      startedAt: {{ $now | Quote }}
      finishedAt: {{ $now | Quote }}
      message: ${JSON.stringify(FETCHED)}
{{ end }}
`;

const READY_NODE = `
{{ $now := Now }}
phase: Running
conditions:
{{ range NodeConditions }}
- type: {{ .type | Quote }}
  status: {{ .status | Quote }}
  reason: {{ .reason | Quote }}
  message: {{ .message | Quote }}
  lastHeartbeatTime: {{ $now | Quote }}
  lastTransitionTime: {{ $now | Quote }}
{{ end }}
`;

interface Requirement {
  readonly key: string;
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
  readonly values?: readonly string[];
}

const OWNER_KIND = '.metadata.ownerReferences.[].kind';
const stays: Requirement = { key: '.metadata.deletionTimestamp', operator: 'DoesNotExist' };
const pending: Requirement = { key: '.status.phase', operator: 'In', values: ['Pending'] };

const stage = (name: string, kind: string, requirements: readonly Requirement[], next: object) => ({
  apiVersion: 'kwok.x-k8s.io/v1alpha1',
  kind: 'Stage',
  metadata: { name },
  spec: { resourceRef: { apiGroup: 'v1', kind }, selector: { matchExpressions: requirements }, next },
});

/** A file for `kwok --config`: nodes become Ready, fetch Jobs' pods succeed, other pods become Ready, deleted ones go. */
export function kwokConfig(): string {
  const ready = '.status.conditions.[] | select( .type == "Ready" ) | .status';
  const documents = [
    {
      apiVersion: 'config.kwok.x-k8s.io/v1alpha1',
      kind: 'KwokConfiguration',
      options: {
        podPlayStageParallelism: 16,
        nodePlayStageParallelism: 4,
        nodeLeaseParallelism: 4,
        podsOnNodeSyncParallelism: 4,
      },
    },
    stage('node-ready', 'Node', [{ key: ready, operator: 'NotIn', values: ['True'] }], {
      statusTemplate: READY_NODE,
    }),
    stage('fetch-succeeds', 'Pod', [stays, pending, { key: OWNER_KIND, operator: 'In', values: ['Job'] }], {
      statusTemplate: FETCH_POD,
    }),
    stage('pod-ready', 'Pod', [stays, pending, { key: OWNER_KIND, operator: 'NotIn', values: ['Job'] }], {
      statusTemplate: RUNNING_POD,
    }),
    stage('pod-gone', 'Pod', [{ ...stays, operator: 'Exists' }], { delete: true }),
  ];
  return documents.map((document) => JSON.stringify(document)).join('\n---\n');
}

/** Leases are renewed well within the 40 s after which the controller manager gives a node up. */
export const kwokArguments = (kubeconfigPath: string, configPath: string): string[] => [
  `--kubeconfig=${kubeconfigPath}`,
  `--config=${configPath}`,
  '--manage-all-nodes=true',
  '--cidr=10.0.0.1/16',
  '--node-lease-duration-seconds=100',
];
