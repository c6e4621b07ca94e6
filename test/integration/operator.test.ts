/** Both controllers against a real API server, with the rights of operator/rbac.ts. The test plays kubelet. */
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
import { EVENT } from '../../operator/runtime/events.ts';
import type { Kind, KubeObject } from '../../operator/runtime/object.ts';
import {
  conditionOf,
  DIGEST_A,
  DIGEST_B,
  Environment,
  eventually,
  fetched,
  IMAGE,
  type Namespace,
} from './environment.ts';

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
const eventOf = (namespace: Namespace, name: string, reason: string) =>
  eventually(`event ${reason} of ${name}`, async () =>
    (await namespace.list(EVENT)).find((event) => event.reason === reason && event.regarding?.name === name),
  );

describe('DeepfakeModel', () => {
  it('becomes Ready through a claim and a Job, and says what it holds', async () => {
    const namespace = await environment.namespace();
    await namespace.model('m', {
      modality: 'image',
      source: { builtin: { name: 'b' } },
      storage: { pvc: { size: '64Mi' } },
    });
    const job = await namespace.fetchJob('m');
    const container = job.spec?.template.spec?.containers[0];
    assert.deepEqual(container?.command, ['node', 'inference/main.ts', 'fetch']);
    assert.deepEqual(container?.args, [
      '--source={"builtin":{"name":"b"}}',
      '--destination=/models',
      '--max-bytes=67108864',
    ]);
    assert.equal(job.spec?.backoffLimit, 0);
    const claim = await namespace.find(PVC, 'm-weights');
    assert.equal(claim?.spec?.resources?.requests?.['storage'], '64Mi');
    assert.equal((await namespace.untilModel('m', 'Pending')).status?.message, 'attempt 1 waits for its pod');

    await namespace.endFetch('m', fetched());
    const model = await namespace.untilModel('m', 'Ready');
    assert.equal(model.status?.digest, DIGEST_A);
    assert.equal(model.status?.sizeBytes, 1_234_567);
    assert.deepEqual(model.status?.pvc, {
      claimName: 'm-weights',
      path: DIGEST_A.replace(':', '-'),
      uid: claim?.metadata.uid,
    });
    assert.equal(model.status?.card?.version, '0.1.0');
    assert.equal(model.status?.fetch?.durationMs, 43);
    assert.equal(model.status?.observedGeneration, model.metadata.generation);
    for (const type of ['Fetched', 'Verified', 'Ready']) {
      const condition = conditionOf(model, type);
      assert.equal(condition?.status, 'True', type);
      assert.equal(condition?.observedGeneration, model.metadata.generation);
    }
    assert.match(
      (await eventOf(namespace, 'm', 'Verified')).note ?? '',
      /image-residual-cnn 0\.1\.0 verified/,
    );
  });

  it('hands over the credentials of an http source without reading them', async () => {
    const namespace = await environment.namespace();
    const http = { url: 'https://h.test/m.tar.gz', secretRef: { name: 'token', key: 'k' } };
    await namespace.model('m', { source: { http }, digest: DIGEST_A });
    const container = (await namespace.fetchJob('m')).spec?.template.spec?.containers[0];
    assert.deepEqual(container?.env, [
      { name: 'SOURCE_AUTHORIZATION', valueFrom: { secretKeyRef: { name: 'token', key: 'k' } } },
    ]);
    assert.equal(container?.args?.[0], '--source={"http":{"url":"https://h.test/m.tar.gz"}}');
  });

  it('verifies a package in place on a claim of the user, read-only, and makes no claim', async () => {
    const namespace = await environment.namespace();
    await namespace.model('m', { source: { pvc: { claimName: 'shared', path: 'a/b' } }, digest: DIGEST_A });
    const pod = (await namespace.fetchJob('m')).spec?.template.spec;
    assert.deepEqual(pod?.volumes?.[0]?.persistentVolumeClaim, { claimName: 'shared', readOnly: true });
    assert.equal(pod?.containers[0]?.volumeMounts?.[0]?.readOnly, true);
    await namespace.endFetch('m', fetched());
    const model = await namespace.untilModel('m', 'Ready');
    assert.deepEqual(model.status?.pvc, { claimName: 'shared', path: 'a/b' });
    assert.equal((await namespace.list(PVC)).length, 0);
  });

  it('tells a wrong digest, tries again later, and no pod is started from it', async () => {
    const namespace = await environment.namespace();
    await namespace.model('m', { source: { http: { url: 'https://h.test/m.tar.gz' } }, digest: DIGEST_A });
    await namespace.deployment('d', { models: [{ name: 'm' }] });
    const error = { reason: 'DigestMismatch', message: 'wanted aaa, got bbb' };
    const first = await namespace.endFetch('m', { error });
    const failed = await namespace.untilModel('m', 'Failed');
    assert.equal(conditionOf(failed, 'Ready')?.reason, 'DigestMismatch');
    assert.equal(conditionOf(failed, 'Verified')?.status, 'False');
    assert.match(failed.status?.message ?? '', /wanted aaa, got bbb \(attempt 1; next attempt at 20/);
    assert.equal((await eventOf(namespace, 'm', 'DigestMismatch')).type, 'Warning');

    const deployment = await namespace.untilDeployment('d', 'Degraded');
    assert.match(
      conditionOf(deployment, 'ModelsReady')?.message ?? '',
      /DeepfakeModel m: DigestMismatch: wanted aaa/,
    );
    assert.equal(conditionOf(deployment, 'Degraded')?.reason, 'DigestMismatch');
    assert.equal(await namespace.find(DEPLOYMENT, 'd-stable'), undefined);

    const second = await namespace.fetchJob('m');
    assert.notEqual(second.metadata.name, first.metadata.name);
    assert.ok(
      Date.parse(second.metadata.creationTimestamp ?? '') >=
        Date.parse(failed.status?.fetch?.nextRetryAt ?? ''),
    );
    await eventually(
      'the failed Job is gone',
      async () => (await namespace.find(JOB, first.metadata.name)) === undefined,
    );
    await namespace.endFetch('m', fetched());
    assert.equal((await namespace.untilModel('m', 'Ready')).status?.fetch?.attempts, 2);
    await namespace.until(DEPLOYMENT, 'd-stable', () => true, 'exists');
  });

  it('out of reach says why, and is tried again soon', async () => {
    const namespace = await environment.namespace();
    await namespace.model('m');
    const error = { reason: 'SourceUnreachable', message: 'connection refused' };
    const job = await namespace.endFetch('m', { error });
    const failed = await namespace.untilModel('m', 'Failed');
    assert.equal(conditionOf(failed, 'Fetched')?.reason, 'SourceUnreachable');
    assert.notEqual((await namespace.fetchJob('m')).metadata.name, job.metadata.name);
    const retried = await namespace.untilModel('m', 'Pending');
    assert.equal(conditionOf(retried, 'Fetched')?.reason, 'SourceUnreachable');
    assert.match(retried.status?.message ?? '', /attempt 2 waits for its pod; attempt 1: connection refused/);
  });

  it('is refused when the package is of another version or modality than asked', async () => {
    const namespace = await environment.namespace();
    await namespace.model('v', { source: { builtin: { name: 'b' } }, version: '9.9.9' });
    await namespace.endFetch('v', fetched());
    const failed = await namespace.untilModel('v', 'Failed');
    assert.equal(conditionOf(failed, 'Verified')?.reason, 'VersionMismatch');
    assert.equal(failed.status?.digest, undefined);
  });

  it('serves the old package until the new one is verified', async () => {
    const namespace = await environment.namespace();
    await namespace.readyModel('m', DIGEST_A);
    await namespace.deployment('d', { models: [{ name: 'm' }] });
    await namespace.until(DEPLOYMENT, 'd-stable', () => true, 'exists');
    await namespace.runPods('d-stable');
    const healthy = await namespace.untilDeployment('d', 'Healthy');

    await namespace.patch(DEEPFAKE_MODEL, 'm', { spec: { digest: DIGEST_B } });
    await namespace.endFetch('m', { error: { reason: 'DigestMismatch', message: 'not yet there' } });
    const failed = await namespace.untilModel('m', 'Failed');
    assert.equal(failed.status?.digest, DIGEST_A);
    assert.match(failed.status?.message ?? '', /sha256:a+ stays served meanwhile/);
    await settled();
    assert.equal(
      (await namespace.find(MODEL_DEPLOYMENT, 'd'))?.status?.currentRevision,
      healthy.status?.currentRevision,
    );

    await namespace.endFetch('m', fetched({ digest: DIGEST_B, version: '0.2.0' }));
    await namespace.untilModel('m', 'Ready');
    const rolling = await namespace.untilDeployment('d', 'Progressing');
    assert.notEqual(rolling.status?.currentRevision, healthy.status?.currentRevision);
    assert.equal(rolling.status?.stableRevision, healthy.status?.currentRevision);
    const pod = (await namespace.find(DEPLOYMENT, 'd-stable'))?.spec?.template.spec;
    assert.equal(pod?.containers[0]?.volumeMounts?.[0]?.subPath, DIGEST_B.replace(':', '-'));
  });

  it('fetches again when its claim was deleted, and stops being served meanwhile', async () => {
    const namespace = await environment.namespace();
    const before = await namespace.readyModel('m');
    const [firstJob] = await namespace.list(JOB);
    await environment.client.patch(
      PVC,
      { namespace: namespace.name, name: 'm-weights' },
      { metadata: { finalizers: null } },
    );
    await namespace.delete(PVC, 'm-weights');
    const job = await namespace.fetchJob('m');
    assert.notEqual(job.metadata.name, firstJob?.metadata.name);
    assert.notEqual((await namespace.find(PVC, 'm-weights'))?.metadata.uid, before.status?.pvc?.uid);
    const pending = await namespace.untilModel('m', 'Pending');
    assert.equal(pending.status?.digest, undefined);
    await namespace.endFetch('m', fetched());
    assert.notEqual((await namespace.untilModel('m', 'Ready')).status?.pvc?.uid, before.status?.pvc?.uid);
  });

  it('is fetched on, and says so, when its claim cannot grow', async () => {
    const namespace = await environment.namespace();
    await namespace.readyModel('m');
    const storage = { pvc: { size: '2Gi' } };
    await namespace.patch(DEEPFAKE_MODEL, 'm', { spec: { digest: DIGEST_B, storage } });
    await namespace.endFetch('m', fetched({ digest: DIGEST_B }));
    const model = await namespace.until(
      DEEPFAKE_MODEL,
      'm',
      ({ status }) => status?.phase === 'Ready' && status.digest === DIGEST_B,
      'is of the new digest',
    );
    const { status, reason, message } = conditionOf(model, 'ClaimResized') ?? {};
    assert.deepEqual([status, reason], ['False', 'ChildRejected']);
    assert.match(message ?? '', /refused PersistentVolumeClaim m-weights/);
    assert.match((await eventOf(namespace, 'm', 'ChildRejected')).note ?? '', /m-weights/);
    await namespace.patch(DEEPFAKE_MODEL, 'm', { spec: { storage: { pvc: { size: '1Gi' } } } });
    await namespace.until(
      DEEPFAKE_MODEL,
      'm',
      (live) => conditionOf(live, 'ClaimResized') === undefined,
      'has taken it back',
    );
  });

  it('in use is held when deleted, says by whom, and goes once unused', async () => {
    const namespace = await environment.namespace();
    await namespace.readyModel('m');
    await namespace.deployment('user-a', { models: [{ name: 'm' }] });
    await namespace.deployment('user-b', { models: [{ name: 'm' }] });
    await namespace.until(DEPLOYMENT, 'user-b-stable', () => true, 'exists');
    await namespace.delete(DEEPFAKE_MODEL, 'm');
    const held = await namespace.until(
      DEEPFAKE_MODEL,
      'm',
      (model) => conditionOf(model, 'DeletionBlocked') !== undefined,
      'is held',
    );
    assert.equal(held.status?.message, 'deletion waits: used by ModelDeployment user-a, user-b');
    assert.match((await eventOf(namespace, 'm', 'InUse')).note ?? '', /user-a, user-b/);
    await namespace.delete(MODEL_DEPLOYMENT, 'user-a');
    await namespace.until(
      DEEPFAKE_MODEL,
      'm',
      ({ status }) => status?.message?.endsWith('ModelDeployment user-b') ?? false,
      'names who is left',
    );
    await namespace.delete(MODEL_DEPLOYMENT, 'user-b');
    await eventually(
      'the model is gone',
      async () => (await namespace.find(DEEPFAKE_MODEL, 'm')) === undefined,
    );
  });

  it('is held back by a finalizer only while it is used', async () => {
    const namespace = await environment.namespace();
    const free = await namespace.readyModel('m');
    assert.equal(free.metadata.finalizers, undefined);
    await namespace.deployment('d', { models: [{ name: 'm' }] });
    const finalizers = (count: number) =>
      namespace.until(
        DEEPFAKE_MODEL,
        'm',
        ({ metadata }) => (metadata.finalizers?.length ?? 0) === count,
        `has ${count} finalizers`,
      );
    await finalizers(1);
    await namespace.delete(MODEL_DEPLOYMENT, 'd');
    await finalizers(0);
  });

  it('does not take a claim that is not its own', async () => {
    const namespace = await environment.namespace();
    const metadata = { name: 'm-weights', namespace: namespace.name };
    const spec = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } };
    await environment.client.create(PVC, { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata, spec });
    await namespace.model('m');
    const failed = await namespace.untilModel('m', 'Failed');
    assert.equal(conditionOf(failed, 'Ready')?.reason, 'OwnershipConflict');
    assert.equal((await namespace.list(JOB)).length, 0);
  });
});

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
        status?.phase === 'Progressing' && /absent: Fetching: attempt 1/.test(status.message ?? ''),
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
      const limits = { timeoutSeconds: 60, inactivityMs: 60_000, signal: watching.signal };
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
    await settled();
    const version = (kind: Kind | undefined, { metadata }: KubeObject) =>
      `${kind?.kind} ${metadata.name}@${metadata.resourceVersion}`;
    const versions = async () => {
      const kinds: readonly Kind[] = [DEEPFAKE_MODEL, MODEL_DEPLOYMENT, DEPLOYMENT, SERVICE, PDB, PVC, JOB];
      const objects = await Promise.all(kinds.map((kind) => namespace.list(kind)));
      return objects.flatMap((list, index) => list.map((object) => version(kinds[index], object)));
    };
    const before = await versions();
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
    await namespace.deployment('d', { models: [{ name: 'm' }], replicas: 1 });
    await namespace.until(PDB, 'd', () => true, 'exists');
    await namespace.runPods('d-stable');
    await namespace.untilDeployment('d', 'Healthy');
    await settled();
    const { metrics, stop } = await environment.runOperator({ namespaces: [namespace.name] });
    const counted = async (name: string) =>
      (await metrics.registry.getSingleMetric(name)?.get())?.values ?? [];
    await eventually('both controllers have looked', async () => {
      const passes = (await counted('controller_runtime_reconcile_total')).filter(({ value }) => value > 0);
      return new Set(passes.map(({ labels }) => labels['controller'])).size === 2;
    });
    await settled();
    await stop();
    const methods = (await counted('rest_client_requests_total')).map(({ labels }) => labels['method']);
    assert.deepEqual([...new Set(methods)], ['GET']);
  });
});
