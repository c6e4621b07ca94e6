/** DeepfakeModel against a real API server, with the rights of operator/rbac.ts. The test plays kubelet. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import {
  DEEPFAKE_MODEL,
  DEPLOYMENT,
  type DeepfakeModel,
  JOB,
  type Job,
  MODEL_DEPLOYMENT,
  type PersistentVolumeClaim,
  POD,
  type Pod,
  PVC,
  REPLICA_SET,
  type ReplicaSet,
} from '../../operator/controllers/kinds.ts';
import { readProgressAt } from '../../operator/controllers/model/progress.ts';
import { EVENT } from '../../operator/runtime/events.ts';
import {
  atRest,
  conditionOf,
  DIGEST_A,
  DIGEST_B,
  Environment,
  eventually,
  fetched,
  type Namespace,
} from './environment.ts';

const SHARED_A = 'weights-aaaaaaaaaaaaaaaa-rwo';
const SHARED_B = 'weights-bbbbbbbbbbbbbbbb-rwo';
const http = { source: { http: { url: 'https://h.test/m.tar.gz' } }, digest: DIGEST_A };
/** A failure is shown for half of this at least, and so seen by whoever looks late, ms. */
const RETRY = { baseMs: 10_000, capMs: 10_000 };

let environment: Environment;
let operator: Awaited<ReturnType<Environment['runOperator']>>;
/** Answers as a fetch pod does, for whichever pod is asked. */
let fetchPod: Server;
let progress = { receivedBytes: 0, totalBytes: 100_000_000 };
before(async () => {
  fetchPod = createServer((_request, response) => response.end(JSON.stringify(progress)));
  fetchPod.listen(0, '127.0.0.1');
  await once(fetchPod, 'listening');
  const url = `http://127.0.0.1:${(fetchPod.address() as AddressInfo).port}/progress`;
  environment = await Environment.start();
  operator = await environment.runOperator({
    readProgress: () => readProgressAt(url),
    progressMs: 100,
    retry: { soon: RETRY, seldom: RETRY },
  });
});
after(async () => {
  await operator.stop();
  await environment.stop();
  fetchPod.close();
});

const settled = () => new Promise((resolve) => setTimeout(resolve, 400));
const eventOf = (namespace: Namespace, name: string, reason: string) =>
  eventually(`event ${reason} of ${name}`, async () =>
    (await namespace.list(EVENT)).find((event) => event.reason === reason && event.regarding?.name === name),
  );
const reasonOf = (model: DeepfakeModel) => conditionOf(model, 'Ready')?.reason;
const untilReason = (namespace: Namespace, name: string, reason: string) =>
  namespace.until(DEEPFAKE_MODEL, name, (model) => reasonOf(model) === reason, `is ${reason}`);

/** A claim that a user made. */
function aClaim({ name: namespace }: Namespace, name: string, accessModes: readonly string[]) {
  const spec = { accessModes, resources: { requests: { storage: '1Gi' } } };
  const claim = { apiVersion: 'v1', kind: PVC.kind, metadata: { name, namespace }, spec };
  return environment.client.create(PVC, claim as PersistentVolumeClaim);
}

/** A pod of a Job or Deployment, in the state that kubelet would report. */
async function aPod({ name: namespace }: Namespace, from: Job, name: string, status: object): Promise<Pod> {
  const { template } = from.spec ?? {};
  const owner = { apiVersion: 'batch/v1', kind: 'Job', name: from.metadata.name, controller: true };
  const metadata = {
    name,
    namespace,
    labels: template?.metadata?.labels ?? {},
    ...(from.kind === 'Job' ? { ownerReferences: [{ ...owner, uid: from.metadata.uid ?? '' }] } : {}),
  };
  await environment.client.create(POD, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata,
    spec: template?.spec,
  } as Pod);
  return environment.client.patch(POD, { namespace, name }, { status }, { subresource: 'status' });
}

const containerStatus = (name: string, state: object) => ({
  name,
  image: 'i',
  imageID: '',
  ready: false,
  restartCount: 0,
  ...state,
});

/** Takes a claim away as the control plane would once no pod mounts it. */
async function releaseClaim(namespace: Namespace, name: string): Promise<void> {
  await namespace.patch(PVC, name, { metadata: { finalizers: null } });
}

