/** The quickstart on the real cluster: apply, become ready, analyse real media, break things, delete, leave nothing. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Cluster, currentCluster } from '../../hack/lib/cluster.ts';
import { keepEvidence } from '../../hack/lib/cluster-evidence.ts';
import { type Answer, analyze } from '../../hack/lib/demo/analyze.ts';
import { startLocalServer } from '../../hack/lib/demo/local-server.ts';
import {
  type OpenEndpoint,
  openEndpoint,
  quickstartManifests,
  SERVED_BY,
  waitUntilServing,
} from '../../hack/lib/demo/quickstart.ts';
import { SAMPLES } from '../../hack/lib/demo/samples.ts';
import { imagesOfCheckout } from '../../hack/lib/deploy.ts';
import { ensureExtendedResource } from '../../hack/lib/extended-resource.ts';
import { apply, condition, ensureNamespace, get, list, waitFor } from '../../hack/lib/kubectl.ts';
import { cacheDir, REPOSITORY } from '../../hack/lib/paths.ts';
import { clearNamespace } from './stage.ts';

const NAMESPACE = 'deepfake-e2e';
const API_VERSION = 'deepfake-operator.io/v1alpha1';
const CHILD_KINDS =
  'deployments,replicasets,pods,services,jobs,horizontalpodautoscalers,poddisruptionbudgets,persistentvolumeclaims,secrets';

let cluster: Cluster;
let image: string;

function manifest(kind: string, name: string, spec: unknown): string {
  return JSON.stringify({ apiVersion: API_VERSION, kind, metadata: { name }, spec });
}

async function withEndpoint<T>(name: string, use: (endpoint: OpenEndpoint) => Promise<T>): Promise<T> {
  const endpoint = await openEndpoint(cluster, NAMESPACE, name);
  try {
    return await use(endpoint);
  } finally {
    endpoint.close();
  }
}

before(async () => {
  cluster = currentCluster();
  ({ inference: image } = await imagesOfCheckout());
  await clearNamespace(cluster, NAMESPACE);
  await ensureNamespace(cluster, NAMESPACE);
});

after(async () => {
  // Of a failed run this is all that is left, and of a good one it costs a second.
  await keepEvidence(cluster, cacheDir('log', 'test', 'evidence'));
  await clearNamespace(cluster, NAMESPACE);
});

test('both detectors of the quickstart become ready, the one with a GPU limit too', async () => {
  await ensureExtendedResource(cluster.kubectl);
  await apply(cluster, NAMESPACE, quickstartManifests(SERVED_BY.image));
  await waitUntilServing(cluster, NAMESPACE, image, () => undefined);

  const selector = `deepfake-operator.io/model-deployment=${SERVED_BY.image}`;
  const [pod] = await list(cluster, NAMESPACE, 'pods', selector);
  assert.equal(pod?.spec.containers[0].resources.limits['nvidia.com/gpu'], '1');
  assert.equal(pod?.status.phase, 'Running');
});

test('a model reports the digest of the package that ships', async () => {
  for (const name of ['image-residual-cnn', 'audio-spectrogram-cnn']) {
    const manifestBytes = readFileSync(join(REPOSITORY, 'models', name, 'model.yaml'));
    const digest = `sha256:${createHash('sha256').update(manifestBytes).digest('hex')}`;
    const model = await get(cluster, NAMESPACE, 'deepfakemodel', name);
    assert.equal(model?.status.digest, digest);
    assert.equal(condition(model, 'Verified')?.status, 'True');
  }
});

test('pods answer as one local process does, and say which pod, model and digest answered', async (t) => {
  const local = await startLocalServer('local-key', join(tmpdir(), `deepfake-e2e-${process.pid}.log`));
  t.after(() => local.stop());
  for (const sample of SAMPLES) {
    const name = SERVED_BY[sample.modality];
    const [served, expected] = await withEndpoint(name, async (endpoint) => [
      (await analyze(endpoint, sample)).answer,
      (await analyze(local, sample)).answer,
    ]);
    assertSameVerdict(served, expected);
    const pods = await list(cluster, NAMESPACE, 'pods', `deepfake-operator.io/model-deployment=${name}`);
    assert.ok(pods.some((pod) => pod.metadata.name === served.served_by.pod));
    assert.equal(served.served_by.namespace, NAMESPACE);
    const model = await get(cluster, NAMESPACE, 'deepfakemodel', served.model.name);
    assert.equal(served.model.digest, model?.status.digest);
  }
});

function assertSameVerdict(
  served: Answer | undefined,
  expected: Answer | undefined,
): asserts served is Answer {
  assert.ok(served && expected);
  assert.equal(served.data.verdict, expected.data.verdict);
  assert.ok(served.data.score !== null && expected.data.score !== null);
  assert.ok(
    Math.abs(served.data.score - expected.data.score) < 0.02,
    `${served.data.score} in the cluster, ${expected.data.score} here`,
  );
}

test('a pod refuses a wrong key and a file that is no media', async () => {
  await withEndpoint(SERVED_BY.image, async ({ url, apiKey }) => {
    const post = (key: string) => {
      const form = new FormData();
      form.set('media', new Blob(['not a photograph']), 'photo.jpg');
      return fetch(`${url}/analyze`, { method: 'POST', headers: { 'x-api-key': key }, body: form });
    };
    assert.equal((await post('wrong')).status, 401);
    const refused = await post(apiKey);
    assert.equal(refused.status, 415);
    assert.match(((await refused.json()) as { message: string }).message, /no known media type/);
  });
});

test('what a person deletes or edits by hand is put right', async () => {
  const name = SERVED_BY.audio;
  const selector = `deepfake-operator.io/model-deployment=${name}`;
  const [deployment] = await list(cluster, NAMESPACE, 'deployments', selector);
  assert.ok(deployment);
  await cluster.kubectl(['-n', NAMESPACE, 'delete', 'service', name, '--wait=true']);
  await cluster.kubectl(['-n', NAMESPACE, 'delete', 'deployment', deployment.metadata.name, '--wait=true']);
  await waitFor('the Service and the Deployment come back', 60_000, async () => {
    const service = await get(cluster, NAMESPACE, 'service', name);
    const again = await get(cluster, NAMESPACE, 'deployment', deployment.metadata.name);
    return service && again && again.metadata.uid !== deployment.metadata.uid ? true : undefined;
  });
  await waitUntilServing(cluster, NAMESPACE, image, () => undefined);
});

test('a package with another digest than the spec names is never served', async () => {
  const wrong = `sha256:${'0'.repeat(64)}`;
  const source = { builtin: { name: 'image-residual-cnn' } };
  await apply(cluster, NAMESPACE, manifest('DeepfakeModel', 'wrong-digest', { source, digest: wrong }));
  await apply(
    cluster,
    NAMESPACE,
    manifest('ModelDeployment', 'wrong-detector', { models: [{ name: 'wrong-digest' }] }),
  );
  await waitFor('the mismatch is reported', 90_000, async () => {
    const model = await get(cluster, NAMESPACE, 'deepfakemodel', 'wrong-digest');
    return condition(model, 'Verified')?.reason === 'DigestMismatch' ? true : undefined;
  });
  const detector = await waitFor('the deployment says what it waits for', 30_000, async () => {
    const object = await get(cluster, NAMESPACE, 'modeldeployment', 'wrong-detector');
    return condition(object, 'Available')?.status === 'False' ? object : undefined;
  });
  assert.match(condition(detector, 'Available')?.message ?? '', /wrong-digest/);
  const selector = 'deepfake-operator.io/model-deployment=wrong-detector';
  assert.deepEqual(await list(cluster, NAMESPACE, 'deployments,pods', selector), []);
});

test('contradictory sources are refused by the API server with the reason', async () => {
  const source = { builtin: { name: 'image-residual-cnn' }, http: { url: 'http://example.test/a.tar.gz' } };
  await assert.rejects(
    apply(cluster, NAMESPACE, manifest('DeepfakeModel', 'contradiction', { source })),
    /exactly one of source\.builtin, source\.http, .* has to be set/,
  );
});

test('a model in use is held and says by whom', async () => {
  const name = 'audio-spectrogram-cnn';
  await cluster.kubectl(['-n', NAMESPACE, 'delete', 'deepfakemodel', name, '--wait=false']);
  const held = await waitFor('the model says who uses it', 30_000, async () => {
    const model = await get(cluster, NAMESPACE, 'deepfakemodel', name);
    return model?.status?.message?.includes(SERVED_BY.audio) ? model : undefined;
  });
  assert.ok(held.metadata.deletionTimestamp);
});

test('deleting everything leaves nothing behind', async () => {
  await cluster.kubectl([
    '-n',
    NAMESPACE,
    'delete',
    'modeldeployments,deepfakemodels',
    '--all',
    '--timeout=120s',
  ]);
  const ours = 'app.kubernetes.io/managed-by=deepfake-operator';
  const left = async () =>
    (await list(cluster, NAMESPACE, CHILD_KINDS, ours)).map(
      ({ kind, metadata }) => `${kind}/${metadata.name}`,
    );
  await waitFor(
    'all children go',
    120_000,
    async () => ((await left()).length === 0 ? true : undefined),
    async () => (await left()).join(', '),
  );
  await waitFor('the volumes go', 60_000, async () => {
    const volumes = JSON.parse(await cluster.kubectl(['get', 'pv', '-o', 'json'])) as {
      items: { spec: { claimRef?: { namespace: string } } }[];
    };
    return volumes.items.every(({ spec }) => spec.claimRef?.namespace !== NAMESPACE) ? true : undefined;
  });
});
