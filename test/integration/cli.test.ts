/** `kubectl deepfake` against a real API server; the operator runs, and the test plays kubelet. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { promisify, stripVTControlCharacters } from 'node:util';
import { parse } from 'yaml';
import { ensureCertificate } from '../../hack/lib/certificates.ts';
import { COMMANDS } from '../../operator/cli/commands.ts';
import { EXIT, type ExitCode } from '../../operator/cli/errors.ts';
import { run } from '../../operator/cli/run.ts';
import type { DeploymentTree } from '../../operator/cli/status/tree.ts';
import {
  MODEL_DEPLOYMENT,
  POD,
  type Pod,
  REPLICA_SET,
  type ReplicaSet,
  SECRET,
} from '../../operator/controllers/kinds.ts';
import type { Kind, KubeObject } from '../../operator/runtime/object.ts';
import { CRD, Environment, eventually, type Namespace } from './environment.ts';

const LAUNCHER = new URL('../../operator/cli/kubectl-deepfake', import.meta.url).pathname;
const PHOTOGRAPH = new URL('../fixtures/media/photograph-fake.jpg', import.meta.url).pathname;
const VOICE = new URL('../fixtures/media/voice-fake.flac', import.meta.url).pathname;

let environment: Environment;
let operator: Awaited<ReturnType<Environment['runOperator']>>;
let directory: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'deepfake-cli-'));
  environment = await Environment.start();
  // What failed stays failed while it is looked at.
  const retry = { baseMs: 3_600_000, capMs: 3_600_000 };
  operator = await environment.runOperator({ retry: { soon: retry, seldom: retry } });
});
after(async () => {
  await operator.stop();
  await environment.stop();
  await rm(directory, { recursive: true, force: true });
});

interface Running {
  /** What was written so far, without colours and cursor movements. */
  stdout(): string;
  stderr(): string;
  interrupt(): void;
  readonly ended: Promise<ExitCode>;
}

interface Circumstances {
  readonly isTTY?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  /** Default: the administrator's. */
  readonly kubeconfig?: string;
}

function start(
  words: readonly string[],
  { isTTY = false, env = {}, kubeconfig }: Circumstances = {},
): Running {
  const written = { stdout: '', stderr: '' };
  const stop = new AbortController();
  const write = (stream: 'stdout' | 'stderr') => (text: string) => {
    written[stream] += text;
  };
  const ended = run(
    [...words, '--kubeconfig', kubeconfig ?? environment.controlPlane.kubeconfigPath],
    COMMANDS,
    {
      stdout: { isTTY, rows: 100, write: write('stdout') },
      stderr: { write: write('stderr') },
      env,
      signal: stop.signal,
    },
  );
  return {
    stdout: () => stripVTControlCharacters(written.stdout),
    stderr: () => written.stderr,
    interrupt: () => stop.abort(),
    ended,
  };
}

async function outcome(words: readonly string[], circumstances?: Circumstances) {
  const running = start(words, circumstances);
  const code = await running.ended;
  return { code, stdout: running.stdout(), stderr: running.stderr() };
}

/** Plays the Deployment controller: the ReplicaSet of a revision, one pod wanted. */
async function replicaSetOf(namespace: Namespace, deployment: string, revision: string): Promise<ReplicaSet> {
  const labels = {
    'app.kubernetes.io/managed-by': 'deepfake-operator',
    'deepfake-operator.io/model-deployment': deployment,
    'deepfake-operator.io/track': 'stable',
    'deepfake-operator.io/revision': revision,
  };
  const name = `${deployment}-stable-${revision}`;
  const template = { metadata: { labels }, spec: { containers: [{ name: 'inference', image: 'i' }] } };
  const spec = { replicas: 1, selector: { matchLabels: labels }, template };
  const object = { metadata: { name, namespace: namespace.name, labels }, spec };
  return environment.client.create(REPLICA_SET, object as unknown as ReplicaSet);
}

interface PodGiven {
  readonly container?: string;
  readonly node?: string;
  readonly ip?: string;
  readonly port?: number;
  readonly ready?: boolean;
}