const claimGoes = (namespace: Namespace, name: string) =>
  eventually(`claim ${name} is deleted`, async () => {
    const claim = await namespace.find(PVC, name);
    if (claim?.metadata.deletionTimestamp) await releaseClaim(namespace, name);
    return claim === undefined;
  });

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
      '--progress-port=8081',
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
      accessMode: 'ReadWriteOnce',
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
    const source = { pvc: { claimName: 'shared', path: 'a/b' } };
    await namespace.model('m', { source, digest: DIGEST_A });
    const absent = await namespace.untilModel('m', 'Failed');
    assert.equal(conditionOf(absent, 'Ready')?.reason, 'ClaimNotFound');
    await aClaim(namespace, 'shared', ['ReadWriteMany']);
    await namespace.patch(DEEPFAKE_MODEL, 'm', { metadata: { annotations: { looked: 'again' } } });
    const pod = (await namespace.fetchJob('m')).spec?.template.spec;
    assert.deepEqual(pod?.volumes?.[0]?.persistentVolumeClaim, { claimName: 'shared', readOnly: true });
    assert.equal(pod?.containers[0]?.volumeMounts?.[0]?.readOnly, true);
    await namespace.endFetch('m', fetched());
    const model = await namespace.untilModel('m', 'Ready');
    assert.deepEqual(model.status?.pvc, { claimName: 'shared', path: 'a/b', accessMode: 'ReadWriteMany' });
    assert.equal((await namespace.list(PVC)).length, 1);
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

    const deployment = await namespace.until(
      MODEL_DEPLOYMENT,
      'd',
      (live) => conditionOf(live, 'Degraded')?.reason === 'DigestMismatch',
      'passes it on',
    );
    assert.equal(deployment.status?.phase, 'Degraded');
    assert.match(
      conditionOf(deployment, 'ModelsReady')?.message ?? '',
      /DeepfakeModel m: DigestMismatch: wanted aaa/,
    );
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

  it('that fits no node begins anew with the edit that makes it fit', async () => {
    const namespace = await environment.namespace();
    await namespace.model('m', http);
    const first = await namespace.fetchJob('m');
    const unschedulable = {
      type: 'PodScheduled',
      status: 'False',
      reason: 'Unschedulable',
      message: 'no node',
    };
    await aPod(namespace, first, 'pending', { phase: 'Pending', conditions: [unschedulable] });
    await untilReason(namespace, 'm', 'Unschedulable');
    const template = { spec: { nodeSelector: { zone: 'z' } } };
    await namespace.patch(DEEPFAKE_MODEL, 'm', { spec: { fetch: { template } } });
    const [second, beside] = await eventually('the next attempt', async () => {
      const jobs = await namespace.list(JOB);
      const next = jobs.find(({ spec }) => spec?.template.spec?.nodeSelector?.['zone'] === 'z');
      return next && ([next, jobs.filter((job) => job !== next)] as const);
    });
    assert.deepEqual(
      beside.filter(({ metadata }) => metadata.deletionTimestamp === undefined),
      [],
    );
    await eventually(
      'the first attempt is gone',
      async () => (await namespace.find(JOB, first.metadata.name)) === undefined,
    );
    assert.match(second.metadata.name, /-2$/);
    await namespace.endFetch('m', fetched());
    assert.equal((await namespace.untilModel('m', 'Ready')).status?.fetch?.attempts, 2);
  });

  it("that fails while its claim is another one's is tried again once an edit came, in its turn", async () => {
    const namespace = await environment.namespace();
    const wrong = { ...http, version: '9.9.9' };
    await namespace.model('first', wrong);
    await namespace.endFetch('first', fetched());
    await untilReason(namespace, 'first', 'VersionMismatch');
    await namespace.model('second', http);
    // Not the Job, which is there before: whose turn it is can be read from a status alone.
    await untilReason(namespace, 'second', 'WeightsFetching');
    await namespace.patch(DEEPFAKE_MODEL, 'first', { spec: { fetch: { deadlineSeconds: 60 } } });
    await untilReason(namespace, 'first', 'WaitsForModel');
    await namespace.patch(DEEPFAKE_MODEL, 'first', { metadata: { annotations: { looked: 'again' } } });
    await namespace.endFetch('second', fetched());
    const job = await namespace.fetchJob('first');
    assert.match(job.metadata.name, /-2$/);
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
    await namespace.patch(DEEPFAKE_MODEL, 'm', { spec: { version: '0.2.0', storage } });
    await namespace.endFetch('m', fetched({ digest: DIGEST_B, version: '0.2.0' }));
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
    const used = ({ status }: DeepfakeModel) => status?.usedBy?.join() === 'user-a,user-b';
    await namespace.until(DEEPFAKE_MODEL, 'm', used, 'knows its users, for whom it has its finalizer');
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

  it('tells what else it waits for: its Secret, a node, who uses it', async () => {
    const namespace = await environment.namespace();
    await namespace.model('m', http);
    const job = await namespace.fetchJob('m');
    const waiting = { reason: 'CreateContainerConfigError', message: 'secret "token" not found' };
    await aPod(namespace, job, 'p', {
      phase: 'Pending',
      containerStatuses: [containerStatus('fetch', { state: { waiting } })],
    });
    const model = await untilReason(namespace, 'm', 'SecretNotFound');
    assert.match(model.status?.message ?? '', /^pod p: secret "token" not found$/);
    await namespace.deployment('d', { models: [{ name: 'm' }] });
    const used = ({ status }: DeepfakeModel) => status?.usedBy?.join() === 'd';
    await namespace.until(DEEPFAKE_MODEL, 'm', used, 'says who uses it');
  });

  it('on demand is fetched only once a ModelDeployment names it', async () => {
    const namespace = await environment.namespace();
    await namespace.model('m', { ...http, fetch: { policy: 'OnDemand' } });
    const waiting = await untilReason(namespace, 'm', 'NotUsed');
    assert.equal(waiting.status?.phase, 'Pending');
    await settled();
    assert.deepEqual([...(await namespace.list(PVC)), ...(await namespace.list(JOB))], []);
    await namespace.deployment('d', { models: [{ name: 'm' }] });
    await namespace.endFetch('m', fetched());
    await namespace.untilModel('m', 'Ready');
    await namespace.delete(MODEL_DEPLOYMENT, 'd');
    const free = ({ status }: DeepfakeModel) => status?.usedBy === undefined;
    const unused = await namespace.until(DEEPFAKE_MODEL, 'm', free, 'is used no more');
    assert.equal(unused.status?.phase, 'Ready');
  });

  it('says how far its fetch is, by whole percents', async () => {
    const namespace = await environment.namespace();
    progress = { receivedBytes: 43_210_000, totalBytes: 100_000_000 };
    await namespace.model('m', http);
    const job = await namespace.fetchJob('m');
    await aPod(namespace, job, 'p', {
      phase: 'Running',
      podIP: '127.0.0.1',
      containerStatuses: [containerStatus('fetch', { state: { running: {} }, ready: true })],
    });
    await namespace.deployment('d', { models: [{ name: 'm' }] });
    const told = (text: string) =>
      namespace.until(DEEPFAKE_MODEL, 'm', ({ status }) => status?.message === text, `says ${text}`);
    const first = await told('43 % (41 MiB of 95 MiB)');
    assert.equal(reasonOf(first), 'WeightsFetching');
    assert.equal(first.status?.phase, 'Fetching');
    assert.deepEqual(
      [first.status?.fetch?.receivedBytes, first.status?.fetch?.totalBytes],
      [43_210_000, 100_000_000],
    );
    const passedOn = await namespace.until(
      MODEL_DEPLOYMENT,
      'd',
      (deployment) => /43 %/.test(conditionOf(deployment, 'ModelsReady')?.message ?? ''),
      'passes it on',
    );
    assert.equal(conditionOf(passedOn, 'Available')?.status, 'False');
    const used = ({ status }: DeepfakeModel) => status?.usedBy?.join() === 'd';
    const { metadata } = await namespace.until(DEEPFAKE_MODEL, 'm', used, 'has nothing else to tell');
    progress = { receivedBytes: 43_990_000, totalBytes: 100_000_000 };
    await settled();
    const later = await namespace.find(DEEPFAKE_MODEL, 'm');
    assert.equal(later?.metadata.resourceVersion, metadata.resourceVersion);
    progress = { receivedBytes: 44_000_000, totalBytes: 100_000_000 };
    await told('44 % (42 MiB of 95 MiB)');
    await namespace.endFetch('m', fetched());
    const { status } = await namespace.untilModel('m', 'Ready');
    assert.deepEqual([status?.fetch?.receivedBytes, status?.sizeBytes], [undefined, 1_234_567]);
  });

  it('whose node is gone says so while its pod holds the volume', async () => {
    const namespace = await environment.namespace();
    await namespace.model('m', http);
    const job = await namespace.fetchJob('m');
    const ready = { type: 'Ready', status: 'False' };
    await aPod(namespace, job, 'p', {
      phase: 'Running',
      conditions: [ready],
      containerStatuses: [containerStatus('fetch', { state: { running: {} }, ready: true })],
    });
    const model = await untilReason(namespace, 'm', 'NodeNotReady');
    assert.match(model.status?.message ?? '', /does not answer/);
  });

  it('gets a template of the user into its Job, or says why not', async () => {
    const namespace = await environment.namespace();
    const template = (spec: object) => ({ deadlineSeconds: 90, template: { spec } });
    await namespace.model('m', { ...http, fetch: template({ nodeSelector: { disk: 'fast' } }) });
    const { spec } = await namespace.fetchJob('m');
    assert.equal(spec?.activeDeadlineSeconds, 90);
    assert.deepEqual(spec?.template.spec?.nodeSelector, { disk: 'fast' });
    const other = await environment.namespace();
    await other.model('m', { ...http, fetch: template({ hostNetwork: true }) });
    const failed = await other.untilModel('m', 'Failed');
    assert.equal(reasonOf(failed), 'ProtectedField');
    assert.deepEqual(await other.list(JOB), []);
  });
});

