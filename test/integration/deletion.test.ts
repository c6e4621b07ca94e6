/** With the controllers of Kubernetes itself: what is deleted leaves nothing of ours. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  DEEPFAKE_MODEL,
  DEPLOYMENT,
  type DeepfakeModel,
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
import { atRest, conditionOf, DIGEST_A, Environment, eventually, fetched, NAMESPACE } from './environment.ts';

const REPLICA_SET: Kind = {
  apiVersion: 'apps/v1',
  kind: 'ReplicaSet',
  plural: 'replicasets',
  namespaced: true,
};
const QUOTA: Kind = { apiVersion: 'v1', kind: 'ResourceQuota', plural: 'resourcequotas', namespaced: true };
const CHILDREN: readonly Kind[] = [DEPLOYMENT, REPLICA_SET, POD, SERVICE, HPA, PDB, SECRET, JOB, PVC];

let environment: Environment;
let operator: Awaited<ReturnType<Environment['runOperator']>>;
before(async () => {
  environment = await Environment.start({ controllerManager: true });
  operator = await environment.runOperator();
});
after(async () => {
  await operator.stop();
  await environment.stop();
});

it('a model and its deployment go with all their children, a retained claim stays', async () => {
  const namespace = await environment.namespace();
  await namespace.readyModel('m');
  await namespace.model('kept', { source: { builtin: { name: 'b' } }, storage: { pvc: { retain: true } } });
  await namespace.deployment('d', { models: [{ name: 'm' }], autoscaling: { maxReplicas: 2 } });
  const children = async () => {
    const found = await Promise.all(CHILDREN.map((kind) => namespace.list(kind)));
    return found.flatMap((objects, index) =>
      objects.map(({ metadata }) => `${CHILDREN[index]?.kind} ${metadata.name}`),
    );
  };
  await eventually('every kind of child is there', async () => {
    const kinds = new Set((await children()).map((child) => child.split(' ')[0]));
    return CHILDREN.every(({ kind }) => kinds.has(kind));
  });
  await namespace.delete(DEEPFAKE_MODEL, 'm');
  await namespace.delete(DEEPFAKE_MODEL, 'kept');
  await namespace.delete(MODEL_DEPLOYMENT, 'd');
  await eventually(
    'only the retained claim is left',
    async () => (await children()).join() === 'PersistentVolumeClaim kept-weights',
    60_000,
  );
  assert.deepEqual(await namespace.list(DEEPFAKE_MODEL), []);
});

it('a model in use keeps its volume when it is deleted in the foreground', async () => {
  const namespace = await environment.namespace();
  await namespace.readyModel('m');
  await namespace.deployment('d', { models: [{ name: 'm' }] });
  await namespace.until(DEPLOYMENT, 'd-stable', () => true, 'exists');
  const claim = await namespace.until(
    PVC,
    'm-weights',
    ({ metadata }) => metadata.ownerReferences === undefined,
    'has no owner while it is used',
  );
  const key = { namespace: namespace.name, name: 'm' };
  await environment.client.delete(DEEPFAKE_MODEL, key, { propagationPolicy: 'Foreground' });
  const held = await namespace.until(
    DEEPFAKE_MODEL,
    'm',
    ({ metadata, status }) =>
      !metadata.finalizers?.includes('foregroundDeletion') &&
      status?.conditions?.some(({ type }) => type === 'DeletionBlocked') === true,
    'is held, the garbage collector done',
  );
  assert.equal(held.status?.phase, 'Ready');
  await sleep(1_000);
  const { uid, deletionTimestamp } = (await namespace.find(PVC, 'm-weights'))?.metadata ?? {};
  assert.deepEqual([uid, deletionTimestamp], [claim.metadata.uid, undefined]);
  assert.deepEqual(await namespace.list(JOB), []);
  await namespace.delete(MODEL_DEPLOYMENT, 'd');
  await eventually('the model and its claim are gone', async () => {
    const left = await Promise.all([namespace.find(DEEPFAKE_MODEL, 'm'), namespace.find(PVC, 'm-weights')]);
    return left.every((object) => object === undefined);
  });
});

it('a claim that models share goes with the last of them, however they are deleted', async () => {
  const namespace = await environment.namespace();
  const http = { source: { http: { url: 'https://h.test/m.tar.gz' } }, digest: DIGEST_A };
  for (const name of ['first', 'second']) {
    await namespace.model(name, http);
    await namespace.endFetch(name, fetched());
    await namespace.untilModel(name, 'Ready');
  }
  const [claim] = await namespace.list(PVC);
  assert.equal(claim?.metadata.ownerReferences?.length, 2);
  const key = { namespace: namespace.name, name: 'first' };
  await environment.client.delete(DEEPFAKE_MODEL, key, { propagationPolicy: 'Foreground' });
  const gone = async () => (await namespace.find(DEEPFAKE_MODEL, 'first')) === undefined;
  await eventually('the first model is gone', gone);
  const { name = '' } = claim?.metadata ?? {};
  const { metadata } = await namespace.until(
    PVC,
    name,
    (live) => live.metadata.ownerReferences?.map((owner) => owner.name).join() === 'second',
    'is owned by the other model alone',
  );
  assert.deepEqual([metadata.uid, metadata.deletionTimestamp], [claim?.metadata.uid, undefined]);
  await namespace.delete(DEEPFAKE_MODEL, 'second');
  await eventually('the claim is gone', async () => (await namespace.find(PVC, name)) === undefined);
});

it('a fetch whose pod a quota refuses says so, although only an event tells', async () => {
  const namespace = await environment.namespace();
  const metadata = { name: 'none', namespace: namespace.name };
  const quota = { apiVersion: 'v1', kind: QUOTA.kind, metadata, spec: { hard: { pods: '0' } } };
  await environment.client.create(QUOTA, quota as KubeObject);
  const enforced = (live: KubeObject) => 'status' in live && JSON.stringify(live.status).includes('used');
  await namespace.until(QUOTA, 'none', enforced, 'is enforced');
  await namespace.model('m');
  const blocked = await eventually(
    'the model says what the Job controller met',
    async () => {
      const model = await namespace.find(DEEPFAKE_MODEL, 'm');
      return conditionOf(model as DeepfakeModel, 'Ready')?.reason === 'QuotaExceeded' && model;
    },
    60_000,
  );
  assert.match(blocked.status?.message ?? '', /^Job m-fetch-.*: FailedCreate: .*exceeded quota: none/);
  assert.equal(blocked.status?.phase, 'Pending');
  // As long as it is there the Job controller has news of it, which its status passes on.
  await namespace.delete(DEEPFAKE_MODEL, 'm');
  await eventually('its Job is gone', async () => (await namespace.list(JOB)).length === 0);
});

it('a namespace goes with everything in it, a model in use included, and the operator comes to rest', async () => {
  const namespace = await environment.namespace();
  await namespace.readyModel('m');
  await namespace.deployment('d', { models: [{ name: 'm' }] });
  await namespace.until(DEPLOYMENT, 'd-stable', () => true, 'exists');
  await environment.client.delete(NAMESPACE, { name: namespace.name });
  const gone = async () => (await environment.client.find(NAMESPACE, { name: namespace.name })) === undefined;
  await eventually('the namespace is gone', gone, 60_000);
  const counted = async (name: string) =>
    (await operator.metrics.registry.getSingleMetric(name)?.get())?.values ?? [];
  const outcomes = (await counted('controller_runtime_reconcile_total'))
    .filter(({ value }) => value > 0)
    .map(({ labels }) => labels['result']);
  assert.ok(outcomes.includes('success'));
  assert.ok(!outcomes.includes('error'), outcomes.join());
  // A pass that is tried again and again would show.
  const writes = async () =>
    (await counted('rest_client_requests_total'))
      .filter(({ labels }) => labels['method'] !== 'GET')
      .reduce((sum, { value }) => sum + value, 0);
  const before = await atRest('writes', writes);
  assert.ok(before > 0);
  await sleep(1_500);
  assert.equal(await writes(), before);
});
