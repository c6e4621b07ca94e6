/** Packages from sources other than the image, on real volumes: fetched, resumed, shared, repaired, replaced and let go. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { imagesOfCheckout } from '../../hack/lib/deploy.ts';
import { condition, type KubeObject, waitFor } from '../../hack/lib/kubectl.ts';
import { type Archive, archiveMap, archiveOf, configMap, withVersion } from './archives.ts';
import { has, isHealthy, openStage, pod, type Stage } from './stage.ts';

const NAMESPACE = 'deepfake-e2e-sources';
const SERVER = 'packages';
const KEY = 'Bearer of-the-test';
const DAMAGED_EXIT_CODE = 65;
/** Small enough for two cores, together with whatever else runs. */
const RESOURCES = { requests: { cpu: '100m', memory: '256Mi' }, limits: { memory: '1Gi' } };

let stage: Stage;
let image: string;
let first: Archive;
let second: Archive;

async function startServer(): Promise<void> {
  const code = readFileSync(join(import.meta.dirname, 'package-server.ts'), 'utf8');
  const maps = Object.entries({ first, second }).map(([name, archive]) => archiveMap(name, archive));
  const labels = { app: SERVER };
  const sources = ['first', 'second'].map((name) => ({ configMap: { name } }));
  await stage.apply(
    ...maps,
    configMap('server', { data: { 'package-server.ts': code } }),
    { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'key' }, stringData: { authorization: KEY } },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: SERVER },
      spec: { selector: labels, ports: [{ port: 80, targetPort: 8080 }] },
    },
    pod(SERVER, image, ['node', '/server/package-server.ts', '/packages', KEY], {
      labels,
      volumes: [
        { name: 'server', configMap: { name: 'server' } },
        { name: 'packages', projected: { sources } },
      ],
      container: {
        readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
        volumeMounts: [
          { name: 'server', mountPath: '/server' },
          { name: 'packages', mountPath: '/packages' },
        ],
      },
    }),
  );
  await stage.until('pod', SERVER, 'answers', has('Ready', 'True'));
}

const url = (path: string) => `http://${SERVER}.${NAMESPACE}.svc/${path}`;

interface Request {
  readonly path: string;
  readonly from: number;
  readonly status: number;
}

/** What the server was asked for under a path, in order. */
async function requests(path: string): Promise<Request[]> {
  const lines = (await stage.kubectl(['logs', SERVER])).trim().split('\n');
  return lines.map((line) => JSON.parse(line) as Request).filter((request) => request.path === path);
}

const isReady = has('Ready', 'True');
const claimName = async (model: string): Promise<string> =>
  (await stage.until('deepfakemodel', model, 'is ready', isReady)).status.pvc.claimName;

const hasReceivedSome = ({ status }: KubeObject): boolean => {
  const { receivedBytes, totalBytes } = status?.fetch ?? {};
  return receivedBytes > 0 && receivedBytes < totalBytes;
};

before(async () => {
  stage = await openStage(NAMESPACE);
  ({ inference: image } = await imagesOfCheckout());
  [first, second] = await Promise.all([archiveOf(withVersion('1.0.0')), archiveOf(withVersion('2.0.0'))]);
  await startServer();
});

after(() => stage.close());

test('an archive behind a key that breaks off is resumed where it broke off', async () => {
  const path = 'private/first.tar.gz';
  await stage.model('downloaded', {
    source: { http: { url: url(path), secretRef: { name: 'key' } } },
    digest: first.digest,
  });
  const model = await stage.until('deepfakemodel', 'downloaded', 'is ready', isReady);
  assert.equal(model.status.digest, first.digest);
  assert.equal(model.status.fetch.attempts, 1);
  const [whole, rest, ...others] = await requests(`/${path}`);
  assert.equal(whole?.status, 200);
  assert.equal(rest?.status, 206);
  assert.ok(rest.from > 0 && rest.from <= first.bytes.length / 2, `resumed at ${rest.from}`);
  assert.deepEqual(others, []);
});

