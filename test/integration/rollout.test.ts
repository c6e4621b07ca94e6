/** Rollouts against a real API server, with the rights of operator/rbac.ts. The test plays kubelet and the user. */
import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  DEPLOYMENT,
  HPA,
  JOB,
  MODEL_DEPLOYMENT,
  NODE,
  type Node,
  POD,
  type Pod,
  PVC,
} from '../../operator/controllers/kinds.ts';
import { timestamp } from '../../operator/runtime/conditions.ts';
import { EVENT } from '../../operator/runtime/events.ts';
import { conditionOf, Environment, eventually, type Namespace } from './environment.ts';
import {
  deploymentOf,
  digestOf,
  Pods,
  replicasOf,
  say,
  selected,
  served,
  untilStatus,
  updateModel,
} from './rollout.ts';

let environment: Environment;
let operator: Awaited<ReturnType<Environment['runOperator']>>;
before(async () => {
  environment = await Environment.start();
  operator = await environment.runOperator();
});
after(async () => {
  await operator.stop();
  await environment.stop();
});

async function scene(t: TestContext) {
  const namespace = await environment.namespace();
  const pods = new Pods(namespace);
  t.after(() => pods.stop());
  return { namespace, pods };
}

const stepwise = { canary: { steps: [{ setWeight: 25 }, { pause: {} }, { setWeight: 50 }, { pause: {} }] } };

