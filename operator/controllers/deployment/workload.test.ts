import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { V1Deployment } from '@kubernetes/client-node';
import { readConfig } from '../../../inference/config/config.ts';
import type { Raw } from '../../runtime/object.ts';
import { aModelDeployment, DIGEST, deploymentSpec, IMAGE, served } from '../builders.ts';
import { desiredWorkload, type WorkloadInput } from './workload.ts';

function build(spec: object = {}, input: Partial<WorkloadInput> = {}) {
  const owner = aModelDeployment(spec);
  const made = desiredWorkload({
    owner,
    spec: owner.spec,
    models: [served()],
    image: IMAGE,
    replicas: 1,
    noSurge: false,
    ...input,
  });
  assert.ok('revision' in made);
  const { revision, deployment } = made;
  const live = deployment as Raw<V1Deployment>;
  const pod = live.spec?.template.spec;
  const container = pod?.containers.find(({ name }) => name === 'inference');
  const env = Object.fromEntries(container?.env?.map(({ name, value }) => [name, value]) ?? []);
  return { revision, live, pod, container, env };
}

const withNewKey = {
  ...aModelDeployment(),
  status: { authSecret: { name: 'd-api-key', key: 'api-key', renewedAt: '2026-01-01T00:00:00Z' } },
};

const routed = { canary: { trafficRouting: { gatewayAPI: { httpRoute: 'r' } } } };

describe('the revision', () => {
  const base = build().revision;
  const rows: [string, string, boolean][] = [
    ['more replicas', build({ replicas: 3 }, { replicas: 3 }).revision, false],
    ['another rollout pace', build({}, { noSurge: true }).revision, false],
    ['a pause', build({ paused: true }).revision, false],
    [
      'another digest of a model',
      build({}, { models: [served('m', { digest: `sha256:${'b'.repeat(64)}`, path: 'x' })] }).revision,
      true,
    ],
    ['another image', build({}, { image: { ...IMAGE, name: 'i:2' } }).revision, true],
    ['another label of pods', build({ template: { metadata: { labels: { a: 'b' } } } }).revision, true],
    ['another priority of pods', build({ template: { spec: { priorityClassName: 'p' } } }).revision, true],
    ['an overlay that says nothing', build({ template: { spec: { absent: null } } }).revision, false],
    ['a model of another size', build({}, { models: [served('m', { sizeBytes: 5e9 })] }).revision, true],
    [
      'a claim on any node',
      build({}, { models: [served('m', { accessMode: 'ReadWriteMany' })] }).revision,
      true,
    ],
    ['more memory', build({ resources: { limits: { memory: '2Gi' } } }).revision, true],
    ['another key', build({ auth: { secretRef: { name: 's' } } }).revision, true],
    ['a key made again', build({}, { owner: withNewKey }).revision, true],
    ['more workers', build({ engine: { workers: 2 } }).revision, true],
    [
      'another pace of a rolling update',
      build({ strategy: { rollingUpdate: { maxSurge: 2 } } }).revision,
      false,
    ],
    ['other steps', build({ strategy: routed }).revision, false],
    ['connections that end', build({ strategy: { canary: {} } }).revision, true],
    ['larger batches', build({ engine: { maxBatch: 4, maxDelayMs: 5 } }).revision, true],
  ];
  for (const [what, revision, changes] of rows) {
    it(`${changes ? 'changes with' : 'stays with'} ${what}`, () => assert.equal(revision !== base, changes));
  }

  it('changes with the first model, which is the default, and with the order of no other', () => {
    const [a, b, c] = [served('a'), served('b'), served('c')];
    const { revision } = build({}, { models: [a, b, c] });
    assert.equal(build({}, { models: [a, c, b] }).revision, revision);
    assert.notEqual(build({}, { models: [b, a, c] }).revision, revision);
  });

  it('is known to the pods, on a label and in their environment', () => {
    const { revision, live, env } = build();
    assert.equal(live.spec?.template.metadata?.labels?.['deepfake-operator.io/revision'], revision);
    assert.equal(env['REVISION'], revision);
  });
});