describe('the Job of a source', () => {
  const secretRef = { name: 's' };
  const sources: Record<string, object> = {
    http: { url: 'https://h.test/m.tar.gz', secretRef },
    s3: { bucket: 'bucket', prefix: 'p', endpoint: 'http://minio.test', secretRef },
    huggingFace: { repository: 'o/r', secretRef },
    oci: { reference: 'r.test/m:1', secretRef },
    configMap: { name: 'cm' },
  };
  for (const [kind, source] of Object.entries(sources)) {
    it(`${kind} is taken by the API server, names its credentials, and carries none`, async () => {
      const namespace = await environment.namespace();
      const fetch = { caConfigMapRef: { name: 'ca' } };
      await namespace.model('m', { source: { [kind]: source }, digest: DIGEST_A, fetch });
      const pod = (await namespace.fetchJob('m')).spec?.template.spec;
      const [argument = ''] = pod?.containers[0]?.args ?? [];
      assert.ok(argument.startsWith(`--source={"${kind}":{`), argument);
      assert.ok(!argument.includes('secretRef'));
      const named = JSON.stringify([pod?.containers[0]?.env, pod?.volumes]);
      assert.equal(named.includes('"s"'), kind !== 'configMap');
      assert.equal(named.includes('"ca"'), kind !== 'configMap');
      await namespace.endFetch('m', fetched());
      assert.equal((await namespace.untilModel('m', 'Ready')).status?.pvc?.claimName, SHARED_A);
    });
  }
});