/** Plays the scheduler and kubelet: a pod that runs. */
async function runningPod(namespace: Namespace, metadata: object, given: PodGiven): Promise<Pod> {
  const {
    container: name = 'inference',
    node = 'node-1',
    ip = '10.9.8.7',
    port = 8080,
    ready = true,
  } = given;
  const ports = [{ name: 'http', containerPort: port }];
  const spec = { nodeName: node, containers: [{ name, image: 'i', ports }] };
  const pod = { metadata: { ...metadata, namespace: namespace.name }, spec } as unknown as Pod;
  await environment.client.create(POD, pod);
  const containerID = `played://${pod.metadata.name}`;
  const container = { name, image: 'i', imageID: '', containerID, restartCount: 0, ready };
  const status = {
    phase: 'Running',
    podIP: ip,
    podIPs: [{ ip }],
    conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
    containerStatuses: [{ ...container, state: { running: { startedAt: new Date().toISOString() } } }],
  };
  return namespace.patch(POD, pod.metadata.name, { status }, 'status');
}

/** Plays the ReplicaSet controller too. */
function podOf(namespace: Namespace, { metadata }: ReplicaSet, given: PodGiven = {}): Promise<Pod> {
  const { name: owner, uid, labels } = metadata;
  podsMade += 1;
  const name = `${owner}-${podsMade}`;
  const ownerReferences = [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: owner, uid, controller: true }];
  return runningPod(namespace, { name, labels, ownerReferences }, given);
}
let podsMade = 0;

/** A ModelDeployment that serves in full, with the objects that controllers of Kubernetes would make. */
async function healthyDeployment(pod: PodGiven = {}) {
  const namespace = await environment.namespace();
  await namespace.readyModel('m');
  await namespace.deployment('d', { models: [{ name: 'm' }] });
  await namespace.runPods('d-stable');
  const { status } = await namespace.untilDeployment('d', 'Healthy');
  const set = await replicaSetOf(namespace, 'd', status?.currentRevision ?? '');
  await namespace.patch(
    REPLICA_SET,
    set.metadata.name,
    { status: { replicas: 1, readyReplicas: 1 } },
    'status',
  );
  return { namespace, set, pod: await podOf(namespace, set, pod) };
}