it('pods know their models and are asked for their health', () => {
  const { env, container } = build(
    {},
    { models: [served('a'), served('b', { claimName: 'shared', path: 'x/y' })] },
  );
  assert.equal(env['ACTIVE_MODELS'], 'a,b');
  assert.equal(env['DEFAULT_MODEL_NAME'], 'a');
  assert.equal(env['MODEL_DIGESTS'], `a=${DIGEST},b=${DIGEST}`);
  assert.equal(env['HOST'], '::');
  assert.equal(env['AUTH_MODE'], 'required');
  assert.equal(container?.startupProbe?.httpGet?.path, '/health/ready');
  assert.equal(container?.readinessProbe?.httpGet?.path, '/health/ready');
  assert.equal(container?.livenessProbe?.httpGet?.path, '/health/live');
});

it('uploads are refused before they fill /tmp, where the pod would be evicted', () => {
  const { pod, env } = build();
  const tmp = pod?.volumes?.find(({ name }) => name === 'tmp');
  const spool = Number(env['MAX_SPOOL_BYTES']);
  assert.equal(tmp?.emptyDir?.sizeLimit, '1Gi');
  assert.ok(spool < 1024 ** 3);
  assert.ok(spool > 10 * readConfig({}).maxUploadBytes);
});

it('every model is mounted read-only under its name; models on one claim share a volume', () => {
  const models = [
    served('a', { claimName: 'x', path: 'p' }),
    served('b', { claimName: 'y', path: 'q' }),
    served('c', { claimName: 'x', path: 'r' }),
  ];
  const { pod, container } = build({}, { models });
  assert.deepEqual(container?.volumeMounts?.slice(0, 3), [
    { name: 'models-0', mountPath: '/models/a', subPath: 'p', readOnly: true },
    { name: 'models-1', mountPath: '/models/b', subPath: 'q', readOnly: true },
    { name: 'models-0', mountPath: '/models/c', subPath: 'r', readOnly: true },
  ]);
  assert.deepEqual(
    pod?.volumes?.flatMap(({ persistentVolumeClaim }) => persistentVolumeClaim?.claimName ?? []),
    ['x', 'y'],
  );
});

it('a claim of the user is mounted read-only as a whole', () => {
  const models = [served('a', { claimName: 'x', readOnly: true }), served('b', { claimName: 'y' })];
  assert.deepEqual(
    build({}, { models })
      .pod?.volumes?.slice(0, 2)
      .map((volume) => volume.persistentVolumeClaim),
    [{ claimName: 'x', readOnly: true }, { claimName: 'y' }],
  );
});

it('the image is pulled with the Secrets that the operator was given', () => {
  const image = { ...IMAGE, pullSecrets: ['r', 's'] };
  assert.deepEqual(build({}, { image }).pod?.imagePullSecrets, [{ name: 'r' }, { name: 's' }]);
  assert.equal(build().pod?.imagePullSecrets, undefined);
});

it('pods meet the restricted standard', () => {
  const { pod, container } = build();
  assert.equal(pod?.automountServiceAccountToken, false);
  assert.equal(pod?.securityContext?.runAsNonRoot, true);
  assert.equal(pod?.securityContext?.seccompProfile?.type, 'RuntimeDefault');
  assert.deepEqual(container?.securityContext, {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  });
});

it('the overlay reaches the pods, and never replaces labels of ours', () => {
  const template = {
    metadata: { labels: { team: 'a' }, annotations: { note: 'b' } },
    spec: {
      nodeSelector: { zone: 'c' },
      tolerations: [{ key: 'gpu', operator: 'Exists' }],
      containers: [
        { name: 'sidecar', image: 's' },
        { name: 'inference', env: [{ name: 'EXTRA', value: 'e' }] },
      ],
    },
  };
  const { live, pod, env } = build({ template });
  const { labels, annotations } = live.spec?.template.metadata ?? {};
  assert.equal(labels?.['team'], 'a');
  assert.equal(labels?.['deepfake-operator.io/model-deployment'], 'd');
  assert.equal(annotations?.['note'], 'b');
  assert.equal(annotations?.['kubectl.kubernetes.io/default-container'], 'inference');
  assert.deepEqual(
    [pod?.nodeSelector, pod?.tolerations],
    [template.spec.nodeSelector, template.spec.tolerations],
  );
  assert.deepEqual(
    pod?.containers.map(({ name }) => name),
    ['sidecar', 'inference'],
  );
  assert.deepEqual([env['EXTRA'], env['ACTIVE_MODELS']], ['e', 'm']);
});