describe('a canary', () => {
  it('takes its steps, waits for a person, and is promoted without a pod being started again', async (t) => {
    const { namespace } = await scene(t);
    const first = await served(namespace, { replicas: 4, strategy: stepwise });
    await eventually(
      'clients get the first revision',
      async () => (await selected(namespace, 'd')) === first,
    );
    await updateModel(namespace, 'm', digestOf('b'), '0.2.0');

    const waiting = await untilStatus(namespace, 'd', ({ phase }) => phase === 'Paused', 'waits');
    const second = waiting.status?.currentRevision ?? '';
    assert.notEqual(second, first);
    assert.equal(waiting.status?.stableRevision, first);
    assert.equal(waiting.status?.currentStepIndex, 1);
    assert.equal(waiting.status?.canary?.weights?.canary, 25);
    assert.equal(conditionOf(waiting, 'Paused')?.reason, 'CanaryPauseStep');
    assert.equal(conditionOf(waiting, 'Available')?.status, 'True');
    assert.deepEqual([await replicasOf(namespace, first), await replicasOf(namespace, second)], [3, 1]);
    assert.equal(waiting.status?.models?.[0]?.version, '0.2.0');
    const made = async () =>
      (await namespace.list(EVENT)).flatMap(({ reason, note }) =>
        reason === 'RevisionCreated' ? [note] : [],
      );
    await eventually('both revisions are told', async () => (await made()).length === 2);
    const told = [`revision ${first}: m@0.1.0`, `revision ${second}: m@0.2.0`];
    assert.deepEqual((await made()).sort(), told.sort());
    assert.equal(await selected(namespace, 'd'), 'all');
    assert.equal(await selected(namespace, 'd-stable'), first);
    assert.equal(await selected(namespace, 'd-canary'), second);

    await say(namespace, 'd', { pauseConditions: null });
    await untilStatus(
      namespace,
      'd',
      ({ phase, currentStepIndex }) => phase === 'Paused' && currentStepIndex === 3,
      'waits again',
    );
    assert.deepEqual([await replicasOf(namespace, first), await replicasOf(namespace, second)], [2, 2]);
    const { metadata } = await deploymentOf(namespace, second);

    await say(namespace, 'd', { promoteFull: true });
    const done = await untilStatus(namespace, 'd', ({ phase }) => phase === 'Healthy', 'is promoted');
    assert.equal(done.status?.stableRevision, second);
    assert.equal(done.status?.lastGoodRevision, second);
    assert.notEqual(done.status?.promoteFull, true);
    assert.equal(done.status?.completion?.revision, second);
    assert.equal(conditionOf(done, 'Ready')?.status, 'True');
    await eventually(
      'clients have the new revision alone',
      async () => (await selected(namespace, 'd')) === second,
    );
    assert.equal((await deploymentOf(namespace, second)).metadata.uid, metadata.uid);
    await eventually('the old pods go', async () => (await replicasOf(namespace, first)) === 0);
    const known = await untilStatus(namespace, 'd', ({ revisions }) => revisions?.length === 2, 'knows both');
    const versions = known.status?.revisions?.map(({ revision, models }) => [revision, models?.[0]?.version]);
    assert.deepEqual(
      new Map(versions as [string, string][]),
      new Map([
        [second, '0.2.0'],
        [first, '0.1.0'],
      ]),
    );
  });

  it('whose pods crash is aborted, and the stable revision serves in full', async (t) => {
    const { namespace, pods } = await scene(t);
    const first = await served(namespace, { replicas: 2, strategy: stepwise });
    pods.stalled = true;
    await updateModel(namespace, 'm', digestOf('b'), '0.2.0');
    const { status } = await untilStatus(namespace, 'd', (now) => now.currentRevision !== first, 'rolls out');
    const second = status?.currentRevision ?? '';
    pods.crashing.add(second);
    pods.stalled = false;
    const aborted = await untilStatus(namespace, 'd', ({ abort }) => abort, 'is aborted');
    assert.equal(aborted.status?.phase, 'Degraded');
    assert.equal(conditionOf(aborted, 'Degraded')?.status, 'True');
    assert.match(aborted.status?.message ?? '', /CrashLoopBackOff|no such graph/);
    assert.equal(aborted.status?.stableRevision, first);
    await eventually('the canary goes', async () => (await replicasOf(namespace, second)) === 0);
    await eventually('the stable one is whole', async () => (await replicasOf(namespace, first)) === 2);
    assert.equal(await selected(namespace, 'd'), first);
    assert.equal(conditionOf(aborted, 'Available')?.status, 'True');
  });

  it('is aborted by a person, and tried again by one', async (t) => {
    const { namespace } = await scene(t);
    const first = await served(namespace, { replicas: 4, strategy: stepwise });
    await updateModel(namespace, 'm', digestOf('b'), '0.2.0');
    await untilStatus(namespace, 'd', ({ phase }) => phase === 'Paused', 'waits');
    await say(namespace, 'd', { abort: true });
    const aborted = await untilStatus(
      namespace,
      'd',
      ({ phase, abortedAt }) => phase === 'Degraded' && abortedAt !== undefined,
      'is aborted',
    );
    assert.equal(conditionOf(aborted, 'Degraded')?.reason, 'RolloutAborted');
    const second = aborted.status?.currentRevision ?? '';
    await eventually('the stable one has all', async () => (await replicasOf(namespace, first)) === 4);
    await eventually('the canary goes', async () => (await replicasOf(namespace, second)) === 0);
    assert.equal(await selected(namespace, 'd'), first);
    await say(namespace, 'd', { abort: false });
    const again = await untilStatus(namespace, 'd', ({ phase }) => phase === 'Paused', 'waits again');
    assert.equal(again.status?.currentRevision, second);
    assert.equal(again.status?.canary?.weights?.canary, 25);
    assert.equal(again.status?.abortedAt, undefined);
  });

  it('gives way to a third revision, which never gets requests before it is ready', async (t) => {
    const { namespace } = await scene(t);
    const first = await served(namespace, { replicas: 4, strategy: stepwise });
    await updateModel(namespace, 'm', digestOf('b'), '0.2.0');
    const second = (await untilStatus(namespace, 'd', ({ phase }) => phase === 'Paused', 'waits')).status
      ?.currentRevision;
    // What a user has written goes with the rollout that it was about.
    await say(namespace, 'd', {
      pauseConditions: [{ reason: 'PausedByUser', startTime: timestamp(Date.now()) }],
    });
    await updateModel(namespace, 'm', digestOf('c'), '0.3.0');
    const third = await untilStatus(
      namespace,
      'd',
      ({ phase, currentRevision }) => phase === 'Paused' && currentRevision !== second,
      'waits with the third',
    );
    assert.equal(third.status?.stableRevision, first);
    assert.equal(third.status?.completion?.status, 'Superseded');
    assert.deepEqual(
      third.status?.pauseConditions?.map(({ reason }) => reason),
      ['CanaryPauseStep'],
    );
    await eventually('the second goes', async () => (await replicasOf(namespace, second ?? '')) === 0);
  });

  it('goes back to a kept revision by rollbackTo, and says so of one that is not kept', async (t) => {
    const { namespace } = await scene(t);
    const first = await served(namespace, {
      replicas: 2,
      strategy: { canary: { steps: [] } },
      rollbackWindow: { revisions: 3 },
    });
    // Which revision is the older one is told by seconds.
    await sleep(1_100);
    await updateModel(namespace, 'm', digestOf('b'), '0.2.0');
    const second = (
      await untilStatus(
        namespace,
        'd',
        ({ phase, stableRevision }) => phase === 'Healthy' && stableRevision !== first,
        'serves the second',
      )
    ).status?.stableRevision;
    await namespace.patch(MODEL_DEPLOYMENT, 'd', { spec: { rollbackTo: first } });
    const back = await untilStatus(
      namespace,
      'd',
      ({ phase, stableRevision }) => phase === 'Healthy' && stableRevision === first,
      'serves the first again',
    );
    assert.match(back.status?.completion?.status ?? '', /RolledBack/);
    await eventually('clients are back', async () => (await selected(namespace, 'd')) === first);
    await namespace.patch(MODEL_DEPLOYMENT, 'd', { spec: { rollbackTo: 'abcdef0123' } });
    const refused = await untilStatus(namespace, 'd', ({ phase }) => phase === 'Degraded', 'refuses');
    assert.equal(conditionOf(refused, 'Degraded')?.reason, 'RevisionNotKept');
    assert.equal(refused.status?.stableRevision, first);
    await namespace.patch(MODEL_DEPLOYMENT, 'd', { spec: { rollbackTo: null } });
    await untilStatus(
      namespace,
      'd',
      ({ phase, stableRevision }) => phase === 'Healthy' && stableRevision === second,
      'serves the second again',
    );
  });
});

