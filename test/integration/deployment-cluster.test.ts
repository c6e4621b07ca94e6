/** A ModelDeployment among the controllers of Kubernetes itself, in a cluster without dynamic resource allocation. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { DEPLOYMENT, HPA, MODEL_DEPLOYMENT, POD } from '../../operator/controllers/kinds.ts';
import type { Kind, KubeObject } from '../../operator/runtime/object.ts';
import { conditionOf, Environment, eventually, type Namespace } from './environment.ts';

let environment: Environment;
let operator: Awaited<ReturnType<Environment['runOperator']>>;
before(async () => {
  environment = await Environment.start({
    controllerManager: true,
    // As it was before resource.k8s.io/v1 came.
    extraArguments: {
      'kube-apiserver': ['--emulated-version=1.33'],
      'kube-controller-manager': ['--emulated-version=1.33'],
    },
  });
  operator = await environment.runOperator();
});
after(async () => {
  await operator.stop();
  await environment.stop();
});

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

it('an autoscaler scales a ModelDeployment through its scale subresource', async () => {
  const namespace = await deployed({});
  const { apiVersion, kind } = MODEL_DEPLOYMENT;
  await environment.client.create(HPA, {
    apiVersion: HPA.apiVersion,
    kind: HPA.kind,
    metadata: { name: 'theirs', namespace: namespace.name },
    spec: { minReplicas: 3, maxReplicas: 5, scaleTargetRef: { apiVersion, kind, name: 'd' } },
  } as KubeObject);
  await eventually(
    'three pods',
    async () => (await namespace.find(DEPLOYMENT, 'd-stable'))?.spec?.replicas === 3,
    90_000,
  );
  const { spec, status } = await namespace.until(
    MODEL_DEPLOYMENT,
    'd',
    (deployment) => deployment.status?.replicas === 3,
    'counts three pods',
  );
  assert.equal(spec.replicas, 3);
  assert.equal(status?.selector, 'deepfake-operator.io/model-deployment=d');
});

it('claims of devices that the cluster does not know are told, and no pods are made', async () => {
  const namespace = await deployed({ gpu: { resourceClaimName: 'c' } });
  const { status } = await degraded(namespace, 'ResourceClaimsNotSupported');
  assert.match(
    status?.message ?? '',
    /ResourceClaim c, and this cluster does not serve resource\.k8s\.io\/v1/,
  );
  assert.equal(await namespace.find(DEPLOYMENT, 'd-stable'), undefined);
});

it('pods that the cluster refuses are told by what refused them', async () => {
  const namespace = await environment.namespace();
  const quota: Kind = { apiVersion: 'v1', kind: 'ResourceQuota', plural: 'resourcequotas', namespaced: true };
  await namespace.readyModel('m');
  const finished = (await namespace.list(POD)).length;
  await environment.client.create(quota, {
    apiVersion: 'v1',
    kind: quota.kind,
    metadata: { name: 'none', namespace: namespace.name },
    spec: { hard: { 'count/pods': String(finished) } },
  } as KubeObject);
  await namespace.until(
    quota,
    'none',
    (live) => 'used' in ((live as { status?: object }).status ?? {}),
    'counts',
  );
  await namespace.deployment('d', { models: [{ name: 'm' }] });
  const { status } = await degraded(namespace, 'QuotaExceeded');
  assert.match(status?.message ?? '', /exceeded quota: none/);
});
