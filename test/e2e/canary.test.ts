/** A canary on the real cluster: a detector that got worse gets no request, a good one takes over step by step, and none is lost. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { KubeObject } from '../../hack/lib/kubectl.ts';
import { archiveMap, archiveOf, configMap, upsideDown, withVersion } from './archives.ts';
import { askConstantly, failures, golden, type Load, MODEL, RESOURCES, TIMEOUT_MS } from './constant-load.ts';
import { linkPlugin, type Plugin } from './plugin.ts';
import { isHealthy, openStage, type Stage } from './stage.ts';

const NAMESPACE = 'deepfake-e2e-canary';
const NAME = 'detector';
/** Pods that end answer what comes while they leave the Service. */
const PROPAGATION_MS = 10_000;

let stage: Stage;
let plugin: Plugin;
let load: Load;
let digests: Record<'good' | 'worse', string>;

const until = (what: string, is: (object: KubeObject) => boolean) =>
  stage.until('modeldeployment', NAME, what, is, TIMEOUT_MS);
const serve = (archive: 'good' | 'worse') =>
  stage.model(MODEL, {
    source: { configMap: { name: archive, key: `${archive}.tar.gz` } },
    digest: digests[archive],
  });

const podNames = async () => (await stage.pods(NAME)).map(({ metadata }) => metadata.name).sort();
async function rollout(...words: readonly string[]): Promise<void> {
  const { code, stderr } = await plugin.run(['rollout', ...words]);
  assert.equal(code, 0, stderr);
}

before(async () => {
  stage = await openStage(NAMESPACE);
  plugin = await linkPlugin(stage.cluster, NAMESPACE);
  const good = await archiveOf(withVersion('0.2.0'));
  const worse = await archiveOf((manifest) => upsideDown(withVersion('0.3.0')(manifest)));
  digests = { good: good.digest, worse: worse.digest };
  await stage.apply(
    archiveMap('good', good),
    archiveMap('worse', worse),
    configMap('probes', {
      data: { 'manifest.csv': 'path,label\nreal.png,real\nfake.png,fake\n' },
      binaryData: { 'real.png': golden('real.png'), 'fake.png': golden('fake.png') },
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
  load = await askConstantly(stage, NAME);
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
  const asked = await load.answers(since);
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
  const split = await load.answers(before);
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
  const asked = await load.answers(before);
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
  await sleep(PROPAGATION_MS);
  const asked = await load.answers(since);
  assert.deepEqual(failures(asked), []);
  assert.equal(asked.at(-1)?.version, '0.1.0');
});