describe('status', () => {
  it('shows the tree of a deployment that serves, and ends with 0', async () => {
    const { namespace, pod } = await healthyDeployment();
    // Events are written beside the pass that causes them, and may come after its status.
    const { code, stdout } = await eventually('a page with the events', async () => {
      const seen = await outcome(['status', 'd', '-n', namespace.name]);
      const row =
        /^Normal +Verified +\d+s( \(x\d+\))? +DeepfakeModel\/m +image-residual-cnn 0\.1\.0 verified/m;
      return row.test(seen.stdout) ? seen : undefined;
    });
    assert.equal(code, EXIT.ok);
    assert.match(stdout, /^Status: +✔ Healthy$/m);
    assert.match(stdout, /^Message: +1 of 1 pods serve revision \w+$/m);
    assert.match(
      stdout,
      /^│ {2}└─ m +DeepfakeModel +✔ Ready +\d+s +0\.1\.0, image, 1\.2 MB, sha256:a{12}, demonstration$/m,
    );
    assert.match(stdout, /^└─ track stable$/m);
    assert.match(
      stdout,
      /^ {3}└─ revision \w+ +ReplicaSet +✔ 1\/1 ready +\d+s +current and stable, d-stable-\w+$/m,
    );
    assert.match(
      stdout,
      new RegExp(`^ {6}└─ ${pod.metadata.name} +Pod +✔ Running +\\d+s +ready, on node-1$`, 'm'),
    );
    assert.match(stdout, /^Ready +True +Ready /m);
  });

  it('prints the tree for programs, and another exit code for each phase', async () => {
    const namespace = await environment.namespace();
    await namespace.model('m');
    await namespace.deployment('d', { models: [{ name: 'm' }] });
    await namespace.untilModel('m', 'Pending');
    // An operator that hears of the deployment before it hears of the model takes the model for missing at first.
    await namespace.untilDeployment('d', 'Progressing');
    const waiting = await outcome(['status', 'd', '-n', namespace.name, '-o', 'json']);
    assert.equal(waiting.code, EXIT.progressing);
    const tree = JSON.parse(waiting.stdout) as DeploymentTree;
    assert.equal(tree.phase, 'Progressing');
    assert.ok(tree.conditions.length > 0);
    assert.equal(tree.models[0]?.phase, 'Pending');

    await namespace.endFetch('m', { error: { reason: 'UnknownBuiltin', message: 'no such package' } });
    await namespace.untilDeployment('d', 'Degraded');
    const degraded = await outcome(['status', 'd', '-n', namespace.name, '-o', 'yaml']);
    assert.equal(degraded.code, EXIT.degraded);
    assert.match(degraded.stdout, /^phase: Degraded$/m);
  });

  it('lists the deployments of a namespace, and of all', async () => {
    const { namespace } = await healthyDeployment();
    const { code, stdout } = await outcome(['status', '--namespace', namespace.name]);
    assert.equal(code, EXIT.ok);
    assert.match(stdout, /^NAME +STATUS .*\nd +✔ Healthy +1\/1 +1 +m +cpu +\d+s +1 of 1 pods/);
    const all = await outcome(['status', '-A']);
    assert.match(all.stdout, new RegExp(`^${namespace.name} +d +✔ Healthy`, 'm'));
    const none = await outcome(['status', '-n', 'default']);
    assert.equal(none.stdout, 'there are no ModelDeployments in namespace default\n');
  });

  for (const isTTY of [false, true]) {
    it(`--watch shows a change when it comes, ${isTTY ? 'redrawn on a terminal' : 'printed anew elsewhere'}`, async () => {
      const { namespace, pod } = await healthyDeployment();
      const watching = start(['status', 'd', '-n', namespace.name, '--watch'], { isTTY });
      await eventually('the first page', () => watching.stdout().includes('✔ Running'));
      const broken = {
        ready: false,
        restartCount: 1,
        state: { waiting: { reason: 'CrashLoopBackOff' } },
        lastState: { terminated: { exitCode: 3, message: 'out of words' } },
      };
      const container = { name: 'inference', image: 'i', imageID: '', ...broken };
      const conditions = [{ type: 'Ready', status: 'False' }];
      await namespace.patch(
        POD,
        pod.metadata.name,
        { status: { conditions, containerStatuses: [container] } },
        'status',
      );
      await eventually('the pod that crashed', () =>
        /✖ CrashLoopBackOff .*not ready, 1 restarts, on node-1, CrashLoopBackOff: exit code 3: out of words/.test(
          watching.stdout(),
        ),
      );
      await namespace.untilDeployment('d', 'Degraded');
      await eventually('the phase', () => watching.stdout().includes('Status:      ✖ Degraded'));
      watching.interrupt();
      assert.equal(await watching.ended, EXIT.degraded);
      assert.equal(watching.stderr(), '');
    });
  }

  it('--watch goes on when the API server was away, and says so meanwhile', async () => {
    const { namespace } = await healthyDeployment();
    const watching = start(['status', 'd', '-n', namespace.name, '--watch']);
    await eventually('the first page', () => watching.stdout().includes('✔ Healthy'));
    await environment.restart();
    await eventually(
      'the interruption',
      () => watching.stderr().includes('what is shown may be old'),
      60_000,
    );
    await namespace.patch(MODEL_DEPLOYMENT, 'd', { spec: { replicas: 2 } });
    await eventually('the change after it', () => /Status: +◌ Progressing/.test(watching.stdout()), 60_000);
    watching.interrupt();
    await watching.ended;
  });

  it('--watch ends with --timeout, and when the deployment is deleted', async () => {
    const { namespace } = await healthyDeployment();
    const words = ['status', 'd', '-n', namespace.name, '-w'];
    assert.equal((await outcome([...words, '--timeout', '300ms'])).code, EXIT.ok);
    const watching = start(words);
    await eventually('the first page', () => watching.stdout().includes('✔ Healthy'));
    await namespace.delete(MODEL_DEPLOYMENT, 'd');
    assert.equal(await watching.ended, EXIT.failed);
    assert.equal(watching.stderr(), `error: there is no ModelDeployment d in namespace ${namespace.name}\n`);
  });
});

