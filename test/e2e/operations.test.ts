/** Running detectors on the real cluster: what others change, own, limit or take away, and what the operator makes of it. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { imagesOfCheckout, OPERATOR_NAMESPACE, operatorRolledOut, RELEASE } from '../../hack/lib/deploy.ts';
import { ensureExtendedResource } from '../../hack/lib/extended-resource.ts';
import { condition, type KubeObject, list, waitFor } from '../../hack/lib/kubectl.ts';
import { CONTAINER_SECURITY, has, isHealthy, openStage, type Stage } from './stage.ts';

const NAMESPACE = 'deepfake-e2e-operations';
const MODEL = 'image-residual-cnn';
/** Small enough for two cores, together with whatever else runs. */
const RESOURCES = { requests: { cpu: '100m', memory: '256Mi' }, limits: { memory: '1Gi' } };
const POD_MONITORS = 'podmonitors.monitoring.coreos.com';

let stage: Stage;
/** The cluster did not have the kind, so this test adds it, and takes it away again. */
let addsPodMonitors: boolean;

const detector = (extra: object = {}) => ({ models: [{ name: MODEL }], resources: RESOURCES, ...extra });
const healthy = (name: string, timeoutMs = 120_000) =>
  stage.until('modeldeployment', name, 'is healthy', isHealthy, timeoutMs);
const degraded = (name: string, reason: string) =>
  stage.until('modeldeployment', name, `is degraded by ${reason}`, has('Degraded', 'True', reason));

before(async () => {
  stage = await openStage(NAMESPACE);
  addsPodMonitors =
    (await stage.kubectl(['get', 'customresourcedefinition', POD_MONITORS, '--ignore-not-found'])) === '';
  const { inference: image } = await imagesOfCheckout();
  await stage.model(MODEL, { source: { builtin: { name: MODEL } } });
  await stage.deployment(
    'guarded',
    detector({
      replicas: 2,
      networkPolicy: { allowedNamespaces: ['newsroom'] },
      monitoring: { podMonitor: { labels: { release: 'prometheus' } } },
      template: {
        metadata: { labels: { team: 'verification' } },
        spec: {
          nodeSelector: { 'kubernetes.io/os': 'linux' },
          containers: [
            {
              name: 'sidecar',
              image,
              imagePullPolicy: 'Never',
              command: ['sh', '-c', 'trap exit TERM; sleep infinity & wait'],
              securityContext: CONTAINER_SECURITY,
            },
          ],
        },
      },
    }),
  );
  await stage.deployment('scaled', detector({ autoscaling: { minReplicas: 1, maxReplicas: 2 } }));
  await healthy('guarded');
  await healthy('scaled');
});

after(async () => {
  if (addsPodMonitors) await stage.remove('customresourcedefinition', POD_MONITORS);
  await stage.close();
});

test('pods have the sidecar, the labels and the nodes of the overlay', async () => {
  const pods = await stage.pods('guarded');
  assert.equal(pods.length, 2);
  for (const { metadata, spec, status } of pods) {
    assert.equal(metadata.labels?.['team'], 'verification');
    assert.deepEqual(spec.nodeSelector, { 'kubernetes.io/os': 'linux' });
    const ready = status.containerStatuses.map(({ name, ready }: { name: string; ready: boolean }) => [
      name,
      ready,
    ]);
    assert.deepEqual(Object.fromEntries(ready), { inference: true, sidecar: true });
  }
});

test('without Prometheus Operator a ModelDeployment serves, and says that nothing monitors it', async (t) => {
  if (!addsPodMonitors) return t.skip('this cluster has PodMonitors');
  const monitoring = condition(await healthy('guarded'), 'MonitoringActive');
  assert.deepEqual([monitoring?.status, monitoring?.reason], ['False', 'KindNotInstalled']);
  // Seen by the operator within half a minute, while the tests below run.
  const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
  await stage.apply({
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: POD_MONITORS },
    spec: {
      group: 'monitoring.coreos.com',
      scope: 'Namespaced',
      names: {
        kind: 'PodMonitor',
        plural: 'podmonitors',
        singular: 'podmonitor',
        listKind: 'PodMonitorList',
      },
      versions: [{ name: 'v1', served: true, storage: true, schema }],
    },
  });
});

