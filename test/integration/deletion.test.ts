/** With the controllers of Kubernetes itself: what is deleted leaves nothing of ours. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
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
import type { Kind } from '../../operator/runtime/object.ts';
import { Environment, eventually, NAMESPACE } from './environment.ts';

const REPLICA_SET: Kind = {
  apiVersion: 'apps/v1',
  kind: 'ReplicaSet',
  plural: 'replicasets',
  namespaced: true,
};
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
  await sleep(500);
  const before = await writes();
  assert.ok(before > 0);
  await sleep(1_500);
  assert.equal(await writes(), before);
});