it('blueGreen switches all requests at once when a person says so', async (t) => {
  const { namespace } = await scene(t);
  const first = await served(namespace, {
    replicas: 2,
    strategy: { blueGreen: { autoPromotion: false, scaleDownDelaySeconds: 0 } },
  });
  await updateModel(namespace, 'm', digestOf('b'), '0.2.0');
  const waiting = await untilStatus(namespace, 'd', ({ phase }) => phase === 'Paused', 'waits');
  const second = waiting.status?.currentRevision ?? '';
  assert.deepEqual([await replicasOf(namespace, first), await replicasOf(namespace, second)], [2, 2]);
  assert.equal(await selected(namespace, 'd'), first);
  assert.equal(await selected(namespace, 'd-canary'), second);
  await say(namespace, 'd', { pauseConditions: null });
  await untilStatus(
    namespace,
    'd',
    ({ phase, stableRevision }) => phase === 'Healthy' && stableRevision === second,
    'has switched',
  );
  assert.equal(await selected(namespace, 'd'), second);
  await eventually('the old pods go', async () => (await replicasOf(namespace, first)) === 0);
});

it('a rolling update becomes a canary and a canary a rolling update while pods serve', async (t) => {
  const { namespace } = await scene(t);
  const first = await served(namespace, { replicas: 2 });
  await namespace.patch(MODEL_DEPLOYMENT, 'd', { spec: { strategy: stepwise } });
  // The pods of this strategy limit the requests of a connection, so they are another revision.
  const waiting = await untilStatus(namespace, 'd', ({ phase }) => phase === 'Paused', 'waits');
  const second = waiting.status?.currentRevision ?? '';
  assert.equal(waiting.status?.stableRevision, first);
  assert.equal((await deploymentOf(namespace, first)).metadata.name, 'd-stable');
  await say(namespace, 'd', { promoteFull: true });
  await untilStatus(
    namespace,
    'd',
    ({ phase, stableRevision }) => phase === 'Healthy' && stableRevision === second,
    'is promoted',
  );
  await eventually(
    'the Deployment of before has no pods',
    async () => (await replicasOf(namespace, first)) === 0,
  );

  await namespace.patch(MODEL_DEPLOYMENT, 'd', { spec: { strategy: null } });
  await namespace.until(DEPLOYMENT, 'd-stable', ({ spec }) => spec?.replicas === 2, 'serves again');
  await untilStatus(
    namespace,
    'd',
    ({ phase, stableRevision }) => phase === 'Healthy' && stableRevision === first,
    'rolls again',
  );
  await eventually('revisions and their services are gone', async () => {
    const deployments = (await namespace.list(DEPLOYMENT)).map(({ metadata }) => metadata.name);
    const services = [await selected(namespace, 'd-stable'), await selected(namespace, 'd-canary')];
    return deployments.join() === 'd-stable' && services.every((service) => service === undefined);
  });
  assert.equal(await selected(namespace, 'd'), 'all');
  const rolling = await untilStatus(namespace, 'd', ({ revisions }) => revisions === undefined, 'forgets');
  assert.equal(rolling.status?.pauseConditions, undefined);
});