describe('models of one digest', () => {
  it('share one claim: the oldest fetches, the others read what it has put there', async () => {
    const namespace = await environment.namespace();
    await namespace.model('first', http);
    const job = await namespace.fetchJob('first');
    const other = { source: { oci: { reference: 'r.test/m:1' } }, digest: DIGEST_A };
    await namespace.model('second', { ...other, storage: { pvc: { size: '3Gi' } } });
    const waiting = await untilReason(namespace, 'second', 'WaitsForModel');
    assert.match(
      waiting.status?.message ?? '',
      /DeepfakeModel first fetches .* PersistentVolumeClaim weights-/,
    );
    assert.deepEqual(
      (await namespace.list(JOB)).map(({ metadata }) => metadata.name),
      [job.metadata.name],
    );
    await namespace.endFetch('first', fetched());
    const verification = await namespace.fetchJob('second');
    const [container] = verification.spec?.template.spec?.containers ?? [];
    assert.equal(container?.args?.[0], `--source={"pvc":{"path":"${DIGEST_A.replace(':', '-')}"}}`);
    assert.equal(container?.volumeMounts?.[0]?.readOnly, true);
    await namespace.endFetch('second', fetched());
    const [first, second] = [
      await namespace.untilModel('first', 'Ready'),
      await namespace.untilModel('second', 'Ready'),
    ];
    assert.deepEqual(first.status?.pvc, second.status?.pvc);
    const [claim, ...more] = await namespace.list(PVC);
    assert.deepEqual([claim?.metadata.name, more.length], [SHARED_A, 0]);
    assert.deepEqual(claim?.metadata.ownerReferences?.map(({ name }) => name).sort(), ['first', 'second']);
    assert.ok(claim?.metadata.ownerReferences?.every(({ controller }) => controller === undefined));
  });

  it('try their own sources in turn while one after the other fails', async () => {
    const namespace = await environment.namespace();
    await namespace.model('first', http);
    await namespace.fetchJob('first');
    await namespace.model('second', { ...http, source: { oci: { reference: 'r.test/m:1' } } });
    await untilReason(namespace, 'second', 'WaitsForModel');
    await namespace.endFetch('first', { error: { reason: 'SourceUnreachable', message: 'down' } });
    const [argument = ''] =
      (await namespace.fetchJob('second')).spec?.template.spec?.containers[0]?.args ?? [];
    assert.ok(argument.startsWith('--source={"oci":'), argument);
    await untilReason(namespace, 'first', 'WaitsForModel');
    await namespace.endFetch('second', fetched());
    await namespace.untilModel('second', 'Ready');
    await namespace.endFetch('first', fetched());
    await namespace.untilModel('first', 'Ready');
  });

  it('keep their claim until the last of them is gone or wants another', async () => {
    const namespace = await environment.namespace();
    await namespace.model('a', http);
    await namespace.endFetch('a', fetched());
    await namespace.model('b', http);
    await namespace.endFetch('b', fetched());
    await namespace.untilModel('b', 'Ready');
    await namespace.patch(DEEPFAKE_MODEL, 'a', { spec: { digest: DIGEST_B } });
    await namespace.endFetch('a', fetched({ digest: DIGEST_B }));
    const moved = ({ status }: DeepfakeModel) => status?.pvc?.claimName === SHARED_B;
    await namespace.until(DEEPFAKE_MODEL, 'a', moved, 'has moved');
    const owners = ({ metadata }: PersistentVolumeClaim) =>
      metadata.ownerReferences?.map(({ name }) => name).join() === 'b';
    await namespace.until(PVC, SHARED_A, owners, 'is owned by the model that stays');
    await namespace.delete(DEEPFAKE_MODEL, 'b');
    await claimGoes(namespace, SHARED_A);
    assert.equal((await namespace.find(PVC, SHARED_B))?.metadata.deletionTimestamp, undefined);
  });

  it('do not share where they ask for other storage', async () => {
    const namespace = await environment.namespace();
    await namespace.model('rwo', http);
    await namespace.model('rwx', { ...http, storage: { pvc: { accessMode: 'ReadWriteMany' } } });
    await namespace.model('rox', { ...http, storage: { pvc: { accessMode: 'ReadOnlyMany' } } });
    await namespace.model('fast', { ...http, storage: { pvc: { storageClassName: 'fast' } } });
    for (const name of ['rwo', 'rwx', 'rox', 'fast']) await namespace.fetchJob(name);
    const claims = (await namespace.list(PVC)).map(({ metadata, spec }) => [
      metadata.name,
      spec?.accessModes,
    ]);
    assert.deepEqual(Object.fromEntries(claims), {
      [SHARED_A]: ['ReadWriteOnce'],
      [`${SHARED_A}-fast`]: ['ReadWriteOnce'],
      'weights-aaaaaaaaaaaaaaaa-rox': ['ReadWriteOnce', 'ReadOnlyMany'],
      'weights-aaaaaaaaaaaaaaaa-rwx': ['ReadWriteMany'],
    });
  });
});