describe('models', () => {
  it('lists models with who uses them', async () => {
    const { namespace } = await healthyDeployment();
    await namespace.model('idle');
    await namespace.endFetch('idle', { error: { reason: 'UnknownBuiltin', message: 'no such package' } });
    await namespace.untilModel('idle', 'Failed');
    const { code, stdout } = await outcome(['models', '-n', namespace.name]);
    assert.equal(code, EXIT.ok);
    const [header, idle, used] = stdout.split('\n');
    assert.match(header ?? '', /^NAME +PHASE +VERSION +MODALITY +SIZE +DIGEST +CARD +USED BY +AGE +MESSAGE$/);
    assert.match(idle ?? '', /^idle +✖ Failed +- +- +- +- +- +- +\d+s +UnknownBuiltin|no such package/);
    assert.match(used ?? '', /^m +✔ Ready +0\.1\.0 +image +1\.2 MB +sha256:a{12} +demonstration +d +\d+s /);
    const wide = await outcome(['models', '-A', '-o', 'wide']);
    assert.match(
      wide.stdout,
      new RegExp(`^${namespace.name} +m .* sha256:a{64} .* m-weights +builtin +1 `, 'm'),
    );
    const json = JSON.parse((await outcome(['models', '-n', namespace.name, '-o', 'json'])).stdout);
    assert.deepEqual(
      json.items.map(({ kind }: KubeObject) => kind),
      ['DeepfakeModel', 'DeepfakeModel'],
    );
  });
});

/** An address of this machine that the API server's proxy may reach: it refuses loopback. */
const ownAddress = () =>
  Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ internal, family }) => !internal && family === 'IPv4')?.address;

interface Received {
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly path: string;
  readonly body: string;
}

const ANSWER = {
  data: {
    verdict: 'DEEPFAKE',
    score: 0.957,
    confidence: 0.957,
    calibrated: true,
    explanations: [{ text: 'The probability is at or above the limit.' }],
  },
  model: {
    name: 'm',
    version: '0.1.0',
    status: 'demonstration',
    digest: `sha256:${'a'.repeat(64)}`,
    device: 'cpu',
  },
};

/** Plays the inference server of a pod; undefined where this machine has no address for it. */
async function detector(t: TestContext, status: number, answer: object) {
  const ip = ownAddress();
  if (ip === undefined) return undefined;
  const received: Received[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = await request.toArray();
    received.push({
      headers: request.headers,
      path: request.url ?? '',
      body: Buffer.concat(chunks).toString('latin1'),
    });
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
  });
  await new Promise<void>((resolve) => server.listen(0, ip, resolve));
  t.after(() => server.close());
  return { ip, port: (server.address() as AddressInfo).port, received };
}

