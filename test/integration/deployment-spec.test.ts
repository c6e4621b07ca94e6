/** What the spec of a ModelDeployment may ask for besides plain pods, against a real API server. The test plays kubelet. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { pino } from 'pino';
import { ensureBinaries } from '../../hack/lib/toolchain.ts';
import { DeploymentReconciler } from '../../operator/controllers/deployment/controller.ts';
import {
  BY_DEPLOYMENT,
  BY_PROBE,
  deploymentKeyOfChild,
  deploymentKeysOfAutoscaler,
  probeKeysOf,
} from '../../operator/controllers/deployment/indexes.ts';
import {
  DEEPFAKE_MODEL,
  DEPLOYMENT,
  type Deployment,
  HPA,
  type Job,
  MODEL_DEPLOYMENT,
  type ModelDeployment,
  NETWORK_POLICY,
  PDB,
  POD,
  POD_MONITOR,
  RESOURCE_CLAIM_TEMPLATE,
  SECRET,
  SERVICE,
} from '../../operator/controllers/kinds.ts';
import { type MergeFields, POD_SPEC_MERGE } from '../../operator/controllers/overlay.ts';
import { KubeClient } from '../../operator/runtime/client.ts';
import { systemClock } from '../../operator/runtime/clock.ts';
import { isConflict } from '../../operator/runtime/errors.ts';
import { EVENT, EventRecorder } from '../../operator/runtime/events.ts';
import { type Kind, type KubeObject, keyOf } from '../../operator/runtime/object.ts';
import { Store } from '../../operator/runtime/store.ts';
import { CRD, conditionOf, Environment, eventually, IMAGE, type Namespace } from './environment.ts';

let environment: Environment;
let operator: Awaited<ReturnType<Environment['runOperator']>>;
before(async () => {
  environment = await Environment.start();
  const client = KubeClient.fromFile(await environment.operatorKubeconfig(), { discoveryExpiryMs: 100 });
  operator = await environment.runOperator({
    client,
    deviceImages: { cuda: 'registry.test/inference-cuda:1' },
    optionalKindsMs: 200,
  });
});
after(async () => {
  await operator.stop();
  await environment.stop();
});

/** What the API server answers at a path. */
async function read(path: string): Promise<Record<string, unknown>> {
  const folder = await ensureBinaries(['kubectl'], (line) => process.stderr.write(`${line}\n`));
  const args = ['--kubeconfig', environment.controlPlane.kubeconfigPath, 'get', '--raw', path];
  const { stdout } = await promisify(execFile)(join(folder, 'kubectl'), args, { maxBuffer: 64 * 1024 ** 2 });
  return JSON.parse(stdout);
}

/** A ModelDeployment of a ready model. */
async function deployed(spec: object): Promise<Namespace> {
  const namespace = await environment.namespace();
  await namespace.readyModel('m');
  await namespace.deployment('d', { models: [{ name: 'm' }], ...spec });
  return namespace;
}

const degraded = (namespace: Namespace, reason: string) =>
  namespace.until(
    MODEL_DEPLOYMENT,
    'd',
    (deployment) => conditionOf(deployment, 'Degraded')?.reason === reason,
    `is degraded by ${reason}`,
  );
const child = (namespace: Namespace, accept: (live: Deployment) => boolean = () => true) =>
  namespace.until(DEPLOYMENT, 'd-stable', accept, 'is as wanted');
const podSpec = (live: Deployment) => live.spec?.template.spec;
const inference = (live: Deployment) => podSpec(live)?.containers.find(({ name }) => name === 'inference');
const gone = (namespace: Namespace, kind: Kind, name: string) =>
  eventually(`${kind.kind} ${name} is gone`, async () => (await namespace.find(kind, name)) === undefined);
const create = (namespace: Namespace, kind: Kind, name: string, content: object) =>
  environment.client.create(kind, {
    apiVersion: kind.apiVersion,
    kind: kind.kind,
    metadata: { name, namespace: namespace.name },
    ...content,
  } as KubeObject);

/** A pod of the Deployment, as a ReplicaSet makes it. */
async function podOf(namespace: Namespace): Promise<void> {
  const { spec } = await child(namespace);
  const labels = spec?.template.metadata?.labels ?? {};
  await environment.client.create(POD, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: namespace.name, labels },
    spec: spec?.template.spec,
  } as KubeObject);
}