/** A child, and an edit by hand that changes what `read` gives. */
const CHILDREN: readonly {
  kind: string;
  name: string;
  edit: object;
  read: (object: KubeObject) => unknown;
}[] = [
  {
    kind: 'service',
    name: 'guarded',
    edit: { spec: { selector: { 'deepfake-operator.io/model-deployment': 'another' } } },
    read: ({ spec }) => spec.selector,
  },
  {
    kind: 'poddisruptionbudget',
    name: 'guarded',
    edit: { spec: { maxUnavailable: 0 } },
    read: ({ spec }) => spec.maxUnavailable,
  },
  // Whether it confines anybody is up to the cluster's network: that of hack/cluster enforces no policies.
  {
    kind: 'networkpolicy',
    name: 'guarded',
    edit: { spec: { ingress: [] } },
    read: ({ spec }) => [spec.ingress, spec.egress, spec.policyTypes],
  },
  {
    kind: 'horizontalpodautoscaler',
    name: 'scaled-stable',
    edit: { spec: { maxReplicas: 9 } },
    read: ({ spec }) => spec.maxReplicas,
  },
  {
    kind: 'deployment',
    name: 'scaled-stable',
    edit: {
      metadata: { labels: { 'app.kubernetes.io/managed-by': 'somebody' } },
      spec: { progressDeadlineSeconds: 9 },
    },
    read: ({ metadata, spec }) => [metadata.labels, spec.progressDeadlineSeconds],
  },
];

for (const { kind, name, edit, read } of CHILDREN) {
  test(`a ${kind} that is edited or deleted by hand is as before within seconds`, async () => {
    const before = await stage.get(kind, name);
    assert.ok(before);
    await stage.kubectl(['patch', kind, name, '--type=merge', `--patch=${JSON.stringify(edit)}`]);
    const isAsBefore = (object: KubeObject) => JSON.stringify(read(object)) === JSON.stringify(read(before));
    await stage.until(kind, name, 'is put right', isAsBefore, 20_000);
    await stage.remove(kind, name);
    const isNew = (object: KubeObject) => object.metadata.uid !== before.metadata.uid && isAsBefore(object);
    await stage.until(kind, name, 'is made again', isNew, 20_000);
  });
}

test('a drain takes one pod at a time', async () => {
  await healthy('guarded');
  const [first, second] = await stage.pods('guarded');
  assert.ok(first && second);
  const evict = ({ metadata: { name } }: KubeObject) =>
    stage.kubectl(
      ['create', '--raw', `/api/v1/namespaces/${NAMESPACE}/pods/${name}/eviction`, '-f', '-'],
      JSON.stringify({ apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name, namespace: NAMESPACE } }),
    );
  await evict(first);
  await assert.rejects(evict(second), /violate the pod's disruption budget/);
  await healthy('guarded');
});

test('what somebody else owns is told and left alone, until it is out of the way', async () => {
  const theirs = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'taken' },
    spec: { selector: { app: 'theirs' }, ports: [{ port: 80 }] },
  };
  await stage.apply(theirs);
  await stage.deployment('taken', detector());
  const told = await degraded('taken', 'OwnershipConflict');
  assert.match(told.status.message, /Service taken exists and belongs to somebody else/);
  const service = await stage.get('service', 'taken');
  assert.deepEqual(service?.spec.selector, { app: 'theirs' });
  await stage.remove('service', 'taken');
  await healthy('taken');
});

test('no two keys serve behind one Service after the Secret of the key was deleted', async () => {
  const { status } = await healthy('guarded');
  await stage.remove('secret', 'guarded-api-key');
  const [first] = await stage.pods('guarded');
  assert.ok(first);
  await stage.remove('pod', first.metadata.name);
  const renewed = await stage.until('modeldeployment', 'guarded', 'has started all pods again', (object) => {
    return isHealthy(object) && object.status.currentRevision !== status.currentRevision;
  });
  assert.ok(renewed.status.authSecret.renewedAt);
  const secret = await stage.get('secret', 'guarded-api-key');
  for (const { metadata } of await stage.pods('guarded')) {
    const started = Date.parse(metadata.creationTimestamp ?? '');
    assert.ok(started >= Date.parse(secret?.metadata.creationTimestamp ?? ''), metadata.name);
  }
});

