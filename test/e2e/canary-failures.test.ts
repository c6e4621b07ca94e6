/** Rollouts that go wrong, under constant load: what must not take over does not, and the stable revision fails nobody. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { OPERATOR_NAMESPACE, operatorRolledOut } from '../../hack/lib/deploy.ts';
import { type KubeObject, list } from '../../hack/lib/kubectl.ts';
import { askConstantly, failures, type Load, MODEL, RESOURCES, TIMEOUT_MS } from './constant-load.ts';
import { linkPlugin, type Plugin } from './plugin.ts';
import { isHealthy, openStage, type Stage } from './stage.ts';

const NAMESPACE = 'deepfake-e2e-canary-failures';
const NAME = 'detector';
/** Its second version never gets ready, which takes longest to find out: the other rollouts run beside it. */
const PATIENT = 'patient';

/** Pods may take four minutes and one more for their model to be ready, and the deadline a minute more, ms. */
const PATIENCE_MS = 380_000;

/** Pods that end answer what comes while they leave the Service, ms. */
const ENDING_MS = 15_000;

const ERRORS = {
  name: 'errors',
  interval: '4s',
  builtin: { metric: 'errorRate', max: 0.05, minCount: 5 },
  inconclusiveLimit: 100,
};
const LATENCY = {
  name: 'latency',
  interval: '5s',
  builtin: { metric: 'latencyP95', maxRatio: 2, minCount: 8 },
  failureLimit: 1,
  inconclusiveLimit: 100,
};

interface Version {
  readonly release: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Further fields of the pods' spec, and of their container. */
  readonly pods?: object;
  readonly container?: object;
  readonly resources?: object;
  readonly gpu?: object;
  readonly metrics?: readonly object[];
  readonly pause?: object;
}

let stage: Stage;
let plugin: Plugin;
let load: Load;
let patientLoad: Load;
let patientSince: number;

const spec = ({ release, env = {}, pods = {}, container = {}, pause = {}, ...version }: Version) => ({
  models: [{ name: MODEL }],
  replicas: 2,
  resources: version.resources ?? RESOURCES,
  ...(version.gpu && { gpu: version.gpu }),
  template: {
    metadata: { annotations: { release } },
    spec: {
      ...pods,
      containers: [
        {
          name: 'inference',
          // Every request is computed, so that speed can be told.
          env: Object.entries({ CACHE_MAX_BYTES: '0', ...env }).map(([name, value]) => ({ name, value })),
          ...container,
        },
      ],
    },
  },
  strategy: {
    canary: {
      steps: [{ setWeight: 20 }, { pause }],
      analysis: { metrics: version.metrics ?? [ERRORS] },
      insufficientGPU: 'Fail',
    },
  },
});
const push = (version: Version) => stage.deployment(NAME, spec(version));
const until = (what: string, is: (object: KubeObject) => boolean) =>
  stage.until('modeldeployment', NAME, what, is, TIMEOUT_MS);
/** What the spec asks for now, and not what it asked for before. */
const aborted = (deployment = NAME, timeoutMs = TIMEOUT_MS) =>
  stage.until(
    'modeldeployment',
    deployment,
    'is aborted',
    ({ metadata, status }) =>
      status?.observedGeneration === metadata.generation &&
      status.abort === true &&
      status.phase === 'Degraded',
    timeoutMs,
  );
/** At the pause, of another revision than `but`. */
const waits = (but?: string) =>
  until(
    'waits',
    ({ metadata, status }) =>
      status?.observedGeneration === metadata.generation &&
      status.phase === 'Paused' &&
      status.currentRevision !== but,
  );
const stableOf = async (deployment = NAME): Promise<string> =>
  (await stage.get('modeldeployment', deployment))?.status.stableRevision;
const podsOf = async (revision: string, deployment = NAME) =>
  (await stage.pods(deployment))
    .filter(({ metadata }) => metadata.labels?.['deepfake-operator.io/revision'] === revision)
    .map(({ metadata }) => metadata.name)
    .sort();
const isPodOf = (revision: string, pod: string | undefined, deployment = NAME) =>
  pod?.startsWith(`${deployment}-${revision}-`) ?? false;
