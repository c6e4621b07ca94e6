/** A canary on the real cluster: a detector that got worse gets no request, a good one takes over step by step, and none is lost. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { imagesOfCheckout } from '../../hack/lib/deploy.ts';
import type { KubeObject } from '../../hack/lib/kubectl.ts';
import { REPOSITORY } from '../../hack/lib/paths.ts';
import { archiveMap, archiveOf, configMap, upsideDown, withVersion } from './archives.ts';
import { linkPlugin, type Plugin } from './plugin.ts';
import { has, isHealthy, openStage, pod, type Stage } from './stage.ts';

const NAMESPACE = 'deepfake-e2e-canary';
const NAME = 'detector';
const MODEL = 'image-residual-cnn';
const CLIENT = 'client';
/** Small enough for two cores, together with whatever else runs. */
const RESOURCES = { requests: { cpu: '50m', memory: '256Mi' }, limits: { memory: '1Gi' } };
const TIMEOUT_MS = 240_000;
/** Pods that end answer what comes while they leave the Service. */
const PROPAGATION_MS = 10_000;

interface Asked {
  readonly at: number;
  readonly kept: boolean;
  readonly status: number;
  readonly version?: string;
  readonly pod?: string;
  readonly error?: string;
}

let stage: Stage;
let plugin: Plugin;
let digests: Record<'good' | 'worse', string>;

const until = (what: string, is: (object: KubeObject) => boolean) =>
  stage.until('modeldeployment', NAME, what, is, TIMEOUT_MS);
const serve = (archive: 'good' | 'worse') =>
  stage.model(MODEL, {
    source: { configMap: { name: archive, key: `${archive}.tar.gz` } },
    digest: digests[archive],
  });

/** What the client was answered from a moment on. */
async function answers(since = 0): Promise<Asked[]> {
  const lines = (await stage.kubectl(['logs', CLIENT])).trim().split('\n');
  return lines
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Asked)
    .filter(({ at }) => at >= since);
}
const failures = (asked: readonly Asked[]) => asked.filter(({ status }) => status !== 200);
const podNames = async () => (await stage.pods(NAME)).map(({ metadata }) => metadata.name).sort();
async function rollout(...words: readonly string[]): Promise<void> {
  const { code, stderr } = await plugin.run(['rollout', ...words]);
  assert.equal(code, 0, stderr);
}

before(async () => {
  stage = await openStage(NAMESPACE);
  plugin = await linkPlugin(stage.cluster, NAMESPACE);
  const { inference: image } = await imagesOfCheckout();
  const good = await archiveOf(withVersion('0.2.0'));
  const worse = await archiveOf((manifest) => upsideDown(withVersion('0.3.0')(manifest)));
  digests = { good: good.digest, worse: worse.digest };
  const media = (name: string) => readFileSync(join(REPOSITORY, 'models', MODEL, 'golden', name));
  const base64 = (name: string) => media(name).toString('base64');
  await stage.apply(
    archiveMap('good', good),
    archiveMap('worse', worse),
    configMap('probes', {
      data: { 'manifest.csv': 'path,label\nreal.png,real\nfake.png,fake\n' },
      binaryData: { 'real.png': base64('real.png'), 'fake.png': base64('fake.png') },
    }),
    configMap('client', {
      data: { 'asking-client.ts': readFileSync(join(import.meta.dirname, 'asking-client.ts'), 'utf8') },
      binaryData: { 'fake.png': base64('fake.png') },
    }),
  );
  await stage.model(MODEL, { source: { builtin: { name: MODEL } } });
  await stage.deployment(NAME, {
    models: [{ name: MODEL }],
    replicas: 2,
    resources: RESOURCES,
    progressDeadlineSeconds: 600,
    rollbackWindow: { revisions: 3 },
    strategy: {
      canary: {
        steps: [
          {
            analysis: {
              metrics: [
                {
                  name: 'probes',
                  probeSet: { configMap: { name: 'probes' }, minAuc: 0.9, maxFlips: 0, minFiles: 2 },
                },
              ],
            },
          },
          { setWeight: 50 },
          { pause: {} },
        ],
        analysis: {
          startingStep: 2,
          metrics: [
            {
              name: 'errors',
              interval: '5s',
              builtin: { metric: 'errorRate', max: 0, minCount: 1 },
              inconclusiveLimit: 100,
            },
          ],
        },
        scaleDownDelaySeconds: 5,
        abortScaleDownDelaySeconds: 5,
      },
    },
  });
  const first = await until('serves', isHealthy);
  const { name, key } = first.status.authSecret;
  await stage.apply(
    pod(
      CLIENT,
      image,
      ['node', '/client/asking-client.ts', `http://${NAME}.${NAMESPACE}.svc/analyze`, '/client/fake.png'],
      {
        volumes: [{ name: 'client', configMap: { name: 'client' } }],
        container: {
          env: [{ name: 'API_KEY', valueFrom: { secretKeyRef: { name, key } } }],
          volumeMounts: [{ name: 'client', mountPath: '/client' }],
        },
      },
    ),
  );
  await stage.until('pod', CLIENT, 'runs', has('Ready', 'True'));
});