describe('a claim', () => {
  const SPREAD = 'weights-aaaaaaaaaaaaaaaa-rwx';

  it('of one node leads fetch and serving pods to that node, one of any node does not', async () => {
    const namespace = await environment.namespace();
    await namespace.model('m', http);
    await namespace.model('n', { ...http, storage: { pvc: { accessMode: 'ReadWriteMany' } } });
    const tied = (await namespace.fetchJob('m')).spec?.template;
    const [term, ...more] =
      tied?.spec?.affinity?.podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
    assert.deepEqual([term?.topologyKey, more.length], ['kubernetes.io/hostname', 0]);
    const wanted = term?.labelSelector?.matchLabels ?? {};
    assert.deepEqual(Object.values(wanted), [SHARED_A]);
    assert.deepEqual({ ...tied?.metadata?.labels, ...wanted }, tied?.metadata?.labels);
    const free = (await namespace.fetchJob('n')).spec?.template;
    assert.equal(free?.spec?.affinity, undefined);
    await namespace.endFetch('m', fetched());
    await namespace.endFetch('n', fetched());
    await namespace.deployment('d', { models: [{ name: 'm' }, { name: 'n' }] });
    const { spec } = await namespace.until(DEPLOYMENT, 'd-stable', () => true, 'exists');
    const claims = spec?.template.spec?.volumes?.flatMap(
      ({ persistentVolumeClaim }) => persistentVolumeClaim?.claimName ?? [],
    );
    assert.deepEqual(claims, [SHARED_A, SPREAD]);
    assert.deepEqual({ ...spec?.template.metadata?.labels, ...wanted }, spec?.template.metadata?.labels);
    assert.deepEqual(
      spec?.template.spec?.affinity?.podAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.map(
        ({ labelSelector }) => labelSelector?.matchLabels,
      ),
      [wanted],
    );
  });

  it('goes when its models want another digest, and not before nothing mounts it', async () => {
    const namespace = await environment.namespace();
    await namespace.model('m', http);
    await namespace.endFetch('m', fetched());
    await namespace.deployment('d', { models: [{ name: 'm' }] });
    const deployment = await namespace.until(DEPLOYMENT, 'd-stable', () => true, 'exists');
    await aPod(namespace, deployment as unknown as Job, 'old', { phase: 'Running' });
    await namespace.patch(DEEPFAKE_MODEL, 'm', { spec: { digest: DIGEST_B } });
    await namespace.fetchJob('m');
    const served = (await namespace.find(DEEPFAKE_MODEL, 'm'))?.status?.pvc?.claimName;
    assert.equal(served, SHARED_A);
    await namespace.endFetch('m', fetched({ digest: DIGEST_B }));
    await namespace.until(
      DEPLOYMENT,
      'd-stable',
      ({ spec }) => JSON.stringify(spec?.template.spec?.volumes).includes(SHARED_B),
      'mounts the new claim',
    );
    await settled();
    assert.equal((await namespace.find(PVC, SHARED_A))?.metadata.deletionTimestamp, undefined);
    await namespace.delete(POD, 'old');
    await claimGoes(namespace, SHARED_A);
    assert.equal((await namespace.find(PVC, SHARED_B))?.metadata.deletionTimestamp, undefined);
  });

  it('stays while an older ReplicaSet may make another pod in place of one that ended', async () => {
    const namespace = await environment.namespace();
    await namespace.model('m', http);
    await namespace.endFetch('m', fetched());
    await namespace.deployment('d', { models: [{ name: 'm' }] });
    const { spec } = await namespace.until(DEPLOYMENT, 'd-stable', () => true, 'exists');
    const replicaSet = {
      apiVersion: REPLICA_SET.apiVersion,
      kind: REPLICA_SET.kind,
      metadata: { name: 'older', namespace: namespace.name, labels: spec?.template.metadata?.labels },
      spec: { replicas: 1, selector: spec?.selector, template: spec?.template },
    };
    await environment.client.create(REPLICA_SET, replicaSet as ReplicaSet);
    await namespace.patch(DEEPFAKE_MODEL, 'm', { spec: { digest: DIGEST_B } });
    await namespace.endFetch('m', fetched({ digest: DIGEST_B }));
    await namespace.until(
      DEPLOYMENT,
      'd-stable',
      (deployment) => JSON.stringify(deployment.spec?.template.spec?.volumes).includes(SHARED_B),
      'mounts the new claim',
    );
    await settled();
    assert.equal((await namespace.find(PVC, SHARED_A))?.metadata.deletionTimestamp, undefined);
    await namespace.patch(REPLICA_SET, 'older', { spec: { replicas: 0 } });
    // Kubernetes would have taken a pod away now.
    await namespace.patch(PVC, SHARED_A, { metadata: { annotations: { touched: 'true' } } });
    await claimGoes(namespace, SHARED_A);
  });

  it('goes when the package is read from a claim of the user instead', async () => {
    const namespace = await environment.namespace();
    await namespace.model('m', http);
    await namespace.endFetch('m', fetched());
    await namespace.untilModel('m', 'Ready');
    await aClaim(namespace, 'mine', ['ReadWriteOnce']);
    const source = { http: null, pvc: { claimName: 'mine', path: 'a' } };
    await namespace.patch(DEEPFAKE_MODEL, 'm', { spec: { source } });
    await namespace.endFetch('m', fetched());
    await claimGoes(namespace, SHARED_A);
    assert.equal((await namespace.untilModel('m', 'Ready')).status?.pvc?.claimName, 'mine');
    assert.equal((await namespace.find(PVC, 'mine'))?.metadata.deletionTimestamp, undefined);
  });

  it('that is retained stays, and is found by its label', async () => {
    const namespace = await environment.namespace();
    await namespace.model('m', { ...http, storage: { pvc: { retain: true } } });
    await namespace.endFetch('m', fetched());
    await namespace.untilModel('m', 'Ready');
    await namespace.delete(DEEPFAKE_MODEL, 'm');
    await settled();
    const claim = await namespace.find(PVC, SHARED_A);
    assert.deepEqual(
      [claim?.metadata.deletionTimestamp, claim?.metadata.labels?.['deepfake-operator.io/retain']],
      [undefined, 'true'],
    );
    // A model of that digest takes it over, and what it says holds from then on.
    await namespace.model('n', http);
    const adopted = ({ metadata }: PersistentVolumeClaim) =>
      metadata.ownerReferences?.[0]?.name === 'n' &&
      metadata.labels?.['deepfake-operator.io/retain'] === undefined;
    await namespace.until(PVC, SHARED_A, adopted, 'belongs to the other model');
  });

  it('of the user that lets in one pod only is refused', async () => {
    const namespace = await environment.namespace();
    await aClaim(namespace, 'mine', ['ReadWriteOncePod']);
    await namespace.model('m', { ...http, storage: { pvc: { existingClaim: 'mine' } } });
    const failed = await namespace.untilModel('m', 'Failed');
    assert.equal(reasonOf(failed), 'UnsupportedAccessMode');
  });
});