describe('analyze', () => {
  it("sends the file and the Secret's key through the proxy, and nothing of the person's own", async (t) => {
    const server = await detector(t, 200, ANSWER);
    if (!server) return t.skip('this machine has no address but loopback');
    const { namespace } = await healthyDeployment(server);
    const { code, stdout, stderr } = await outcome([
      'analyze',
      PHOTOGRAPH,
      '-n',
      namespace.name,
      '--model',
      'm',
    ]);
    assert.equal(stderr, '');
    assert.equal(code, EXIT.ok);
    assert.match(stdout, /^Verdict: +DEEPFAKE$/m);
    assert.match(stdout, /^- The probability is at or above the limit\.$/m);
    const [request] = server.received;
    assert.equal(request?.path, '/analyze');
    const secret = await namespace.find(SECRET, 'd-api-key');
    const key = Buffer.from(secret?.data?.['api-key'] ?? '', 'base64').toString();
    assert.ok(key.length > 0);
    assert.equal(request?.headers['x-api-key'], key);
    assert.equal(request?.headers['authorization'], undefined);
    assert.match(request?.body ?? '', /name="model"\r\n\r\nm\r\n/);
    assert.match(
      request?.body ?? '',
      /name="media"; filename="photograph-fake\.jpg"\r\nContent-Type: image\/jpeg/,
    );
    assert.ok(request?.body.includes((await readFile(PHOTOGRAPH)).toString('latin1')));

    const json = await outcome(['analyze', PHOTOGRAPH, '-n', namespace.name, '-o', 'json']);
    assert.deepEqual(JSON.parse(json.stdout), ANSWER);
  });

  it("passes on the pod's own refusal, and says what to do about a wrong key", async (t) => {
    const refusal = { error: 'unauthorized', message: 'Invalid or missing API Key' };
    const server = await detector(t, 401, refusal);
    if (!server) return t.skip('this machine has no address but loopback');
    const { namespace, pod } = await healthyDeployment(server);
    const { code, stderr } = await outcome(['analyze', PHOTOGRAPH, '-n', namespace.name], {
      env: { DEEPFAKE_API_KEY: 'wrong' },
    });
    assert.equal(code, EXIT.failed);
    assert.equal(server.received[0]?.headers['x-api-key'], 'wrong');
    assert.equal(
      stderr,
      `error: ${PHOTOGRAPH}: pod ${pod.metadata.name} answered 401: Invalid or missing API Key: give the right key with --api-key or DEEPFAKE_API_KEY\n`,
    );
  });

  it("tries a forwarded port where the API server's proxy does not reach the pod", async (t) => {
    const ip = ownAddress();
    if (ip === undefined) return t.skip('this machine has no address but loopback');
    const { namespace, pod } = await healthyDeployment({ ip, port: await closedPort() });
    const words = ['analyze', PHOTOGRAPH, '-n', namespace.name];
    const { code, stderr } = await outcome(words);
    assert.equal(code, EXIT.failed);
    const [note = '', problem = ''] = stderr.split('\n');
    assert.match(
      note,
      /^the API server's proxy does not reach the pod \(.*refused\): forwarding a port instead$/,
    );
    // No kubelet runs here that could forward one.
    assert.ok(problem.startsWith(`error: no port of pod ${pod.metadata.name} could be forwarded: `), problem);
    const proxied = await outcome([...words, '--via', 'proxy']);
    assert.match(proxied.stderr, /^error: POST \/api\/v1\/.*: 503 ServiceUnavailable: .*refused\n$/);
  });

  it('tells why there is nobody to ask', async () => {
    const { namespace, pod } = await healthyDeployment({ ready: false });
    const within = ['-n', namespace.name];
    assert.equal(
      (await outcome(['analyze', VOICE, ...within])).stderr,
      `error: no ModelDeployment in namespace ${namespace.name} analyses audio: there are d\n`,
    );
    assert.match(
      (await outcome(['analyze', PHOTOGRAPH, ...within])).stderr,
      /^error: ModelDeployment d in namespace \S+ has no ready pod: 1 of 1 pods serve revision/,
    );
    await namespace.delete(POD, pod.metadata.name);
    assert.match(
      (await outcome(['analyze', 'absent.jpg', ...within])).stderr,
      /^error: .*no such file.*absent\.jpg/,
    );
    assert.match((await outcome(['analyze', directory, ...within])).stderr, /is not a file$/m);
  });
});

const NODE: Kind = { apiVersion: 'v1', kind: 'Node', plural: 'nodes', namespaced: false };