describe('an overlay', () => {
  it('reaches the pods, and what it leaves out later goes again', async () => {
    const spec = {
      priorityClassName: 'high',
      tolerations: [{ key: 'gpu', operator: 'Exists' }],
      topologySpreadConstraints: [
        { topologyKey: 'kubernetes.io/hostname', whenUnsatisfiable: 'DoNotSchedule' },
      ],
      containers: [
        { name: 'sidecar', image: 'registry.test/sidecar:1' },
        { name: 'inference', env: [{ name: 'EXTRA', value: 'e' }] },
      ],
    };
    const namespace = await deployed({ template: { metadata: { labels: { team: 'a' } }, spec } });
    const live = await child(namespace);
    assert.equal(live.spec?.template.metadata?.labels?.['team'], 'a');
    assert.equal(podSpec(live)?.priorityClassName, 'high');
    assert.equal(podSpec(live)?.tolerations?.[0]?.key, 'gpu');
    assert.deepEqual(
      podSpec(live)?.topologySpreadConstraints?.map(({ whenUnsatisfiable, maxSkew }) => [
        whenUnsatisfiable,
        maxSkew,
      ]),
      [['DoNotSchedule', 1]],
    );
    assert.deepEqual(
      podSpec(live)?.containers.map(({ name }) => name),
      ['sidecar', 'inference'],
    );
    await namespace.patch(MODEL_DEPLOYMENT, 'd', { spec: { template: null } });
    const plain = await child(namespace, (now) => podSpec(now)?.containers.length === 1);
    assert.equal(podSpec(plain)?.priorityClassName, undefined);
    assert.equal(
      inference(plain)?.env?.some(({ name }) => name === 'EXTRA'),
      false,
    );
  });

  type Row = { what: string; spec: object; reason: string; message: RegExp };
  const rows: Row[] = [
    {
      what: 'with a misspelt field',
      spec: { nodeSelektor: { a: 'b' } },
      reason: 'ChildRejected',
      message: /refused Deployment d-stable: .*\.spec\.template\.spec\.nodeSelektor: field not declared/,
    },
    {
      what: 'with a value of another type',
      spec: { shareProcessNamespace: 'yes' },
      reason: 'ChildRejected',
      message: /\.spec\.template\.spec\.shareProcessNamespace: expected boolean/,
    },
    {
      what: 'with a value that is not allowed',
      spec: { tolerations: [{ key: 'a', operator: 'Foo' }] },
      reason: 'ChildRejected',
      message: /spec\.template\.spec\.tolerations\[0\]\.operator/,
    },
    {
      what: 'of a protected field',
      spec: { hostNetwork: true },
      reason: 'ProtectedField',
      message: /template\.spec\.hostNetwork: the operator decides/,
    },
    {
      what: 'that is no patch',
      spec: { topologySpreadConstraints: [{ maxSkew: 2 }] },
      reason: 'InvalidSpec',
      message: /topologySpreadConstraints\[0\]: lacks topologyKey/,
    },
  ];
  for (const { what, spec, reason, message } of rows) {
    it(`${what} is told, and pods stay as they are`, async () => {
      const namespace = await deployed({});
      const before = await child(namespace);
      await namespace.patch(MODEL_DEPLOYMENT, 'd', { spec: { template: { spec } } });
      const { status } = await degraded(namespace, reason);
      assert.match(status?.message ?? '', message);
      assert.equal((await child(namespace)).metadata.generation, before.metadata.generation);
    });
  }

  it('merges lists by the keys that the API server publishes', async () => {
    type Schema = {
      $ref?: string;
      allOf?: Schema[];
      items?: Schema;
      properties?: Record<string, Schema>;
      'x-kubernetes-patch-merge-key'?: string;
    };
    const { components } = (await read('/openapi/v3/api/v1')) as {
      components: { schemas: Record<string, Schema> };
    };
    const resolve = (schema: Schema): Schema => {
      const ref = schema.$ref ?? schema.allOf?.[0]?.$ref;
      return (ref && components.schemas[ref.replace('#/components/schemas/', '')]) || schema;
    };
    const published = (schema: Schema, path = ''): string[] =>
      Object.entries(resolve(schema).properties ?? {}).flatMap(([name, field]) => {
        const at = `${path}.${name}`;
        const mergeKey = field['x-kubernetes-patch-merge-key'];
        return [...(mergeKey ? [`${at} by ${mergeKey}`] : []), ...published(field.items ?? field, at)];
      });
    const ours = (fields: MergeFields, path = ''): string[] =>
      Object.entries(fields).flatMap(([name, field]) => {
        const at = `${path}.${name}`;
        return [`${at} by ${field.mergeKey}`, ...ours(field.fields ?? {}, at)];
      });
    // Owners of a claim that a volume makes: no pod of the operator has any to merge with.
    const owners = '.volumes.ephemeral.volumeClaimTemplate.metadata.ownerReferences by uid';
    const expected = published({ $ref: 'io.k8s.api.core.v1.PodSpec' }).filter((text) => text !== owners);
    assert.deepEqual(ours(POD_SPEC_MERGE).sort(), expected.sort());
  });
});