describe('a package that a pod finds damaged', () => {
  /** A serving pod that ended for the damage after the package was verified. */
  async function damagedPod(namespace: Namespace, name: string): Promise<void> {
    const deployment = await namespace.until(DEPLOYMENT, 'd-stable', () => true, 'exists');
    const message = JSON.stringify({ error: { reason: 'DigestMismatch', model: 'm', message: 'a.onnx' } });
    const startedAt = new Date(Date.now() + 2_000).toISOString().replace(/\.\d+Z/, 'Z');
    const terminated = { exitCode: 65, reason: 'Error', message, startedAt, finishedAt: startedAt };
    await aPod(namespace, deployment as unknown as Job, name, {
      phase: 'Running',
      containerStatuses: [
        containerStatus('inference', { restartCount: 1, state: {}, lastState: { terminated } }),
      ],
    });
  }

  it('is repaired, told, counted, and stays served meanwhile', async () => {
    const namespace = await environment.namespace();
    await namespace.model('m', http);
    const { metadata } = await namespace.endFetch('m', fetched());
    await namespace.deployment('d', { models: [{ name: 'm' }] });
    const before = await namespace.until(DEPLOYMENT, 'd-stable', () => true, 'exists');
    await damagedPod(namespace, 'p');
    const job = await namespace.fetchJob('m');
    assert.notEqual(job.metadata.name, metadata.name);
    assert.ok(job.spec?.template.spec?.containers[0]?.args?.includes('--repair'));
    const repairing = await untilReason(namespace, 'm', 'PackageDamaged');
    assert.equal(conditionOf(repairing, 'Verified')?.status, 'False');
    assert.deepEqual([repairing.status?.digest, repairing.status?.fetch?.repairs], [DIGEST_A, 1]);
    assert.match(
      (await eventOf(namespace, 'm', 'PackageDamaged')).note ?? '',
      /pod p: DigestMismatch: a\.onnx/,
    );
    await settled();
    const after = await namespace.find(DEPLOYMENT, 'd-stable');
    assert.equal(after?.metadata.generation, before.metadata.generation);
    await namespace.delete(POD, 'p');
    await namespace.endFetch('m', fetched());
    assert.equal((await namespace.untilModel('m', 'Ready')).status?.fetch?.repairs, 1);
  });

  it('is not repaired for what a pod said of it before it was fetched', async () => {
    const namespace = await environment.namespace();
    await namespace.model('m', http);
    await namespace.endFetch('m', fetched());
    await namespace.deployment('d', { models: [{ name: 'm' }] });
    const deployment = await namespace.until(DEPLOYMENT, 'd-stable', () => true, 'exists');
    const message = JSON.stringify({ error: { reason: 'DigestMismatch', model: 'm', message: 'a.onnx' } });
    const startedAt = '2026-01-01T00:00:00Z';
    const terminated = { exitCode: 65, message, startedAt, finishedAt: startedAt };
    await aPod(namespace, deployment as unknown as Job, 'p', {
      phase: 'Running',
      containerStatuses: [containerStatus('inference', { state: {}, lastState: { terminated } })],
    });
    await settled();
    const { status } = (await namespace.find(DEEPFAKE_MODEL, 'm')) ?? {};
    assert.deepEqual([status?.phase, status?.fetch?.repairs], ['Ready', undefined]);
  });
});

