/** `kubectl deepfake` on the real cluster: found by kubectl, through the API server's proxy, a forwarded port and kubelet's logs. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Cluster, currentCluster } from '../../hack/lib/cluster.ts';
import { waitUntilServing } from '../../hack/lib/demo/quickstart.ts';
import { imagesOfCheckout } from '../../hack/lib/deploy.ts';
import { apply, condition, ensureNamespace, get, waitFor } from '../../hack/lib/kubectl.ts';
import { REPOSITORY } from '../../hack/lib/paths.ts';
import { LAUNCHER, linkPlugin, type Plugin } from './plugin.ts';
import { clearNamespace } from './stage.ts';

const NAMESPACE = 'deepfake-e2e-plugin';
const API_VERSION = 'deepfake-operator.io/v1alpha1';
const MODEL = 'image-residual-cnn';
const PHOTOGRAPH = join(REPOSITORY, 'test/fixtures/media/photograph-fake.jpg');

let cluster: Cluster;
let plugin: Plugin;

const deepfake = (words: readonly string[]) => plugin.run(words);

function manifest(kind: string, name: string, spec: unknown): string {
  return JSON.stringify({ apiVersion: API_VERSION, kind, metadata: { name, namespace: NAMESPACE }, spec });
}

before(async () => {
  cluster = currentCluster();
  plugin = await linkPlugin(cluster, NAMESPACE);
  await clearNamespace(cluster, NAMESPACE);
  await ensureNamespace(cluster, NAMESPACE);
  await apply(cluster, NAMESPACE, manifest('DeepfakeModel', MODEL, { source: { builtin: { name: MODEL } } }));
  await apply(cluster, NAMESPACE, manifest('ModelDeployment', 'faces', { models: [{ name: MODEL }] }));
  const { inference } = await imagesOfCheckout();
  await waitUntilServing(cluster, NAMESPACE, inference, () => undefined);
});

after(async () => {
  await clearNamespace(cluster, NAMESPACE);
  await plugin.remove();
});

test('status shows the tree down to the pod, and models what is served', async () => {
  const status = await deepfake(['status', 'faces']);
  assert.equal(status.stderr, '');
  assert.equal(status.code, 0);
  assert.match(status.stdout, /^Status: +✔ Healthy$/m);
  assert.match(status.stdout, new RegExp(`─ ${MODEL} +DeepfakeModel +✔ Ready `));
  assert.match(
    status.stdout,
    /─ revision \w+ +ReplicaSet +✔ 1\/1 ready .* current and stable, faces-stable-/,
  );
  assert.match(status.stdout, /─ faces-stable-\S+ +Pod +✔ Running .* ready/);
  const models = await deepfake(['models']);
  assert.match(models.stdout, new RegExp(`^${MODEL} +✔ Ready .* faces `, 'm'));
});

for (const route of ['proxy', 'port-forward']) {
  test(`analyze by ${route} prints a verdict with the pod that gave it`, async () => {
    const { code, stdout, stderr } = await deepfake(['analyze', PHOTOGRAPH, '--via', route]);
    assert.equal(stderr, '');
    assert.equal(code, 0);
    assert.match(stdout, /^Verdict: +DEEPFAKE$/m);
    assert.match(stdout, /^Pod: +faces-stable-/m);
  });

  test(`analyze by ${route} passes on what the pod refuses`, async () => {
    const key = await deepfake(['analyze', PHOTOGRAPH, '--via', route, '--api-key', 'wrong']);
    assert.equal(key.code, 1);
    assert.match(key.stderr, /answered 401: .*: give the right key with --api-key/);
    const text = await deepfake(['analyze', LAUNCHER, '--via', route]);
    assert.match(text.stderr, /answered 415: .*no known media type/);
  });
}

test('logs prints the last words of a pod that waits to be started again', async () => {
  const overlay = {
    spec: { containers: [{ name: 'inference', env: [{ name: 'MAX_QUEUE', value: 'long' }] }] },
  };
  const resources = { requests: { cpu: '100m', memory: '256Mi' } };
  const spec = { models: [{ name: MODEL }], resources, template: overlay };
  await apply(cluster, NAMESPACE, manifest('ModelDeployment', 'crashing', spec));
  await waitFor('it crashes again and again', 120_000, async () => {
    const crashing = await get(cluster, NAMESPACE, 'modeldeployment', 'crashing');
    return condition(crashing, 'Degraded')?.reason === 'CrashLoopBackOff' ? true : undefined;
  });
  const logs = await deepfake(['logs', 'crashing']);
  assert.equal(logs.stderr, '');
  assert.match(logs.stdout, /^\[crashing-stable-\S+\] .*configuration: MAX_QUEUE/m);
  const status = await deepfake(['status', 'crashing']);
  // Between two starts kubelet says `Error` for a moment; the problem stands beside it either way.
  assert.match(status.stdout, /✖ (CrashLoopBackOff|Error) .*CrashLoopBackOff: exit code 2 .*MAX_QUEUE/);
  await cluster.kubectl(['-n', NAMESPACE, 'delete', 'modeldeployment', 'crashing', '--timeout=60s']);
});

test('logs prints what the pods say, each line with its pod', async () => {
  const logs = await deepfake(['logs', 'faces']);
  assert.equal(logs.stderr, '');
  assert.match(logs.stdout, /^\[faces-stable-\S+\] \{.*"verdict":"DEEPFAKE"/m);
  const tail = await deepfake(['logs', 'faces', '--tail', '1']);
  assert.equal(tail.stdout.trim().split('\n').length, 1);
});