after(async () => {
  await plugin.remove();
  await stage.close();
});

test('the first revision takes no steps', async () => {
  const { status } = await until('is healthy', isHealthy);
  assert.equal(status.stableRevision, status.currentRevision);
  assert.equal((await podNames()).length, 2);
});

test('a version that answers as fast and judges worse is found out before it gets a request', async () => {
  const stable = (await stage.get('modeldeployment', NAME))?.status.stableRevision;
  const serving = await podNames();
  const since = Date.now();
  await serve('worse');
  const { status } = await until(
    'is aborted',
    ({ status: now }) => now?.abort === true && now.phase === 'Degraded',
  );
  assert.equal(status.stableRevision, stable);
  const run = status.canary.analysis.find(({ id }: { id: string }) => id === 'step-0');
  assert.equal(run.phase, 'Failed');
  const measured = JSON.parse(run.metrics[0].measurements.at(-1).value);
  assert.equal(measured.auc, 0);
  assert.equal(measured.stableAuc, 1);
  const asked = await answers(since);
  assert.ok(asked.length > 10, `${asked.length} requests`);
  assert.deepEqual(failures(asked), []);
  assert.deepEqual([...new Set(asked.map(({ version }) => version))], ['0.1.0']);
  const staying = await podNames();
  assert.deepEqual(
    serving.filter((name) => !staying.includes(name)),
    [],
  );
});

test('a good version gets its share, waits for a person, and takes over with the pods that it has', async () => {
  await serve('good');
  const { status } = await until(
    'waits at half',
    ({ status: now }) => now?.phase === 'Paused' && now.currentStepIndex === 2 && !now.abort,
  );
  assert.equal(status.canary.weights.canary, 50);
  const before = Date.now();
  await sleep(20_000);
  const split = await answers(before);
  assert.deepEqual(failures(split), []);
  for (const kept of [false, true]) {
    const of = split.filter((answer) => answer.kept === kept);
    const share = of.filter(({ version }) => version === '0.2.0').length / of.length;
    assert.ok(kept || (share > 0.2 && share < 0.8), `${share} of ${of.length} with connections of their own`);
  }
  const canaries = (await stage.pods(NAME))
    .filter(({ metadata }) => metadata.labels?.['deepfake-operator.io/revision'] === status.currentRevision)
    .map(({ metadata }) => metadata.name);
  await rollout('promote', NAME);
  const { status: done } = await until(
    'is promoted',
    (object) => isHealthy(object) && object.status.stableRevision === status.currentRevision,
  );
  assert.equal(done.completion.status, 'Promoted');
  const staying = await podNames();
  assert.deepEqual(
    canaries.filter((name) => !staying.includes(name)),
    [],
  );
  await stage.until(
    'modeldeployment',
    NAME,
    'old pods go',
    ({ status: now }) => now?.replicas === 2,
    TIMEOUT_MS,
  );
  await sleep(PROPAGATION_MS);
  const gone = Date.now();
  await sleep(3_000);
  const asked = await answers(before);
  assert.deepEqual(failures(asked), []);
  const late = asked.filter(({ at }) => at >= gone).map(({ version }) => version);
  assert.deepEqual([...new Set(late)], ['0.2.0']);
});

test('undo goes back to the revision before at once, without a second canary', async () => {
  const since = Date.now();
  const { status } = (await stage.get('modeldeployment', NAME)) as KubeObject;
  await rollout('undo', NAME);
  const back = await until(
    'is back',
    (object) => isHealthy(object) && object.status.stableRevision !== status.stableRevision,
  );
  assert.equal(back.status.completion.status, 'FastRolledBack');
  await sleep(2_000);
  const asked = await answers(since);
  assert.deepEqual(failures(asked), []);
  assert.equal(asked.at(-1)?.version, '0.1.0');
});