it('the spread over nodes may be replaced', () => {
  const spread = { topologyKey: 'zone', maxSkew: 1, whenUnsatisfiable: 'DoNotSchedule' };
  const keys = (topologySpreadConstraints: object[]) =>
    build({ template: { spec: { topologySpreadConstraints } } }).pod?.topologySpreadConstraints?.map(
      ({ topologyKey }) => topologyKey,
    );
  assert.deepEqual(keys([]), ['kubernetes.io/hostname']);
  assert.deepEqual(keys([spread]), ['zone', 'kubernetes.io/hostname']);
  assert.deepEqual(keys([{ $patch: 'replace' }, spread]), ['zone']);
});

it('pods of a claim for one node stay together whatever affinity an overlay has', () => {
  const term = { topologyKey: 'zone', labelSelector: { matchLabels: { a: 'b' } } };
  const affinity = { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] } };
  const { pod, live } = build({ template: { spec: { affinity } } });
  const terms = pod?.affinity?.podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
  assert.deepEqual(
    terms.map(({ topologyKey }) => topologyKey),
    ['zone', 'kubernetes.io/hostname'],
  );
  const [label] = Object.entries(terms[1]?.labelSelector?.matchLabels ?? {});
  assert.equal(live.spec?.template.metadata?.labels?.[label?.[0] ?? ''], label?.[1]);
});

it('an overlay of protected fields makes no pods', () => {
  const owner = aModelDeployment({ template: { spec: { serviceAccountName: 'admin' } } });
  const input = { owner, spec: owner.spec, models: [served()], image: IMAGE, replicas: 1, noSurge: false };
  const made = desiredWorkload(input);
  assert.ok('problem' in made);
  assert.equal(made.problem.reason, 'ProtectedField');
});

it('the rollout may take as long as its pods', () => {
  const deadline = (sizeBytes: number) =>
    build({}, { models: [served('m', { sizeBytes })] }).live.spec?.progressDeadlineSeconds;
  assert.equal(deadline(10), 600);
  assert.ok((deadline(40 * 1024 ** 3) ?? 0) > 2000);
});

it('a rollout takes no pod away before its successor is ready, unless there is no room for one more', () => {
  assert.deepEqual(build().live.spec?.strategy?.rollingUpdate, { maxSurge: '25%', maxUnavailable: 0 });
  assert.deepEqual(build({}, { noSurge: true }).live.spec?.strategy?.rollingUpdate, {
    maxSurge: 0,
    maxUnavailable: 1,
  });
});

it('replicas are left out when an autoscaler owns them', () => {
  assert.equal('replicas' in (build({}, { replicas: undefined }).live.spec ?? {}), false);
  assert.equal(deploymentSpec({ replicas: 0 }).replicas, 0);
});

describe('a Deployment of a revision', () => {
  it('is named by it, selects its pods alone, and says nothing of their number', () => {
    const { live, revision } = build({ strategy: { blueGreen: {} }, replicas: 3 });
    assert.equal(live.metadata?.name, `d-${revision}`);
    assert.equal(live.spec?.replicas, undefined);
    const labels = {
      'deepfake-operator.io/model-deployment': 'd',
      'deepfake-operator.io/revision': revision,
    };
    assert.deepEqual(live.spec?.selector?.matchLabels, labels);
    const ofPods = live.spec?.template.metadata?.labels ?? {};
    assert.equal(ofPods['deepfake-operator.io/revision'], revision);
    assert.equal(ofPods['deepfake-operator.io/track'], undefined);
  });

  it('has the pods of a rolling update: with a change of the strategy alone none is started again', () => {
    assert.deepEqual(build({ strategy: routed }).pod, build().pod);
  });
});

describe('connections end after so many requests', () => {
  for (const [what, strategy, cap] of [
    ['where pods are the split', { canary: {} }, '100'],
    ['not where a router splits', routed, undefined],
    ['not in a switch', { blueGreen: {} }, undefined],
    ['not in a rolling update', { rollingUpdate: {} }, undefined],
  ] as const) {
    it(what, () => assert.equal(build({ strategy }).env['MAX_REQUESTS_PER_CONNECTION'], cap));
  }
});

it('a rolling update exchanges pods as the spec says, unless an old one has to go first', () => {
  const strategy = { rollingUpdate: { maxSurge: 2, maxUnavailable: '10%' } };
  assert.deepEqual(build({ strategy }).live.spec?.strategy?.rollingUpdate, strategy.rollingUpdate);
  const { live } = build({ strategy }, { noSurge: true });
  assert.deepEqual(live.spec?.strategy?.rollingUpdate, { maxSurge: 0, maxUnavailable: 1 });
});