/** A node whose kubelet tells two lines of every container, and keeps the connection where more is asked for. */
async function playKubelet(t: TestContext) {
  const { certificateDir, authority } = environment.controlPlane;
  const request = { name: 'kubelet', commonName: 'system:node:kubelet', hosts: ['127.0.0.1'] };
  const { certificate, key } = await ensureCertificate(certificateDir, authority, request);
  const asked: string[] = [];
  const tls = { cert: await readFile(certificate), key: await readFile(key) };
  const server = createSecureServer(tls, ({ url = '' }, response) => {
    asked.push(url);
    response.write('ready\nanalysed\n');
    if (!url.includes('follow=true')) response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  const node = `node-${port}`;
  await environment.client.create(NODE, { metadata: { name: node } });
  const status = {
    addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
    daemonEndpoints: { kubeletEndpoint: { Port: port } },
  };
  await environment.client.patch(NODE, { name: node }, { status }, { subresource: 'status' });
  return { node, asked };
}

describe('logs', () => {
  it('prints the logs of all pods, each line with its pod, and follows a pod that comes later', async (t) => {
    const kubelet = await playKubelet(t);
    const { namespace, set, pod } = await healthyDeployment({ node: kubelet.node });
    const words = ['logs', 'd', '-n', namespace.name];
    const printed = await outcome([...words, '--tail', '7', '--since', '1m30s']);
    assert.equal(printed.stderr, '');
    assert.equal(printed.stdout, `[${pod.metadata.name}] ready\n[${pod.metadata.name}] analysed\n`);
    assert.equal(
      kubelet.asked.at(-1),
      `/containerLogs/${namespace.name}/${pod.metadata.name}/inference?sinceSeconds=90&tailLines=7`,
    );

    const following = start([...words, '-f']);
    await eventually('the first pod', () => following.stdout().includes(`[${pod.metadata.name}] analysed`));
    const later = await podOf(namespace, set, { node: kubelet.node });
    await eventually('the later pod', () => following.stdout().includes(`[${later.metadata.name}] analysed`));
    following.interrupt();
    assert.equal(await following.ended, EXIT.ok);
  });

  it("prints the log of a model's fetch", async (t) => {
    const { node } = await playKubelet(t);
    const namespace = await environment.namespace();
    await namespace.model('m');
    const labels = { 'deepfake-operator.io/model': 'm' };
    const { metadata } = await runningPod(
      namespace,
      { name: 'm-fetch-1', labels },
      { node, container: 'fetch' },
    );
    const { stdout } = await outcome(['logs', 'm', '--model-fetch', '-n', namespace.name]);
    assert.equal(stdout, `[${metadata.name}] ready\n[${metadata.name}] analysed\n`);
  });

  it('says when there is nothing to read', async () => {
    const namespace = await environment.namespace();
    await namespace.deployment('d', { models: [{ name: 'absent' }] });
    const { code, stderr } = await outcome(['logs', 'd', '-n', namespace.name]);
    assert.equal(code, EXIT.failed);
    assert.match(
      stderr,
      /^error: there are no pods with deepfake-operator\.io\/model-deployment=d in namespace/,
    );
    const absent = await outcome(['logs', 'x', '-n', namespace.name]);
    assert.equal(absent.stderr, `error: there is no ModelDeployment x in namespace ${namespace.name}\n`);
  });
});

const CLUSTER_ROLE: Kind = {
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'ClusterRole',
  plural: 'clusterroles',
  namespaced: false,
};
const ROLE_BINDING: Kind = {
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'RoleBinding',
  plural: 'rolebindings',
  namespaced: true,
};

/** Gives a user the rights of a ClusterRole in a namespace. */
function grant(namespace: Namespace, user: string, role: string): Promise<KubeObject> {
  const metadata = { name: `${user}-${role}`, namespace: namespace.name };
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role };
  const subjects = [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: user }];
  return environment.client.create(ROLE_BINDING, { metadata, roleRef, subjects } as KubeObject);
}