describe('a device', () => {
  it('has an image of its own', async () => {
    const gpu = { resourceName: 'nvidia.com/mig-1g.10gb', count: 2, runtimeClassName: 'nvidia' };
    const namespace = await deployed({ device: 'cuda', gpu });
    const live = await child(namespace);
    assert.equal(inference(live)?.image, 'registry.test/inference-cuda:1');
    assert.equal(inference(live)?.resources?.limits?.['nvidia.com/mig-1g.10gb'], '2');
    assert.equal(podSpec(live)?.runtimeClassName, 'nvidia');
  });

  it('without one is told, and has no pods', async () => {
    const namespace = await deployed({ device: 'tensorrt', gpu: {} });
    const { status } = await degraded(namespace, 'DeviceImageMissing');
    assert.match(status?.message ?? '', /INFERENCE_IMAGE_TENSORRT/);
    assert.equal(await namespace.find(DEPLOYMENT, 'd-stable'), undefined);
  });

  it('may come by a claim, and one that does not exist is told while pods wait', async () => {
    const namespace = await deployed({ gpu: { resourceClaimTemplateName: 't' } });
    const live = await child(namespace);
    assert.deepEqual(podSpec(live)?.resourceClaims, [
      { name: 'accelerator', resourceClaimTemplateName: 't' },
    ]);
    assert.deepEqual(inference(live)?.resources?.claims, [{ name: 'accelerator' }]);
    await podOf(namespace);
    const { status } = await degraded(namespace, 'ResourceClaimNotFound');
    assert.match(status?.message ?? '', /pods wait for ResourceClaimTemplate t/);
    const requests = [{ name: 'gpu', exactly: { deviceClassName: 'gpu.example.com' } }];
    await create(namespace, RESOURCE_CLAIM_TEMPLATE, 't', { spec: { spec: { devices: { requests } } } });
    const message = '0/1 nodes are available: 1 cannot allocate all claims.';
    const condition = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message };
    await namespace.patch(POD, 'p', { status: { conditions: [condition] } }, 'status');
    assert.match((await degraded(namespace, 'InsufficientGPU')).status?.message ?? '', /cannot allocate/);
  });
});

it('what a pod ended with is passed on', async () => {
  const namespace = await deployed({});
  await podOf(namespace);
  const lastWords = { error: { reason: 'DigestMismatch', model: 'm', message: 'graph.onnx differs' } };
  const terminated = { exitCode: 65, message: JSON.stringify(lastWords) };
  const status = {
    phase: 'Running',
    containerStatuses: [
      {
        name: 'inference',
        image: 'i',
        imageID: '',
        ready: false,
        restartCount: 1,
        lastState: { terminated },
      },
    ],
  };
  await namespace.patch(POD, 'p', { status }, 'status');
  const { status: told } = await degraded(namespace, 'PackageDamaged');
  assert.equal(told?.message, 'PackageDamaged: pod p: model m: DigestMismatch: graph.onnx differs');
});

it('what kubelet says in events of a pod that gets no container is passed on', async () => {
  const namespace = await deployed({});
  await podOf(namespace);
  const pod = await namespace.find(POD, 'p');
  await create(namespace, EVENT, 'p.1', {
    type: 'Warning',
    reason: 'FailedAttachVolume',
    note: 'Multi-Attach error for volume "pvc-1": already used by pod(s) other',
    action: 'Attach',
    reportingController: 'attachdetach-controller',
    reportingInstance: 'test',
    eventTime: '2026-01-01T00:00:00.000000Z',
    regarding: {
      apiVersion: 'v1',
      kind: 'Pod',
      name: 'p',
      namespace: namespace.name,
      uid: pod?.metadata.uid,
    },
  });
  const waiting = { reason: 'ContainerCreating' };
  const container = { name: 'inference', image: 'i', imageID: '', ready: false, restartCount: 0 };
  const status = {
    startTime: '2026-01-01T00:00:00Z',
    containerStatuses: [{ ...container, state: { waiting } }],
  };
  await namespace.patch(POD, 'p', { status }, 'status');
  const { status: told } = await degraded(namespace, 'VolumeInUse');
  assert.match(told?.message ?? '', /Pod p: FailedAttachVolume: Multi-Attach error/);
});