describe('an autoscaled canary', () => {
  const autoscaling = { minReplicas: 2, maxReplicas: 8 };

  it('has an autoscaler per track, whose floors are what the rollout decides', async (t) => {
    const { namespace } = await scene(t);
    const first = await served(namespace, { autoscaling, strategy: stepwise });
    const resting = await namespace.until(HPA, 'd-stable', () => true, 'is there');
    assert.deepEqual([resting.spec?.minReplicas, resting.spec?.maxReplicas], [2, 8]);
    const { metadata } = await deploymentOf(namespace, first);
    // The autoscaler, which does not run here.
    await namespace.patch(DEPLOYMENT, metadata.name, { spec: { replicas: 4 } }, 'scale');
    await untilStatus(namespace, 'd', ({ availableReplicas }) => availableReplicas === 4, 'has four pods');

    await updateModel(namespace, 'm', digestOf('b'), '0.2.0');
    const waiting = await untilStatus(namespace, 'd', ({ phase }) => phase === 'Paused', 'waits');
    const second = waiting.status?.currentRevision ?? '';
    assert.deepEqual([await replicasOf(namespace, first), await replicasOf(namespace, second)], [3, 1]);
    const canary = await namespace.until(HPA, 'd-canary', () => true, 'is there');
    assert.equal(canary.spec?.scaleTargetRef.name, (await deploymentOf(namespace, second)).metadata.name);
    assert.deepEqual([canary.spec?.minReplicas, canary.spec?.maxReplicas], [1, 2]);
    const stable = await namespace.until(
      HPA,
      'd-stable',
      ({ spec }) => spec?.minReplicas === 3,
      'has a floor',
    );
    assert.equal(stable.spec?.maxReplicas, 6);

    await say(namespace, 'd', { promoteFull: true });
    await untilStatus(
      namespace,
      'd',
      ({ phase, stableRevision }) => phase === 'Healthy' && stableRevision === second,
      'is promoted',
    );
    const after = await namespace.until(HPA, 'd-stable', ({ spec }) => spec?.minReplicas === 2, 'is at rest');
    assert.equal(after.spec?.scaleTargetRef.name, (await deploymentOf(namespace, second)).metadata.name);
    assert.equal(await replicasOf(namespace, second), 4);
    await eventually(
      'the canary has none',
      async () => (await namespace.find(HPA, 'd-canary')) === undefined,
    );

    // As many pods as served begin, whatever the minimum.
    await namespace.patch(MODEL_DEPLOYMENT, 'd', { spec: { strategy: null } });
    const rolling = await namespace.until(DEPLOYMENT, 'd-stable', () => true, 'is there');
    assert.equal(rolling.spec?.replicas, 4);
    await eventually('it has taken over', async () => (await namespace.list(DEPLOYMENT)).length === 1);
    assert.equal((await namespace.find(DEPLOYMENT, 'd-stable'))?.spec?.replicas, 4);
    const last = await namespace.until(HPA, 'd-stable', () => true, 'is there');
    assert.equal(last.spec?.scaleTargetRef.name, 'd-stable');
  });

  it('that was aborted is scaled by nobody', async (t) => {
    const { namespace } = await scene(t);
    const first = await served(namespace, { autoscaling, strategy: stepwise });
    await updateModel(namespace, 'm', digestOf('b'), '0.2.0');
    const waiting = await untilStatus(namespace, 'd', ({ phase }) => phase === 'Paused', 'waits');
    const second = waiting.status?.currentRevision ?? '';
    await say(namespace, 'd', { abort: true });
    await eventually(
      'its autoscaler goes',
      async () => (await namespace.find(HPA, 'd-canary')) === undefined,
    );
    await eventually('its pods go', async () => (await replicasOf(namespace, second)) === 0);
    await eventually('the stable one is whole', async () => (await replicasOf(namespace, first)) === 2);
    const { spec } = await namespace.until(HPA, 'd-stable', () => true, 'is there');
    assert.equal(spec?.scaleTargetRef.name, (await deploymentOf(namespace, first)).metadata.name);
  });
});