/** What `kubectl get` says of it, in a line. */
const line = (deployment = NAME) => stage.kubectl(['get', 'mdep', deployment, '--no-headers']);
async function rollout(...words: readonly string[]): Promise<void> {
  const { code, stderr } = await plugin.run(['rollout', ...words]);
  assert.equal(code, 0, stderr);
}
/** Files that a pod has answered with 5xx since it began. */
async function errorsOf(pod: string): Promise<number> {
  const path = `/api/v1/namespaces/${NAMESPACE}/pods/${pod}:8080/proxy/metrics`;
  const lines = (await stage.kubectl(['get', '--raw', path])).split('\n');
  const requests = lines.filter((each) => /^deepfake_requests_total{.*route="\/analyze"/.test(each));
  assert.ok(requests.length > 0, `${pod} tells of no requests`);
  return requests
    .filter((each) => /code="5\d\d"/.test(each))
    .reduce((sum, each) => sum + Number(each.split(' ').at(-1)), 0);
}

before(async () => {
  stage = await openStage(NAMESPACE);
  plugin = await linkPlugin(stage.cluster, NAMESPACE);
  await stage.model(MODEL, { source: { builtin: { name: MODEL } } });
  const patient = (version: Version) => ({ ...spec(version), replicas: 1, progressDeadlineSeconds: 30 });
  await stage.deployment(PATIENT, patient({ release: 'one' }));
  await push({ release: 'one' });
  patientLoad = await askConstantly(stage, PATIENT, 1);
  patientSince = Date.now();
  const readinessGates = [{ conditionType: 'example.com/nobody-says-so' }];
  await stage.deployment(PATIENT, patient({ release: 'two', pods: { readinessGates } }));
  load = await askConstantly(stage, NAME);
});

after(async () => {
  await plugin.remove();
  await stage.close();
});

test('a version that answers with errors is aborted at a small weight', async () => {
  const stable = await stableOf();
  const pods = await podsOf(stable);
  const since = Date.now();
  await push({
    release: 'broken',
    // Uploads have nowhere to go: the disk is full from the beginning.
    env: { TMPDIR: '/scratch', MAX_MEMORY_UPLOAD_BYTES: '0' },
    pods: { volumes: [{ name: 'scratch', emptyDir: { medium: 'Memory', sizeLimit: '4Ki' } }] },
    container: { volumeMounts: [{ name: 'scratch', mountPath: '/scratch' }] },
  });
  const { status } = await aborted();
  assert.equal(status.stableRevision, stable);
  assert.match(
    await line(),
    /analysis background failed: .*errorRate is .*, more than max 0\.05; \w+ serves\n$/,
  );
  await until('is left alone', ({ status: now }) => now?.replicas === 2);
  const asked = await load.answers(since);
  const failed = failures(asked);
  assert.ok(failed.length > 0);
  const [first = 0, last = 0] = [failed[0]?.at, failed.at(-1)?.at];
  const meanwhile = asked.filter(({ at }) => at >= first && at <= last);
  assert.ok(failed.length < meanwhile.length / 2, `${failed.length} of ${meanwhile.length} requests failed`);
  assert.ok(last < Date.parse(status.abortedAt) + ENDING_MS, 'failed long after the abort');
  assert.deepEqual([...new Set(failed.map((answer) => answer.status))], [507]);
  assert.deepEqual(await podsOf(stable), pods);
  for (const pod of pods) assert.equal(await errorsOf(pod), 0, pod);
});

test('a version that is much slower is aborted by comparison', async () => {
  const stable = await stableOf();
  const pods = await podsOf(stable);
  const since = Date.now();
  await push({
    release: 'slow',
    resources: { ...RESOURCES, limits: { ...RESOURCES.limits, cpu: '150m' } },
    metrics: [ERRORS, LATENCY],
  });
  const { status } = await aborted();
  assert.equal(status.stableRevision, stable);
  assert.match(await line(), /analysis background failed: .*latencyP95 is .*, more than 2 times the /);
  await until('is left alone', ({ status: now }) => now?.replicas === 2);
  assert.deepEqual(failures(await load.answers(since)), []);
  assert.deepEqual(await podsOf(stable), pods);
});

test('a version that ends at its start is aborted, and gets no request', async () => {
  const stable = await stableOf();
  const since = Date.now();
  await push({ release: 'crashing', env: { PRECISION: 'fp7' } });
  const { status } = await aborted();
  assert.match(await line(), /CrashLoopBackOff: pod .*PRECISION.*; \w+ serves\n$/);
  const asked = await load.answers(since);
  assert.deepEqual(failures(asked), []);
  assert.ok(asked.length > 10, `${asked.length} requests`);
  assert.ok(asked.every(({ pod }) => !isPodOf(status.currentRevision, pod)));
  assert.equal(status.stableRevision, stable);
});

test('a version that wants an accelerator that is not there is aborted without a pod', async () => {
  const stable = await stableOf();
  const since = Date.now();
  await push({ release: 'accelerated', gpu: { resourceName: 'example.com/accelerator' } });
  const { status } = await aborted();
  assert.match(
    await line(),
    /InsufficientGPU: 1 more pods need an accelerator, and 0 could get one; \w+ serves\n$/,
  );
  assert.deepEqual(await podsOf(status.currentRevision), []);
  assert.equal(status.stableRevision, stable);
  assert.deepEqual(failures(await load.answers(since)), []);
});

test('a third version in the middle of a rollout is the one that takes over', async () => {
  const since = Date.now();
  const stable = await stableOf();
  await push({ release: 'two' });
  const second = (await waits(stable)).status.currentRevision;
  await push({ release: 'three' });
  const third = (await waits(second)).status;
  assert.equal(third.stableRevision, stable);
  assert.equal(third.completion.status, 'Superseded');
  await rollout('promote', NAME);
  const { status } = await until(
    'is promoted',
    (object) => isHealthy(object) && object.status.stableRevision === third.currentRevision,
  );
  assert.equal(status.completion.status, 'Promoted');
  assert.deepEqual(failures(await load.answers(since)), []);
});

test('a spec that is changed back ends where it began, with the pods that were there', async () => {
  const since = Date.now();
  const stable = await stableOf();
  const pods = await podsOf(stable);
  await push({ release: 'four' });
  await waits(stable);
  await push({ release: 'three' });
  const { status } = await until(
    'is back',
    (object) => isHealthy(object) && object.status.completion.status === 'FastRolledBack',
  );
  assert.equal(status.stableRevision, stable);
  await until('has its pods alone', ({ status: now }) => now?.replicas === 2);
  assert.deepEqual(await podsOf(stable), pods);
  assert.deepEqual(failures(await load.answers(since)), []);
});

test('an aborted rollout is tried again, and goes on under another operator', async () => {
  const since = Date.now();
  const stable = await stableOf();
  await push({ release: 'four', pause: { duration: '30s' } });
  await waits(stable);
  await rollout('abort', NAME);
  await aborted();
  assert.match(await line(), /aborted/);
  await rollout('retry', NAME);
  const { currentRevision } = (await waits(stable)).status;
  const operators = await list(stage.cluster, OPERATOR_NAMESPACE, 'pods');
  await stage.cluster.kubectl([
    ...['-n', OPERATOR_NAMESPACE, 'delete', 'pod', '--force', '--grace-period=0'],
    ...operators.map(({ metadata }) => metadata.name),
  ]);
  const { status } = await until(
    'is promoted',
    (object) => isHealthy(object) && object.status.stableRevision === currentRevision,
  );
  assert.equal(status.completion.status, 'Promoted');
  assert.deepEqual(failures(await load.answers(since)), []);
  await operatorRolledOut(stage.cluster);
});

test('a version that never gets ready is aborted after the time that pods may take, and gets no request', async () => {
  const { status } = await aborted(PATIENT, PATIENCE_MS);
  assert.match(
    await line(PATIENT),
    /no progress within progressDeadlineSeconds: 0 of 1 pods available; \w+ serves\n$/,
  );
  assert.notEqual(status.currentRevision, status.stableRevision);
  const asked = await patientLoad.answers(patientSince);
  assert.deepEqual(failures(asked), []);
  assert.ok(asked.length > 100, `${asked.length} requests`);
  assert.ok(asked.every(({ pod }) => isPodOf(status.stableRevision, pod, PATIENT)));
});