describe('a NetworkPolicy', () => {
  it('is there while the spec has the field, repaired when others change or delete it', async () => {
    const namespace = await deployed({ networkPolicy: { allowedNamespaces: ['web'] } });
    const is = (accept: (live: KubeObject) => boolean) =>
      namespace.until(NETWORK_POLICY, 'd', accept as never, 'is as wanted');
    const first = await is(() => true);
    assert.match(JSON.stringify(first), /"kubernetes.io\/metadata.name":"web"/);
    assert.match(JSON.stringify(first), /"kubernetes.io\/metadata.name":"operators"/);
    await namespace.patch(NETWORK_POLICY, 'd', { spec: { ingress: [{}] } });
    await is((live) => JSON.stringify(live).includes('"web"'));
    await namespace.delete(NETWORK_POLICY, 'd');
    await is(({ metadata }) => metadata.uid !== first.metadata.uid);
    await namespace.patch(MODEL_DEPLOYMENT, 'd', { spec: { networkPolicy: null } });
    await gone(namespace, NETWORK_POLICY, 'd');
  });

  it('of somebody else is told, and neither changed nor deleted; pods do not start unconfined', async () => {
    const namespace = await environment.namespace();
    await create(namespace, NETWORK_POLICY, 'd', { spec: { podSelector: {} } });
    await namespace.readyModel('m');
    await namespace.deployment('d', { models: [{ name: 'm' }], networkPolicy: {} });
    const { status } = await degraded(namespace, 'OwnershipConflict');
    assert.match(status?.message ?? '', /NetworkPolicy d exists and belongs to somebody else/);
    assert.equal(await namespace.find(DEPLOYMENT, 'd-stable'), undefined);
    await namespace.patch(MODEL_DEPLOYMENT, 'd', { spec: { networkPolicy: null } });
    await child(namespace);
    assert.deepEqual((await namespace.find(NETWORK_POLICY, 'd'))?.spec?.podSelector, {});
  });

  it('with a rule that is none is told by its field', async () => {
    const namespace = await deployed({ networkPolicy: { egress: [{ ports: [{ port: 70_000 }] }] } });
    const { status } = await degraded(namespace, 'ChildRejected');
    assert.match(status?.message ?? '', /refused NetworkPolicy d: .*spec\.egress\[1\]\.ports\[0\]\.port/);
  });
});

describe('a PodMonitor', () => {
  const definition = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'podmonitors.monitoring.coreos.com' },
    spec: {
      group: 'monitoring.coreos.com',
      scope: 'Namespaced',
      names: {
        kind: 'PodMonitor',
        listKind: 'PodMonitorList',
        plural: 'podmonitors',
        singular: 'podmonitor',
      },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: {
            openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
          },
        },
      ],
    },
  };
  const active = (namespace: Namespace, expected: string) =>
    namespace.until(
      MODEL_DEPLOYMENT,
      'd',
      (deployment) => {
        const condition = conditionOf(deployment, 'MonitoringActive');
        return `${condition?.status} ${condition?.reason}` === expected;
      },
      `has MonitoringActive ${expected}`,
    );

  it('appears once its kind is installed, is repaired, and its absence harms nobody', async () => {
    const namespace = await deployed({ monitoring: { podMonitor: { labels: { release: 'p' } } } });
    await active(namespace, 'False KindNotInstalled');
    await namespace.runPods('d-stable');
    await namespace.untilDeployment('d', 'Healthy');

    await environment.client.apply(CRD, definition as never, { fieldManager: 'test' });
    await active(namespace, 'True PodMonitorApplied');
    const monitor = await namespace.until(POD_MONITOR, 'd', () => true, 'exists');
    assert.equal(monitor.metadata.labels?.['release'], 'p');
    await namespace.delete(POD_MONITOR, 'd');
    await namespace.until(
      POD_MONITOR,
      'd',
      ({ metadata }) => metadata.uid !== monitor.metadata.uid,
      'is back',
    );
    await namespace.patch(MODEL_DEPLOYMENT, 'd', { spec: { monitoring: null } });
    await gone(namespace, POD_MONITOR, 'd');
    await namespace.until(
      MODEL_DEPLOYMENT,
      'd',
      (deployment) => conditionOf(deployment, 'MonitoringActive') === undefined,
      'says nothing of monitoring',
    );

    await namespace.patch(MODEL_DEPLOYMENT, 'd', { spec: { monitoring: { podMonitor: {} } } });
    await active(namespace, 'True PodMonitorApplied');
    await environment.client.delete(CRD, definition.metadata);
    await active(namespace, 'False KindNotInstalled');
  });
});