it('where no accelerator is free for a further pod an old one goes first', async (t) => {
  const { namespace } = await scene(t);
  const resource = 'test.io/rollout-gpu';
  const node = { metadata: { name: `${namespace.name}-node` }, spec: {} } as Node;
  await environment.client.create(NODE, { apiVersion: 'v1', kind: 'Node', ...node });
  t.after(() => environment.client.delete(NODE, node.metadata));
  const status = {
    allocatable: { [resource]: '2' },
    capacity: { [resource]: '2' },
    conditions: [{ type: 'Ready', status: 'True' }],
  };
  await environment.client.patch(NODE, node.metadata, { status }, { subresource: 'status' });
  // Two pods of somebody else take what there is.
  const taken = { containers: [{ name: 'c', image: 'i', resources: { limits: { [resource]: '2' } } }] };
  const metadata = { name: 'other', namespace: namespace.name };
  await namespace.create(POD, { metadata, spec: { ...taken, nodeName: node.metadata.name } } as Pod);

  const first = await served(namespace, {
    replicas: 2,
    device: 'cpu',
    gpu: { resourceName: resource },
    strategy: { canary: { steps: [{ setWeight: 50 }, { pause: {} }], maxSurge: 1 } },
  });
  const counts: number[] = [];
  const watching = new AbortController();
  const watch = (async () => {
    while (!watching.signal.aborted) {
      const deployments = await namespace.list(DEPLOYMENT);
      counts.push(deployments.reduce((sum, { spec }) => sum + (spec?.replicas ?? 0), 0));
    }
  })();
  await updateModel(namespace, 'm', digestOf('b'), '0.2.0');
  const waiting = await untilStatus(namespace, 'd', ({ phase }) => phase === 'Paused', 'waits');
  assert.equal(waiting.status?.canary?.noSurge, true);
  assert.deepEqual(
    [await replicasOf(namespace, first), await replicasOf(namespace, waiting.status?.currentRevision ?? '')],
    [1, 1],
  );
  watching.abort();
  await watch;
  assert.ok(counts.length > 0 && Math.max(...counts) <= 2, `pods asked for: ${counts.join(' ')}`);
});

