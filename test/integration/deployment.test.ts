/** ModelDeployment against a real API server, with the rights of operator/rbac.ts. The test plays kubelet. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import {
  DEEPFAKE_MODEL,
  DEPLOYMENT,
  HPA,
  JOB,
  MODEL_DEPLOYMENT,
  PDB,
  POD,
  PVC,
  SECRET,
  SERVICE,
} from '../../operator/controllers/kinds.ts';
import type { Kind, KubeObject } from '../../operator/runtime/object.ts';
import { atRest, conditionOf, DIGEST_A, Environment, eventually, IMAGE } from './environment.ts';

let environment: Environment;
let operator: Awaited<ReturnType<Environment['runOperator']>>;
before(async () => {
  environment = await Environment.start();
  operator = await environment.runOperator();
});
after(async () => {
  await operator.stop();
  await environment.stop();
});

const settled = () => new Promise((resolve) => setTimeout(resolve, 400));

describe('ModelDeployment', () => {
  it('waits for its models and says for which', async () => {
    const namespace = await environment.namespace();
    await namespace.deployment('d', { models: [{ name: 'absent' }] });
    const waiting = await namespace.untilDeployment('d', 'Degraded');
    assert.equal(waiting.status?.message, 'ModelNotFound: DeepfakeModel absent does not exist');
    await namespace.model('absent');
    await namespace.until(
      MODEL_DEPLOYMENT,
      'd',
      ({ status }) =>
        status?.phase === 'Progressing' && /absent: WeightsFetching: attempt 1/.test(status.message ?? ''),
      'passes on what the model says',
    );
    assert.equal(await namespace.find(DEPLOYMENT, 'd-stable'), undefined);
  });

  it('makes its children and reports them Healthy', async () => {
    const namespace = await environment.namespace();
    await namespace.readyModel('m');
    await namespace.deployment('d', {
      models: [{ name: 'm' }],
      autoscaling: { minReplicas: 2, maxReplicas: 4, targetCPUUtilizationPercentage: 55 },
      disruption: { minAvailable: 1 },
    });
    await namespace.until(DEPLOYMENT, 'd-stable', () => true, 'exists');
    const autoscaler = await namespace.until(HPA, 'd-stable', () => true, 'exists');
    assert.equal(autoscaler.spec?.minReplicas, 2);
    assert.equal(autoscaler.spec?.metrics?.[0]?.resource?.target.averageUtilization, 55);
    assert.equal((await namespace.find(PDB, 'd'))?.spec?.minAvailable, 1);
    assert.deepEqual((await namespace.find(SERVICE, 'd'))?.spec?.ports?.[0]?.targetPort, 'http');
    const secret = await namespace.find(SECRET, 'd-api-key');
    assert.match(Buffer.from(secret?.data?.['api-key'] ?? '', 'base64').toString(), /^[-\w]{32}$/);
    assert.equal((await namespace.find(DEPLOYMENT, 'd-stable'))?.spec?.replicas, 2);

    // Once the count is the autoscaler's, the operator has applied for the second time.
    await namespace.until(
      DEPLOYMENT,
      'd-stable',
      ({ metadata }) => metadata.generation === 2,
      'is handed over',
    );
    await namespace.runPods('d-stable', 2);
    const healthy = await namespace.untilDeployment('d', 'Healthy');
    assert.equal(healthy.status?.readyReplicas, 2);
    assert.equal(healthy.status?.stableRevision, healthy.status?.currentRevision);
    assert.deepEqual(healthy.status?.models, [{ name: 'm', version: '0.1.0', digest: DIGEST_A }]);
    assert.deepEqual(healthy.status?.authSecret, { name: 'd-api-key', key: 'api-key' });
    for (const [type, status] of [
      ['Available', 'True'],
      ['Progressing', 'True'],
      ['Degraded', 'False'],
      ['Ready', 'True'],
      ['ModelsReady', 'True'],
    ] as const) {
      assert.equal(conditionOf(healthy, type)?.status, status, type);
      assert.equal(conditionOf(healthy, type)?.observedGeneration, healthy.metadata.generation);
    }
  });

  it('repairs what others change in its children, and makes deleted ones again', async () => {
    const namespace = await environment.namespace();
    await namespace.readyModel('m');
    await namespace.deployment('d', { models: [{ name: 'm' }], replicas: 2 });
    await namespace.until(DEPLOYMENT, 'd-stable', () => true, 'exists');
    await namespace.patch(DEPLOYMENT, 'd-stable', {
      metadata: { labels: { 'app.kubernetes.io/managed-by': 'somebody' } },
      spec: { replicas: 7, template: { spec: { terminationGracePeriodSeconds: 10 } } },
    });
    await namespace.patch(SERVICE, 'd', { spec: { selector: { wrong: 'pods' } } });
    await namespace.until(
      DEPLOYMENT,
      'd-stable',
      ({ metadata, spec }) =>
        spec?.replicas === 2 &&
        spec.template.spec?.terminationGracePeriodSeconds === 60 &&
        metadata.labels?.['app.kubernetes.io/managed-by'] === 'deepfake-operator',
      'is repaired',
    );
    for (const [kind, name] of [
      [SERVICE, 'd'],
      [PDB, 'd'],
      [DEPLOYMENT, 'd-stable'],
    ] as [Kind, string][]) {
      const uid = (await namespace.find(kind, name))?.metadata.uid;
      await namespace.delete(kind, name);
      await namespace.until(kind, name, ({ metadata }) => metadata.uid !== uid, 'is made again');
    }
  });

  it('starts all pods again with the new key when the Secret of their key was deleted', async () => {
    const namespace = await environment.namespace();
    await namespace.readyModel('m');
    await namespace.deployment('d', { models: [{ name: 'm' }], replicas: 2 });
    await namespace.runPods('d-stable', 2);
    const before = await namespace.untilDeployment('d', 'Healthy');
    const keyOf = async () => (await namespace.find(SECRET, 'd-api-key'))?.data?.['api-key'];
    const key = await keyOf();
    await namespace.delete(SECRET, 'd-api-key');
    // A pod that begins has no key to begin with.
    await namespace.patch(DEPLOYMENT, 'd-stable', { status: { availableReplicas: 1 } }, 'status');
    const after = await namespace.until(
      MODEL_DEPLOYMENT,
      'd',
      ({ status }) => status?.currentRevision !== before.status?.currentRevision,
      'has another revision',
    );
    assert.match(after.status?.authSecret?.renewedAt ?? '', /Z$/);
    const renewed = await keyOf();
    assert.ok(renewed !== undefined && renewed !== key);
    await namespace.runPods('d-stable', 2);
    const healthy = await namespace.untilDeployment('d', 'Healthy');
    assert.equal(healthy.status?.authSecret?.renewedAt, after.status?.authSecret?.renewedAt);
    assert.equal(await keyOf(), renewed);
  });

  it('gives an autoscaled Deployment its label back without touching the count', async () => {
    const namespace = await environment.namespace();
    await namespace.readyModel('m');
    await namespace.deployment('d', { models: [{ name: 'm' }], autoscaling: { maxReplicas: 9 } });
    const handedOver = ({ metadata }: KubeObject) => metadata.generation === 2;
    await namespace.until(DEPLOYMENT, 'd-stable', handedOver, 'is handed over');
    await namespace.patch(DEPLOYMENT, 'd-stable', { spec: { replicas: 6 } }, 'scale');
    const counts: (number | undefined)[] = [];
    const label = 'app.kubernetes.io/managed-by';
    await namespace.patch(DEPLOYMENT, 'd-stable', { metadata: { labels: { [label]: 'somebody' } } });
    await namespace.until(
      DEPLOYMENT,
      'd-stable',
      ({ metadata, spec }) => {
        counts.push(spec?.replicas);
        return metadata.labels?.[label] === 'deepfake-operator';
      },
      'has its label back',
    );
    await settled();
    counts.push((await namespace.find(DEPLOYMENT, 'd-stable'))?.spec?.replicas);
    assert.deepEqual([...new Set(counts)], [6]);
  });

  it('leaves the count to the autoscaler, and takes it back without a jump', async () => {
    const namespace = await environment.namespace();
    await namespace.readyModel('m');
    await namespace.deployment('d', { models: [{ name: 'm' }], replicas: 3 });
    const replicas = (count: number) =>
      namespace.until(
        DEPLOYMENT,
        'd-stable',
        ({ spec }) => spec?.replicas === count,
        `has ${count} replicas`,
      );
    const { metadata } = await replicas(3);
    const seen: number[] = [];
    const watching = new AbortController();
    const watch = (async () => {
      const scope = { namespace: namespace.name, resourceVersion: metadata.resourceVersion ?? '' };
      const limits = { timeoutSeconds: 300, inactivityMs: 300_000, signal: watching.signal };
      for await (const { object } of environment.client.watch(DEPLOYMENT, { ...scope, ...limits })) {
        seen.push((object as KubeObject & { spec: { replicas: number } }).spec.replicas);
      }
    })().catch(() => undefined);
    await namespace.patch(MODEL_DEPLOYMENT, 'd', {
      spec: { replicas: null, autoscaling: { maxReplicas: 9 } },
    });
    await namespace.until(
      DEPLOYMENT,
      'd-stable',
      (live) =>
        live.metadata.managedFields?.some(({ manager }) => manager === 'deepfake-operator-scale') ?? false,
      'was handed over',
    );
    await namespace.patch(DEPLOYMENT, 'd-stable', { spec: { replicas: 5 } }, 'scale');
    await settled();
    await replicas(5);
    await namespace.patch(MODEL_DEPLOYMENT, 'd', { spec: { replicas: 5, autoscaling: null } });
    await eventually(
      'the autoscaler is gone',
      async () => (await namespace.find(HPA, 'd-stable')) === undefined,
    );
    await namespace.patch(MODEL_DEPLOYMENT, 'd', { spec: { replicas: 4 } });
    await replicas(4);
    await eventually('the watch is as far', () => seen.includes(4));
    watching.abort();
    await watch;
    assert.deepEqual([...new Set(seen)], [3, 5, 4]);
  });

  it('does not take a Service that is not its own, and says so', async () => {
    const namespace = await environment.namespace();
    await namespace.readyModel('m');
    const metadata = { name: 'd', namespace: namespace.name };
    const spec = { ports: [{ port: 1234 }] };
    await environment.client.create(SERVICE, { apiVersion: 'v1', kind: 'Service', metadata, spec });
    await namespace.deployment('d', { models: [{ name: 'm' }] });
    const degraded = await namespace.untilDeployment('d', 'Degraded');
    assert.equal(conditionOf(degraded, 'Degraded')?.reason, 'OwnershipConflict');
    assert.match(degraded.status?.message ?? '', /Service d exists and belongs to somebody else/);
    assert.equal((await namespace.find(SERVICE, 'd'))?.spec?.ports?.[0]?.port, 1234);
  });

  it('passes on what the API server says of a child that it refuses', async () => {
    const namespace = await environment.namespace();
    await namespace.readyModel('m');
    const autoscaling = { maxReplicas: 2, metrics: [{ type: 'Resource' }] };
    await namespace.deployment('d', { models: [{ name: 'm' }], autoscaling });
    const degraded = await namespace.untilDeployment('d', 'Degraded');
    assert.equal(conditionOf(degraded, 'Degraded')?.reason, 'ChildRejected');
    assert.match(degraded.status?.message ?? '', /refused HorizontalPodAutoscaler d-stable/);
  });

  it('passes on what keeps its pods from running', async () => {
    const namespace = await environment.namespace();
    await namespace.readyModel('m');
    await namespace.deployment('d', { models: [{ name: 'm' }], gpu: {} });
    const { spec } = await namespace.until(DEPLOYMENT, 'd-stable', () => true, 'exists');
    assert.deepEqual(spec?.template.spec?.containers[0]?.resources?.limits?.['nvidia.com/gpu'], '1');
    await environment.client.create(POD, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p', namespace: namespace.name, labels: spec?.template.metadata?.labels ?? {} },
      spec: spec?.template.spec,
    } as KubeObject);
    const message = '0/3 nodes are available: 3 Insufficient nvidia.com/gpu.';
    const condition = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message };
    await namespace.patch(POD, 'p', { status: { conditions: [condition] } }, 'status');
    const degraded = await namespace.untilDeployment('d', 'Degraded');
    assert.equal(conditionOf(degraded, 'Degraded')?.reason, 'InsufficientGPU');
    assert.match(degraded.status?.message ?? '', /3 Insufficient nvidia\.com\/gpu/);
  });

  it('holds a rollout while paused', async () => {
    const namespace = await environment.namespace();
    await namespace.readyModel('m');
    await namespace.deployment('d', { models: [{ name: 'm' }], paused: true });
    await namespace.untilDeployment('d', 'Paused');
    assert.equal((await namespace.find(DEPLOYMENT, 'd-stable'))?.spec?.paused, true);
    await namespace.patch(MODEL_DEPLOYMENT, 'd', { spec: { paused: false } });
    await namespace.until(DEPLOYMENT, 'd-stable', ({ spec }) => !spec?.paused, 'goes on');
  });

  it('asks for the key that the user names, and makes none', async () => {
    const namespace = await environment.namespace();
    await namespace.readyModel('m');
    await namespace.deployment('d', {
      models: [{ name: 'm' }],
      auth: { secretRef: { name: 'mine', key: 'k' } },
    });
    const { spec } = await namespace.until(DEPLOYMENT, 'd-stable', () => true, 'exists');
    const apiKey = spec?.template.spec?.containers[0]?.env?.find(({ name }) => name === 'API_KEY');
    assert.deepEqual(apiKey?.valueFrom?.secretKeyRef, { name: 'mine', key: 'k' });
    assert.equal(spec?.template.spec?.containers[0]?.image, IMAGE.name);
    assert.equal((await namespace.list(SECRET)).length, 0);
  });

  it('comes to rest: nothing is written while nothing changes', async () => {
    const namespace = await environment.namespace();
    await namespace.readyModel('m');
    await namespace.deployment('d', { models: [{ name: 'm' }], replicas: 1 });
    await namespace.runPods('d-stable');
    await namespace.untilDeployment('d', 'Healthy');
    const version = (kind: Kind | undefined, { metadata }: KubeObject) =>
      `${kind?.kind} ${metadata.name}@${metadata.resourceVersion}`;
    const versions = async () => {
      const kinds: readonly Kind[] = [DEEPFAKE_MODEL, MODEL_DEPLOYMENT, DEPLOYMENT, SERVICE, PDB, PVC, JOB];
      const objects = await Promise.all(kinds.map((kind) => namespace.list(kind)));
      return objects.flatMap((list, index) => list.map((object) => version(kinds[index], object)));
    };
    const before = await atRest('objects', versions);
    const passes = async () => {
      const counter = operator.metrics.registry.getSingleMetric('controller_runtime_reconcile_total');
      const { values = [] } = (await counter?.get()) ?? {};
      return ['deepfakemodel', 'modeldeployment'].map((name) =>
        values
          .filter(({ labels }) => labels['controller'] === name)
          .reduce((sum, { value }) => sum + value, 0),
      );
    };
    const passesBefore = await passes();
    // An annotation is no part of what is asked for, but brings a pass of both controllers.
    const metadata = { annotations: { touched: 'yes' } };
    const touched = [
      version(DEEPFAKE_MODEL, await namespace.patch(DEEPFAKE_MODEL, 'm', { metadata })),
      version(MODEL_DEPLOYMENT, await namespace.patch(MODEL_DEPLOYMENT, 'd', { metadata })),
    ];
    await eventually('both controllers have looked again', async () => {
      const now = await passes();
      return now.every((count, index) => count > (passesBefore[index] ?? 0));
    });
    await settled();
    const news = (await versions()).filter((text) => !before.includes(text));
    assert.deepEqual(news, touched);
  });

  it('is left alone by an operator that starts anew, one that watches this namespace alone', async () => {
    const namespace = await environment.namespace();
    await namespace.readyModel('m');
    const optional = { networkPolicy: {}, monitoring: { podMonitor: {} }, autoscaling: { maxReplicas: 2 } };
    await namespace.deployment('d', { models: [{ name: 'm' }], ...optional });
    const handedOver = ({ metadata }: KubeObject) => metadata.generation === 2;
    await namespace.until(DEPLOYMENT, 'd-stable', handedOver, 'is handed over');
    await namespace.runPods('d-stable');
    await namespace.untilDeployment('d', 'Healthy');
    await atRest('models', () => namespace.list(DEEPFAKE_MODEL));
    const { metrics, stop } = await environment.runOperator({ namespaces: [namespace.name] });
    const counted = async (name: string) =>
      (await metrics.registry.getSingleMetric(name)?.get())?.values ?? [];
    const passesOf = async (controller: string) =>
      (await counted('controller_runtime_reconcile_total'))
        .filter(({ labels }) => labels['controller'] === controller)
        .reduce((sum, { value }) => sum + value, 0);
    const requests = async () =>
      (await counted('rest_client_requests_total')).map(
        ({ labels, value }) => `${labels['method']} ${value}`,
      );
    try {
      for (const controller of ['deepfakemodel', 'modeldeployment']) {
        await eventually(`${controller} has looked`, async () => (await passesOf(controller)) > 0);
      }
      const [before, passes] = await atRest(
        'requests and passes',
        async () => [await requests(), await passesOf('modeldeployment')] as const,
      );
      assert.ok(
        before.every((text) => text.startsWith('GET ')),
        before.join(),
      );
      await namespace.patch(MODEL_DEPLOYMENT, 'd', { metadata: { annotations: { touched: 'yes' } } });
      await eventually('it has looked again', async () => (await passesOf('modeldeployment')) > passes);
      await settled();
      assert.deepEqual(await requests(), before, 'a pass at rest asks the API server for nothing');
    } finally {
      await stop();
    }
  });
});