/** What works the ModelDeployment in the state that it is given as. */
async function reconcilerOf(namespace: Namespace, owner: ModelDeployment) {
  const { client } = environment;
  const of = async <T extends KubeObject>(kind: Kind<T>) => {
    const store = new Store<T>();
    const { items } = await client.list(kind, { namespace: namespace.name });
    for (const item of items) store.set(item);
    return store;
  };
  const autoscalers = await of(HPA);
  const pods = await of(POD);
  const deployments = await of(DEPLOYMENT);
  const jobs = new Store<Job>();
  jobs.addIndex(BY_PROBE, probeKeysOf);
  pods.addIndex(BY_PROBE, probeKeysOf);
  deployments.addIndex(BY_DEPLOYMENT, deploymentKeyOfChild);
  autoscalers.addIndex(BY_DEPLOYMENT, deploymentKeysOfAutoscaler);
  pods.addIndex(BY_DEPLOYMENT, deploymentKeyOfChild);
  const modelDeployments = new Store<ModelDeployment>();
  modelDeployments.set(owner);
  const log = pino({ level: 'silent' });
  const reconciler = new DeploymentReconciler({
    client,
    clock: systemClock,
    events: new EventRecorder({ client, log, controller: 'test.io/test', instance: 'test' }),
    image: IMAGE,
    deviceImages: {},
    operatorNamespace: 'default',
    modelDeployments,
    models: await of(DEEPFAKE_MODEL),
    pods,
    autoscalers,
    deployments,
    services: await of(SERVICE),
    disruptionBudgets: await of(PDB),
    networkPolicies: await of(NETWORK_POLICY),
    podMonitors: { state: () => 'absent', store: new Store() },
    httpRoutes: { state: () => 'absent', store: new Store() },
    jobs,
  });
  return { reconciler, key: keyOf(owner) };
}

describe('the API key', () => {
  it('of somebody else is neither used nor changed, until it goes', async () => {
    const namespace = await environment.namespace();
    await create(namespace, SECRET, 'd-api-key', { data: { 'api-key': 'Zm9yZWlnbg==' } });
    await namespace.readyModel('m');
    await namespace.deployment('d', { models: [{ name: 'm' }] });
    const { status } = await degraded(namespace, 'OwnershipConflict');
    assert.match(
      status?.message ?? '',
      /Secret d-api-key was there before: name it in spec\.auth\.secretRef/,
    );
    assert.equal(status?.authSecret, undefined);
    assert.equal(await namespace.find(DEPLOYMENT, 'd-stable'), undefined);
    assert.equal((await namespace.find(SECRET, 'd-api-key'))?.data?.['api-key'], 'Zm9yZWlnbg==');
    await namespace.delete(SECRET, 'd-api-key');
    await namespace.patch(MODEL_DEPLOYMENT, 'd', { metadata: { annotations: { look: 'again' } } });
    await child(namespace);
    assert.notEqual((await namespace.find(SECRET, 'd-api-key'))?.data?.['api-key'], 'Zm9yZWlnbg==');
  });

  it('stays ours in a pass whose cache has not heard yet that it is', async () => {
    const namespace = await deployed({});
    await child(namespace);
    const known = await namespace.until(
      MODEL_DEPLOYMENT,
      'd',
      ({ status }) => status?.authSecret !== undefined,
      'has a key',
    );
    const { status: _unheard, ...owner } = known;
    const metadata = {
      ...known.metadata,
      resourceVersion: String(Number(known.metadata.resourceVersion) - 1),
    };
    const { reconciler, key } = await reconcilerOf(namespace, { ...owner, metadata });
    const context = { signal: AbortSignal.timeout(60_000), log: pino({ level: 'silent' }) };
    await assert.rejects(reconciler.reconcile(key, context), isConflict);
    const { status } = await namespace.until(MODEL_DEPLOYMENT, 'd', () => true, 'exists');
    assert.deepEqual(status?.authSecret, known.status?.authSecret);
  });

  it('that was deleted is made again once pods do not all run', async () => {
    const namespace = await deployed({});
    await child(namespace);
    await namespace.delete(SECRET, 'd-api-key');
    await namespace.patch(MODEL_DEPLOYMENT, 'd', { metadata: { annotations: { look: 'again' } } });
    await namespace.until(SECRET, 'd-api-key', () => true, 'is back');
  });
});

