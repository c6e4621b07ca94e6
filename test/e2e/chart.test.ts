/** The chart on the real cluster: two replicas, the death of the one that leads, and the way back. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Cluster, currentCluster } from '../../hack/lib/cluster.ts';
import { keepEvidence } from '../../hack/lib/cluster-evidence.ts';
import { CHART, helm, OPERATOR_NAMESPACE, operatorRolledOut, RELEASE } from '../../hack/lib/deploy.ts';
import { apply, condition, ensureNamespace, get, list, waitFor } from '../../hack/lib/kubectl.ts';
import { cacheDir } from '../../hack/lib/paths.ts';
import { clearNamespace } from './stage.ts';

const NAMESPACE = 'deepfake-chart-e2e';
const RELEASE_ARGS = [RELEASE, `--namespace=${OPERATOR_NAMESPACE}`];
const DETECTOR = 'after-failover';

let cluster: Cluster;

before(async () => {
  cluster = currentCluster();
  await clearNamespace(cluster, NAMESPACE);
  await ensureNamespace(cluster, NAMESPACE);
});

after(async () => {
  await keepEvidence(cluster, cacheDir('log', 'test', 'evidence-chart'));
  await clearNamespace(cluster, NAMESPACE);
});

const operatorPods = async () =>
  (await list(cluster, OPERATOR_NAMESPACE, 'pods', `app.kubernetes.io/instance=${RELEASE}`)).filter(
    ({ metadata }) => metadata.deletionTimestamp === undefined,
  );

/** The leader, once it is one of the living pods. */
const leader = (what: string, isIt: (pod: string) => boolean = () => true) =>
  waitFor(what, 60_000, async () => {
    const lease = await get(cluster, OPERATOR_NAMESPACE, 'lease', RELEASE);
    const holder: string | undefined = lease?.spec.holderIdentity;
    const living = (await operatorPods()).some(({ metadata }) => metadata.name === holder);
    return holder !== undefined && living && isIt(holder) ? holder : undefined;
  });

const logLevel = async () => {
  const deployment = await get(cluster, OPERATOR_NAMESPACE, 'deployment', RELEASE);
  const env: { name: string; value?: string }[] = deployment?.spec.template.spec.containers[0].env;
  return env.find(({ name }) => name === 'LOG_LEVEL')?.value;
};

const available = (what: string) =>
  waitFor(
    what,
    180_000,
    async () => {
      const detector = await get(cluster, NAMESPACE, 'modeldeployment', DETECTOR);
      return condition(detector, 'Available')?.status === 'True' ? detector : undefined;
    },
    async () => JSON.stringify((await get(cluster, NAMESPACE, 'modeldeployment', DETECTOR))?.status),
  );

let earlier: { readonly revision: number; readonly level: string | undefined };

test('an upgrade runs two replicas with what it changed, and keeps the other values', async () => {
  const history = JSON.parse(await helm(cluster, ['history', ...RELEASE_ARGS, '-o', 'json'])) as {
    revision: number;
  }[];
  earlier = { revision: history.at(-1)?.revision ?? 0, level: await logLevel() };
  const image = async () =>
    (await get(cluster, OPERATOR_NAMESPACE, 'deployment', RELEASE))?.spec.template.spec.containers[0].image;
  const before = await image();
  await helm(cluster, [
    'upgrade',
    ...RELEASE_ARGS,
    CHART,
    '--reset-then-reuse-values',
    '--set=replicas=2',
    '--set=logLevel=debug',
  ]);
  await operatorRolledOut(cluster);
  assert.equal((await operatorPods()).length, 2);
  assert.equal(await logLevel(), 'debug');
  assert.equal(await image(), before);
});

test('when the leader is killed the other takes over, and a ModelDeployment comes to serve', async () => {
  const first = await leader('one of the pods leads');
  await cluster.kubectl(['-n', OPERATOR_NAMESPACE, 'delete', 'pod', first, '--grace-period=0', '--force']);
  await leader('another pod leads', (pod) => pod !== first);
  const source = { builtin: { name: 'image-residual-cnn' } };
  const kind = (name: string, metadata: string, spec: object) =>
    JSON.stringify({
      apiVersion: 'deepfake-operator.io/v1alpha1',
      kind: name,
      metadata: { name: metadata },
      spec,
    });
  await apply(cluster, NAMESPACE, kind('DeepfakeModel', 'image-residual-cnn', { source }));
  const models = [{ name: 'image-residual-cnn' }];
  await apply(cluster, NAMESPACE, kind('ModelDeployment', DETECTOR, { models }));
  await available('the detector serves');
});

test('a pod overlay that would gain rights is refused by the policy of the release', async () => {
  const overlay = { models: [{ name: 'a' }], template: { spec: { hostNetwork: true } } };
  const manifest = {
    apiVersion: 'deepfake-operator.io/v1alpha1',
    kind: 'ModelDeployment',
    metadata: { name: 'greedy' },
    spec: overlay,
  };
  await assert.rejects(
    apply(cluster, NAMESPACE, JSON.stringify(manifest)),
    /the operator decides about .*hostNetwork/,
  );
});

test('a rollback brings the earlier values back, and what serves goes on', async () => {
  const pods = async () =>
    (await list(cluster, NAMESPACE, 'pods', 'app.kubernetes.io/name=deepfake-inference'))
      .map(({ metadata }) => metadata.uid)
      .sort();
  const serving = await pods();
  await helm(cluster, ['rollback', ...RELEASE_ARGS, String(earlier.revision)]);
  await operatorRolledOut(cluster);
  assert.equal(await logLevel(), earlier.level);
  await leader('a pod of the earlier revision leads');
  await available('the detector serves');
  assert.deepEqual(await pods(), serving);
});