describe('a canary that is probed before it gets requests', () => {
  const metrics = [{ name: 'probes', probeSet: { configMap: { name: 'probes' }, minAuc: 0.8 } }];
  const probed = { canary: { steps: [{ analysis: { metrics } }, { setWeight: 50 }] } };

  /** Plays the probe: a pod that ends with its last words, and the Job that it was of. */
  async function answer(namespace: Namespace, auc: number): Promise<void> {
    const job = await eventually('a Job that measures', async () =>
      (await namespace.list(JOB)).find(({ metadata }) => metadata.labels?.['deepfake-operator.io/probe']),
    );
    const { name, uid = '' } = job.metadata;
    const side = { version: '0.2.0', scored: 20, inconclusive: 0, unanswered: 0, auc, accuracy: auc };
    const message = JSON.stringify({ files: 20, compared: 20, canary: side, stable: side, worst: [] });
    const labels = { ...job.spec?.template.metadata?.labels, 'job-name': name };
    const owner = { apiVersion: 'batch/v1', kind: 'Job', name, uid, controller: true };
    const metadata = { name: `${name}-p`, namespace: namespace.name, labels, ownerReferences: [owner] };
    await namespace.create(POD, { metadata, spec: job.spec?.template.spec } as Pod);
    const terminated = { exitCode: 0, message, reason: 'Completed' };
    const container = { name: 'probe', image: 'i', imageID: '', ready: false, restartCount: 0 };
    const ended = { phase: 'Succeeded', containerStatuses: [{ ...container, state: { terminated } }] };
    await namespace.patch(POD, metadata.name, { status: ended }, 'status');
    const now = timestamp(Date.now());
    const conditions = ['SuccessCriteriaMet', 'Complete'].map((type) => ({
      type,
      status: 'True',
      lastTransitionTime: now,
      reason: 'Test',
      message: '',
    }));
    const status = { startTime: now, succeeded: 1, completionTime: now, conditions };
    await namespace.patch(JOB, name, { status }, 'status');
  }

  it('goes on when it judges well', async (t) => {
    const { namespace } = await scene(t);
    const first = await served(namespace, { replicas: 2, strategy: probed });
    await updateModel(namespace, 'm', digestOf('b'), '0.2.0');
    const judged = await untilStatus(
      namespace,
      'd',
      ({ canary }) => canary?.analysis?.length === 1,
      'is judged',
    );
    assert.equal(judged.status?.canary?.weights?.canary, 0);
    assert.equal(await selected(namespace, 'd'), first);
    await answer(namespace, 0.9);
    await untilStatus(
      namespace,
      'd',
      ({ phase, stableRevision }) => phase === 'Healthy' && stableRevision !== first,
      'is promoted',
    );
  });

  it('is aborted when it judges badly, without a request', async (t) => {
    const { namespace } = await scene(t);
    const first = await served(namespace, { replicas: 2, strategy: probed });
    await updateModel(namespace, 'm', digestOf('b'), '0.2.0');
    await answer(namespace, 0.6);
    const aborted = await untilStatus(namespace, 'd', ({ abort }) => abort, 'is aborted');
    assert.equal(conditionOf(aborted, 'Degraded')?.reason, 'AnalysisFailed');
    assert.match(conditionOf(aborted, 'Degraded')?.message ?? '', /0\.6/);
    assert.equal(aborted.status?.canary?.weights?.canary, 0);
    assert.equal(await selected(namespace, 'd'), first);
  });
});

it('a revision whose weights are gone is not gone back to', async (t) => {
  const { namespace } = await scene(t);
  const first = await served(namespace, { replicas: 1, strategy: { canary: { steps: [] } } });
  await updateModel(namespace, 'm', digestOf('b'), '0.2.0');
  const promoted = await untilStatus(
    namespace,
    'd',
    ({ phase, stableRevision }) => phase === 'Healthy' && stableRevision !== first,
    'serves the second',
  );
  await eventually('the old pods go', async () => (await replicasOf(namespace, first)) === 0);
  const volumes = (await deploymentOf(namespace, first)).spec?.template.spec?.volumes ?? [];
  const claim =
    volumes.flatMap(({ persistentVolumeClaim }) => persistentVolumeClaim?.claimName ?? [])[0] ?? '';
  // It is kept for as long as the revision is.
  assert.ok(await namespace.find(PVC, claim));
  await namespace.patch(PVC, claim, { metadata: { finalizers: null } });
  await namespace.delete(PVC, claim);
  await namespace.patch(MODEL_DEPLOYMENT, 'd', { spec: { rollbackTo: first } });
  const refused = await untilStatus(namespace, 'd', ({ phase }) => phase === 'Degraded', 'refuses');
  assert.equal(conditionOf(refused, 'Degraded')?.reason, 'WeightsGone');
  assert.equal(refused.status?.stableRevision, promoted.status?.stableRevision);
  assert.equal(conditionOf(refused, 'Available')?.status, 'True');
});