test('a quota that leaves no room for pods is told, and forgotten once it is lifted', async () => {
  const quota = {
    apiVersion: 'v1',
    kind: 'ResourceQuota',
    metadata: { name: 'full' },
    spec: { hard: { pods: '1' } },
  };
  await stage.apply(quota);
  await stage.until('resourcequota', 'full', 'counts', ({ status }) => Number(status?.used?.pods ?? 0) > 0);
  await stage.deployment('limited', detector());
  const told = await degraded('limited', 'QuotaExceeded');
  assert.match(told.status.message, /exceeded quota: full, requested: pods=1/);
  await stage.remove('resourcequota', 'full');
  await healthy('limited');
  await stage.remove('modeldeployment', 'limited');
});

test('an autoscaler of the user scales a ModelDeployment by what its pods use', async () => {
  await stage.kubectl(['scale', 'modeldeployment/taken', '--replicas=2']);
  assert.equal((await healthy('taken')).status.readyReplicas, 2);
  const target = { type: 'Utilization', averageUtilization: 90 };
  await stage.apply({
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: 'theirs' },
    spec: {
      scaleTargetRef: { apiVersion: 'deepfake-operator.io/v1alpha1', kind: 'ModelDeployment', name: 'taken' },
      minReplicas: 3,
      maxReplicas: 3,
      metrics: [{ type: 'Resource', resource: { name: 'cpu', target } }],
    },
  });
  const scaled = await stage.until('modeldeployment', 'taken', 'has three pods', (object) => {
    return isHealthy(object) && object.status.readyReplicas === 3;
  });
  assert.equal(scaled.spec.replicas, 3);
  // It finds the pods by the selector of the scale subresource.
  await stage.until(
    'horizontalpodautoscaler',
    'theirs',
    'reads its metric',
    has('ScalingActive', 'True'),
    120_000,
  );
  await stage.remove('horizontalpodautoscaler', 'theirs');
  await stage.remove('modeldeployment', 'taken');
});

test('a pod without a free accelerator is told as such, and starts once one is free', async () => {
  const { count } = await ensureExtendedResource(stage.cluster.kubectl);
  await stage.deployment('holder', detector({ gpu: { count: Number(count) } }));
  await healthy('holder');
  await stage.deployment('waiting', detector({ gpu: { count: 1 } }));
  const told = await degraded('waiting', 'InsufficientGPU');
  assert.match(told.status.message, /nvidia\.com\/gpu/);
  await stage.remove('modeldeployment', 'holder');
  await healthy('waiting');
  await stage.remove('modeldeployment', 'waiting');
});

test('what changed while no operator ran is put right once one runs again', async () => {
  const pods = await list(stage.cluster, OPERATOR_NAMESPACE, 'pods', `app.kubernetes.io/instance=${RELEASE}`);
  const names = pods.map(({ metadata }) => metadata.name);
  const served = (await stage.pods('guarded')).map(({ metadata }) => metadata.uid).sort();
  const { kubectl } = stage.cluster;
  await kubectl(['-n', OPERATOR_NAMESPACE, 'delete', 'pods', ...names, '--grace-period=0', '--force']);
  const before = await stage.get('service', 'guarded');
  await stage.remove('service', 'guarded');
  const isNew = ({ metadata }: KubeObject) => metadata.uid !== before?.metadata.uid;
  await stage.until('service', 'guarded', 'is made again', isNew);
  await operatorRolledOut(stage.cluster);
  const still = await waitFor('the pods that served before serve on', 60_000, async () => {
    const now = (await stage.pods('guarded')).map(({ metadata }) => metadata.uid).sort();
    return now.length === served.length ? now : undefined;
  });
  assert.deepEqual(still, served);
});

test('a PodMonitor is made once the cluster has the kind', async () => {
  const monitor = await stage.until('podmonitor', 'guarded', 'is made', () => true, 60_000);
  assert.equal(monitor.metadata.labels?.['release'], 'prometheus');
  await stage.until('modeldeployment', 'guarded', 'says so', has('MonitoringActive', 'True'));
});