it('models come to rest: neither reads nor writes while nothing changes', async () => {
  const namespace = await environment.namespace();
  await namespace.model('a', http);
  await namespace.endFetch('a', fetched());
  await namespace.model('b', { ...http, storage: { pvc: { size: '1024Mi' } } });
  await namespace.endFetch('b', fetched());
  await namespace.untilModel('b', 'Ready');
  await aClaim(namespace, 'mine', ['ReadWriteOnce']);
  await namespace.model('c', { source: { pvc: { claimName: 'mine', path: 'p' } }, digest: DIGEST_A });
  await namespace.endFetch('c', fetched());
  await namespace.untilModel('c', 'Ready');
  await settled();
  const second = await environment.runOperator({ namespaces: [namespace.name] });
  const valuesOf = async (name: string) =>
    (await second.metrics.registry.getSingleMetric(name)?.get())?.values ?? [];
  const passes = async () =>
    (await valuesOf('controller_runtime_reconcile_total'))
      .filter(({ labels }) => labels['controller'] === 'deepfakemodel')
      .reduce((sum, { value }) => sum + value, 0);
  const requests = async () =>
    (await valuesOf('rest_client_requests_total')).map(({ labels, value }) => `${labels['method']} ${value}`);
  try {
    await eventually('every model was looked at', async () => (await passes()) >= 3);
    const [before, passed] = await atRest(
      'requests and passes',
      async () => [await requests(), await passes()] as const,
    );
    assert.ok(before.length > 0 && before.every((text) => text.startsWith('GET ')), `${before}`);
    for (const name of ['a', 'b', 'c']) {
      await namespace.patch(DEEPFAKE_MODEL, name, { metadata: { annotations: { touched: 'yes' } } });
    }
    await eventually('every model was looked at again', async () => (await passes()) >= passed + 3);
    await settled();
    assert.deepEqual(await requests(), before);
  } finally {
    await second.stop();
  }
});