it('every child that was deleted is back, and none is made twice', async () => {
  const namespace = await deployed({ autoscaling: { maxReplicas: 3 }, networkPolicy: {} });
  const children: readonly (readonly [Kind, string])[] = [
    [SERVICE, 'd'],
    [PDB, 'd'],
    [NETWORK_POLICY, 'd'],
    [DEPLOYMENT, 'd-stable'],
    [HPA, 'd-stable'],
  ];
  for (const [kind, name] of children) {
    const { metadata } = await namespace.until(kind, name, () => true, 'exists');
    await namespace.delete(kind, name);
    await namespace.until(kind, name, (live) => live.metadata.uid !== metadata.uid, 'is back');
  }
  for (const [kind] of children) assert.equal((await namespace.list(kind)).length, 1, kind.kind);
});

describe('autoscaling', () => {
  const autoscaler = (namespace: Namespace, apiVersion: string, kind: string, name: string) =>
    create(namespace, HPA, 'theirs', {
      spec: { maxReplicas: 4, scaleTargetRef: { apiVersion, kind, name } },
    });

  it('begins at its minimum where there were no pods, for no autoscaler scales from zero', async () => {
    const namespace = await deployed({ replicas: 0 });
    await namespace.until(DEPLOYMENT, 'd-stable', ({ spec }) => spec?.replicas === 0, 'has no pods');
    const autoscaling = { minReplicas: 2, maxReplicas: 3 };
    await namespace.patch(MODEL_DEPLOYMENT, 'd', { spec: { replicas: null, autoscaling } });
    await namespace.until(DEPLOYMENT, 'd-stable', ({ spec }) => spec?.replicas === 2, 'has two pods');
  });

  it('of the ModelDeployment itself goes through its scale', async () => {
    const namespace = await deployed({});
    await child(namespace);
    await namespace.runPods('d-stable');
    await namespace.untilDeployment('d', 'Healthy');
    await namespace.patch(MODEL_DEPLOYMENT, 'd', { spec: { replicas: 3 } }, 'scale');
    await child(namespace, ({ spec }) => spec?.replicas === 3);
    const { apiVersion, plural } = MODEL_DEPLOYMENT;
    const scale = await read(`/apis/${apiVersion}/namespaces/${namespace.name}/${plural}/d/scale`);
    assert.deepEqual(scale['status'], { replicas: 1, selector: 'deepfake-operator.io/model-deployment=d' });
  });

  it('of the Deployment by somebody else is told, until it goes', async () => {
    const namespace = await deployed({});
    await child(namespace);
    await autoscaler(namespace, 'apps/v1', 'Deployment', 'd-stable');
    const told = await degraded(namespace, 'AutoscalerConflict');
    assert.equal(conditionOf(told, 'AutoscalingActive')?.status, 'False');
    assert.match(told.status?.message ?? '', /HorizontalPodAutoscaler theirs scales Deployment d-stable/);
    await namespace.delete(HPA, 'theirs');
    const rest = (deployment: ModelDeployment) =>
      conditionOf(deployment, 'Degraded')?.status === 'False' &&
      conditionOf(deployment, 'AutoscalingActive') === undefined;
    await namespace.until(MODEL_DEPLOYMENT, 'd', rest, 'is at peace');
  });

  it('of the ModelDeployment by somebody else is told only beside ours', async () => {
    const namespace = await deployed({ autoscaling: { maxReplicas: 3 } });
    await autoscaler(namespace, MODEL_DEPLOYMENT.apiVersion, 'ModelDeployment', 'd');
    await degraded(namespace, 'AutoscalerConflict');
    await namespace.patch(MODEL_DEPLOYMENT, 'd', { spec: { autoscaling: null } });
    await gone(namespace, HPA, 'd-stable');
    await namespace.until(
      MODEL_DEPLOYMENT,
      'd',
      (deployment) => conditionOf(deployment, 'Degraded')?.status === 'False',
      'is at peace',
    );
    assert.ok(await namespace.find(HPA, 'theirs'));
  });
});