/** A port of this machine on which nobody listens. */
async function closedPort(): Promise<number> {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe('rights', () => {
  it('the cluster role view and reading our kinds are enough for status and models', async () => {
    const { namespace } = await healthyDeployment();
    const metadata = { name: 'deepfake-reader' };
    const rules = [
      { apiGroups: ['deepfake-operator.io'], resources: ['*'], verbs: ['get', 'list', 'watch'] },
    ];
    await environment.client.create(CLUSTER_ROLE, { metadata, rules } as KubeObject);
    // What `view` consists of: the controller that puts it together does not run here.
    await grant(namespace, 'viewer', 'system:aggregate-to-view');
    await grant(namespace, 'viewer', metadata.name);
    const seen = await outcome(['status', 'd', '-n', namespace.name, '--as', 'viewer']);
    assert.equal(seen.stderr, '');
    assert.equal(seen.code, EXIT.ok);
    assert.equal((await outcome(['models', '-n', namespace.name, '--as', 'viewer'])).code, EXIT.ok);
    assert.equal(
      (await outcome(['analyze', PHOTOGRAPH, '-n', namespace.name, '--as', 'viewer'])).stderr,
      `error: forbidden: user viewer may not get secrets in namespace ${namespace.name}: ask for a role with that right\n`,
    );
  });

  it('a missing right is named', async () => {
    const kubeconfig = await environment.controlPlane.kubeconfigFor('nobody', 'nobody');
    const listing = await outcome(['models', '-n', 'default'], { kubeconfig });
    assert.equal(listing.code, EXIT.failed);
    assert.equal(
      listing.stderr,
      'error: forbidden: user nobody may not list deepfakemodels.deepfake-operator.io in namespace default: ask for a role with that right\n',
    );
    assert.match((await outcome(['status', '-A'], { kubeconfig })).stderr, /in the whole cluster: ask/);
  });
});

describe('a cluster that cannot be used', () => {
  it('is told in one line: no kubeconfig, no such context, nobody there, strange credentials', async () => {
    const config = await readFile(environment.controlPlane.kubeconfigPath, 'utf8');
    const absent = await outcome(['models'], { kubeconfig: join(directory, 'absent') });
    assert.match(absent.stderr, /^error: the kubeconfig \S+absent cannot be read: ENOENT[^\n]*\n$/);
    assert.equal(absent.code, EXIT.failed);

    const context: string = parse(config)['current-context'];
    assert.equal(
      (await outcome(['models', '--context', 'elsewhere'])).stderr,
      `error: the kubeconfig has no context elsewhere: it has ${context}\n`,
    );

    const server = `https://127.0.0.1:${await closedPort()}`;
    const unreachable = join(directory, 'unreachable');
    await writeFile(unreachable, config.replace(environment.controlPlane.apiServerUrl, server));
    assert.equal(
      (await outcome(['models'], { kubeconfig: unreachable })).stderr,
      `error: cannot reach the cluster at ${server} (context ${context}): connect ECONNREFUSED ${server.slice('https://'.length)}\n`,
    );

    const anonymous = join(directory, 'anonymous');
    const stranger = [{ name: parse(config).users[0].name, user: { token: 'stranger' } }];
    await writeFile(anonymous, JSON.stringify({ ...parse(config), users: stranger }));
    assert.match(
      (await outcome(['models'], { kubeconfig: anonymous })).stderr,
      /^error: the cluster at \S+ does not accept the credentials of context \S+: log in again\n$/,
    );
  });
});

describe('the launcher', () => {
  const execute = promisify(execFile);

  it('runs through links, as kubectl finds plugins', async () => {
    const links = join(directory, 'links');
    await mkdir(links);
    await symlink(LAUNCHER, join(links, 'first'));
    await symlink('first', join(links, 'kubectl-deepfake'));
    const plugin = join(links, 'kubectl-deepfake');
    assert.match((await execute(plugin, ['version'])).stdout, /^kubectl-deepfake \d+\.\d+\.\d+\n$/);

    const { namespace } = await healthyDeployment();
    const completer = join(links, 'kubectl_complete-deepfake');
    await symlink(LAUNCHER, completer);
    const words = [
      'status',
      '--kubeconfig',
      environment.controlPlane.kubeconfigPath,
      '-n',
      namespace.name,
      '',
    ];
    assert.equal((await execute(completer, words)).stdout, 'd\n:4\n');

    const env = { ...process.env, KUBECONFIG: environment.controlPlane.kubeconfigPath };
    const { stdout } = await execute(plugin, ['models', '-n', 'default'], { env });
    assert.equal(stdout, 'there are no DeepfakeModels in namespace default\n');
  });

  it('without any kubeconfig says so', async () => {
    const env = { PATH: process.env['PATH'], HOME: directory };
    await assert.rejects(execute(LAUNCHER, ['models'], { env }), {
      code: EXIT.failed,
      stderr: 'error: there is no kubeconfig: name one with --kubeconfig or KUBECONFIG\n',
    });
  });

  it('ends a watch on an interrupt with the code of the last state', async () => {
    const { namespace } = await healthyDeployment();
    const words = [
      'status',
      'd',
      '-n',
      namespace.name,
      '--watch',
      '--kubeconfig',
      environment.controlPlane.kubeconfigPath,
    ];
    const child = execFile(LAUNCHER, words);
    await new Promise((resolve) => child.stdout?.once('data', resolve));
    child.kill('SIGINT');
    const code = await new Promise((resolve) => child.once('exit', resolve));
    assert.equal(code, EXIT.ok);
  });
});

// The last: what it takes away does not come back.
describe('a cluster without our kinds', () => {
  it('is told what to install', async () => {
    await environment.client.delete(CRD, { name: 'deepfakemodels.deepfake-operator.io' });
    await environment.client.delete(CRD, { name: 'modeldeployments.deepfake-operator.io' });
    const said = await eventually('the kinds are gone', async () => {
      const { code, stderr } = await outcome(['status', '-n', 'default']);
      return code === EXIT.failed ? stderr : undefined;
    });
    assert.equal(
      said,
      `error: the cluster at ${environment.controlPlane.apiServerUrl} does not have the kinds of deepfake-operator.io: install the operator's chart\n`,
    );
  });
});