test('the wrong key is told, with what the server answered', async () => {
  await stage.model('locked-out', {
    source: { http: { url: url('private/second.tar.gz') } },
    digest: second.digest,
  });
  const model = await stage.until(
    'deepfakemodel',
    'locked-out',
    'says why',
    has('Ready', 'False', 'SourceUnauthorized'),
  );
  assert.match(model.status.message, /401/);
  await stage.remove('deepfakemodel', 'locked-out');
});

test('a model of the same digest reads what is there, on the same claim, and downloads nothing', async () => {
  const path = 'plain/first.tar.gz';
  await stage.model('twin', { source: { http: { url: url(path) } }, digest: first.digest });
  assert.equal(await claimName('twin'), await claimName('downloaded'));
  assert.deepEqual(await requests(`/${path}`), []);
});

test("a package is kept on a user's claim, and served from there by another model", async () => {
  const claim = {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'mine' },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '64Mi' } } },
  };
  await stage.apply(claim);
  await stage.model('filler', {
    source: { configMap: { name: 'second', key: 'second.tar.gz' } },
    digest: second.digest,
    storage: { pvc: { existingClaim: 'mine' } },
  });
  assert.equal(await claimName('filler'), 'mine');
  await stage.model('in-place', {
    source: { pvc: { claimName: 'mine', path: second.digest.replace(':', '-') } },
    digest: second.digest,
  });
  assert.equal(await claimName('in-place'), 'mine');
  await stage.remove('deepfakemodel', 'in-place', 'filler');
  assert.ok(await stage.get('persistentvolumeclaim', 'mine'));
});

test('a package in a ConfigMap is fetched onto a claim of its own', async () => {
  await stage.model('mapped', {
    source: { configMap: { name: 'second', key: 'second.tar.gz' } },
    digest: second.digest,
  });
  const model = await stage.until('deepfakemodel', 'mapped', 'is ready', isReady);
  assert.equal(model.status.card.version, '2.0.0');
  await stage.remove('deepfakemodel', 'mapped');
  await stage.untilGone('persistentvolumeclaim', model.status.pvc.claimName);
});

test('a fetch whose pod is taken away goes on where it stood', async () => {
  const path = 'slow/second.tar.gz';
  await stage.model('interrupted', { source: { http: { url: url(path) } }, digest: second.digest });
  await stage.until('deepfakemodel', 'interrupted', 'has received some', hasReceivedSome);
  await stage.kubectl(['delete', 'pods', '--selector=deepfake-operator.io/model=interrupted']);
  const claim = await claimName('interrupted');
  const [whole, rest, ...others] = await requests(`/${path}`);
  assert.equal(whole?.from, 0);
  assert.ok(rest && rest.from > 0, `resumed at ${rest?.from}`);
  assert.deepEqual(others, []);
  assert.equal((await stage.get('deepfakemodel', 'interrupted'))?.status.fetch.attempts, 2);
  await stage.remove('deepfakemodel', 'interrupted');
  await stage.untilGone('persistentvolumeclaim', claim);
});

test('a package damaged on its volume is found by the pod that starts, repaired, and served again', async () => {
  await stage.deployment('detector', { models: [{ name: 'downloaded' }], resources: RESOURCES });
  await stage.until('modeldeployment', 'detector', 'serves', isHealthy);
  await damage(await claimName('downloaded'), first.digest);
  const [serving] = await stage.pods('detector');
  assert.ok(serving);
  await stage.remove('pod', serving.metadata.name);

  const repaired = await stage.until(
    'deepfakemodel',
    'downloaded',
    'is repaired',
    (model) => model.status.fetch.repairs === 1 && isReady(model),
    120_000,
  );
  assert.equal(repaired.status.digest, first.digest);
  await stage.until('modeldeployment', 'detector', 'serves again', isHealthy, 120_000);
  const [again] = await stage.pods('detector');
  assert.ok(again);
  const { terminated } = again.status.containerStatuses[0].lastState;
  assert.equal(terminated.exitCode, DAMAGED_EXIT_CODE);
  assert.match(terminated.message, /classifier\.onnx/);
  const told = (reason: string) =>
    stage.kubectl(['get', 'events', `--field-selector=reason=${reason}`, '-o=jsonpath={.items[*].message}']);
  assert.match(await told('PackageDamaged'), /classifier\.onnx/);
  assert.doesNotMatch(await told('Verified'), /damaged/);
});

/** Exchanges a byte of the graph on a claim, as a failing disk would. */
async function damage(claim: string, digest: string): Promise<void> {
  const file = `/volume/${digest.replace(':', '-')}/classifier.onnx`;
  const code = `
    const fs = require('fs');
    const bytes = fs.readFileSync('${file}');
    bytes[bytes.length >> 1] ^= 1;
    fs.chmodSync('${file}', 0o644);
    fs.writeFileSync('${file}', bytes);`;
  await stage.apply(
    pod('failing-disk', image, ['node', '-e', code], {
      volumes: [{ name: 'volume', persistentVolumeClaim: { claimName: claim } }],
      container: { volumeMounts: [{ name: 'volume', mountPath: '/volume' }] },
    }),
  );
  await stage.until('pod', 'failing-disk', 'is done', ({ status }) => status.phase === 'Succeeded');
  await stage.remove('pod', 'failing-disk');
}

test('another digest is fetched onto another claim, tells how far it is, and rolls out while the old one serves', async () => {
  const before = await claimName('downloaded');
  await stage.model('downloaded', {
    source: { http: { url: url('slow/second.tar.gz') } },
    digest: second.digest,
  });
  const fetching = await stage.until('deepfakemodel', 'downloaded', 'tells how far it is', hasReceivedSome);
  assert.equal(fetching.status.phase, 'Fetching');
  assert.equal(fetching.status.fetch.totalBytes, second.bytes.length);
  assert.match(fetching.status.message, /^\d+ % \(.*\); sha256:\w+ stays served meanwhile$/);
  assert.equal(condition(fetching, 'Ready')?.reason, 'WeightsFetching');
  const detector = await stage.get('modeldeployment', 'detector');
  assert.equal(condition(detector, 'Available')?.status, 'True');

  assert.notEqual(await claimName('downloaded'), before);
  const rolled = await stage.until(
    'modeldeployment',
    'detector',
    'serves the new package',
    (object) => isHealthy(object) && object.status.models[0].digest === second.digest,
  );
  assert.equal(rolled.status.models[0].version, '2.0.0');
  assert.ok(await stage.get('persistentvolumeclaim', before), 'twin still wants the old claim');
  await stage.remove('deepfakemodel', 'twin');
  await stage.untilGone('persistentvolumeclaim', before);
});

test('a model that is deleted while it is used says so, serves on, and goes with its last user', async () => {
  const claim = await claimName('downloaded');
  await stage.kubectl(['delete', 'deepfakemodel', 'downloaded', '--wait=false']);
  const held = await stage.until(
    'deepfakemodel',
    'downloaded',
    'says who uses it',
    has('DeletionBlocked', 'True', 'InUse'),
  );
  assert.match(held.status.message, /ModelDeployment detector/);
  const [serving] = await stage.pods('detector');
  assert.ok(serving);
  await stage.remove('pod', serving.metadata.name);
  await waitFor('a pod that begins meanwhile serves', 90_000, async () => {
    const [next] = await stage.pods('detector');
    return next && has('Ready', 'True')(next) ? next : undefined;
  });
  await stage.remove('modeldeployment', 'detector');
  await stage.untilGone('deepfakemodel', 'downloaded');
  await stage.untilGone('persistentvolumeclaim', claim);
});
