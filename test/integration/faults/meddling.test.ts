/** Somebody changes, takes or replaces an object while the operator is between two requests about it. */
import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import {
  DEEPFAKE_MODEL,
  DEPLOYMENT,
  JOB,
  MODEL_DEPLOYMENT,
  PVC,
  SERVICE,
} from '../../../operator/controllers/kinds.ts';
import type { Kind, KubeObject } from '../../../operator/runtime/object.ts';
import { conditionOf, DIGEST_A, eventually, fetched, type Namespace } from '../environment.ts';
import { before as beforeCall, type Call, type Rule } from './fault-proxy.ts';
import { deploy, Stage } from './stage.ts';

let stage: Stage;
before(async () => {
  stage = await Stage.open();
});
after(() => stage.close());

async function setUp(t: TestContext, ruleFor: (namespace: Namespace) => Rule, { pods = true } = {}) {
  const { namespace, start } = await stage.scene(t, { pods });
  const operator = await start({ rule: ruleFor(namespace) });
  await operator.untilReady();
  return { namespace, operator };
}

const writeTo =
  (suffix: string) =>
  ({ write, path }: Call): boolean =>
    write && path.endsWith(suffix);

/** Makes an object of that name that belongs to nobody. */
const foreign = ({ name: namespace }: Namespace, kind: Kind, name: string, spec: object) =>
  stage.environment.client.create(kind, {
    apiVersion: kind.apiVersion,
    kind: kind.kind,
    metadata: { name, namespace, annotations: { whose: 'theirs' } },
    spec,
  } as KubeObject);

const FOREIGN_SERVICE = { ports: [{ port: 9999, name: 'theirs' }], selector: { app: 'theirs' } };
const FOREIGN_DEPLOYMENT = {
  selector: { matchLabels: { app: 'theirs' } },
  template: {
    metadata: { labels: { app: 'theirs' } },
    spec: { containers: [{ name: 'c', image: 'theirs.test/image' }] },
  },
};
const FOREIGN_CLAIM = {
  accessModes: ['ReadWriteOnce'],
  resources: { requests: { storage: '3Gi' } },
};

describe('an object that somebody else makes just before the operator makes its own', {
  concurrency: true,
}, () => {
  for (const [kind, name, spec, suffix] of [
    [SERVICE, 'd', FOREIGN_SERVICE, '/services/d'],
    [DEPLOYMENT, 'd-stable', FOREIGN_DEPLOYMENT, '/deployments/d-stable'],
  ] as const) {
    it(`is left to them and reported: ${kind.kind}`, async (t) => {
      const { namespace } = await setUp(t, (scene) =>
        beforeCall(writeTo(suffix), () => foreign(scene, kind, name, spec)),
      );
      await deploy(namespace);
      const told = await namespace.until(
        MODEL_DEPLOYMENT,
        'd',
        (object) => conditionOf(object, 'Degraded')?.reason === 'OwnershipConflict',
        'reports the conflict',
      );
      assert.match(conditionOf(told, 'Degraded')?.message ?? '', new RegExp(`${kind.kind} ${name} `));
      const live = await namespace.find(kind as Kind, name);
      assert.equal(live?.metadata.ownerReferences, undefined);
      assert.deepEqual(
        live?.metadata.managedFields?.filter(({ manager }) => manager === 'deepfake-operator'),
        [],
      );
      await namespace.delete(kind, name);
      await stage.untilServed(namespace, DIGEST_A, 1);
    });
  }

  it('is left to them and reported: PersistentVolumeClaim', async (t) => {
    const isClaim = ({ write, path }: Call) => write && path.includes('/persistentvolumeclaims/');
    const { namespace } = await setUp(t, (scene) =>
      beforeCall(isClaim, ({ path }) => foreign(scene, PVC, path.split('/').at(-1) ?? '', FOREIGN_CLAIM)),
    );
    await namespace.model('m', { source: { builtin: { name: 'b' } }, digest: DIGEST_A });
    await namespace.until(
      DEEPFAKE_MODEL,
      'm',
      (object) => conditionOf(object, 'Ready')?.reason === 'OwnershipConflict',
      'reports the conflict',
    );
    const [claim] = await namespace.list(PVC);
    assert.equal(claim?.metadata.ownerReferences, undefined);
    assert.equal(claim?.spec?.resources?.requests?.['storage'], '3Gi');
  });
});

describe('a child that somebody meddles with in the middle of a pass', { concurrency: true }, () => {
  const meddle: readonly (readonly [string, (namespace: Namespace) => Promise<unknown>])[] = [
    ['deleted: Service', (namespace) => namespace.delete(SERVICE, 'd')],
    ['deleted: Deployment', (namespace) => namespace.delete(DEPLOYMENT, 'd-stable')],
    [
      'edited: the Service sends to other pods',
      (namespace) =>
        namespace.patch(SERVICE, 'd', {
          spec: { selector: { 'deepfake-operator.io/model-deployment': 'x' } },
        }),
    ],
    [
      'edited: the Deployment has another image',
      (namespace) =>
        stage.environment.client.patch(
          DEPLOYMENT,
          { namespace: namespace.name, name: 'd-stable' },
          [{ op: 'replace', path: '/spec/template/spec/containers/0/image', value: 'other.test/image' }],
          { type: 'json' },
        ),
    ],
    [
      'edited: its labels and annotations are taken off',
      (namespace) =>
        namespace.patch(DEPLOYMENT, 'd-stable', { metadata: { labels: null, annotations: null } }),
    ],
  ];
  for (const [name, act] of meddle) {
    it(`is repaired: ${name}`, async (t) => {
      let armed = false;
      const { namespace, operator } = await setUp(t, (scene) =>
        beforeCall(
          (call) => armed && writeTo('/deployments/d-stable')(call),
          () => act(scene),
        ),
      );
      await deploy(namespace);
      await stage.untilServed(namespace, DIGEST_A, 1);
      armed = true;
      await namespace.patch(MODEL_DEPLOYMENT, 'd', { spec: { replicas: 2 } });
      await stage.untilServed(namespace, DIGEST_A, 2);
      await stage.witness.rest(namespace.name);
      const service = await namespace.find(SERVICE, 'd');
      assert.deepEqual(service?.spec?.selector?.['deepfake-operator.io/model-deployment'], 'd');
      const deployment = await namespace.find(DEPLOYMENT, 'd-stable');
      assert.notEqual(deployment?.spec?.template.spec?.containers[0]?.image, 'other.test/image');
      assert.equal(deployment?.metadata.labels?.['app.kubernetes.io/managed-by'], 'deepfake-operator');
      assert.equal(deployment?.spec?.replicas, 2);
      assert.deepEqual(stage.violations(namespace, 'madeOnce'), []);
      const wrote = operator.proxy.writes.length;
      await stage.witness.rest(namespace.name);
      assert.equal(operator.proxy.writes.length, wrote);
    });
  }
});

describe('a finalizer of somebody else holds', { concurrency: true }, () => {
  const STUCK = { metadata: { finalizers: ['example.org/stuck'] } };

  it('a deleted Deployment: nothing is written on and on, and it is made anew when it has gone', async (t) => {
    const { namespace, operator } = await setUp(t, () => () => undefined);
    await deploy(namespace);
    await stage.untilServed(namespace, DIGEST_A, 1);
    const { metadata } = await namespace.patch(DEPLOYMENT, 'd-stable', STUCK);
    await namespace.delete(DEPLOYMENT, 'd-stable');
    await stage.witness.rest(namespace.name);
    const wrote = operator.proxy.writes.length;
    await stage.witness.rest(namespace.name);
    assert.equal(operator.proxy.writes.length, wrote);
    await namespace.patch(DEPLOYMENT, 'd-stable', { metadata: { finalizers: null } });
    await namespace.until(DEPLOYMENT, 'd-stable', (live) => live.metadata.uid !== metadata.uid, 'is another');
    await stage.untilServed(namespace, DIGEST_A, 1);
  });

  it('a deleted fetch Job: the attempt is made again under its own name when it has gone', async (t) => {
    const { namespace, operator } = await setUp(t, () => () => undefined, { pods: false });
    await namespace.model('m', { source: { builtin: { name: 'b' } }, digest: DIGEST_A });
    const { metadata } = await namespace.fetchJob('m');
    await namespace.patch(JOB, metadata.name, STUCK);
    await namespace.delete(JOB, metadata.name);
    await stage.witness.rest(namespace.name);
    const wrote = operator.proxy.writes.length;
    await stage.witness.rest(namespace.name);
    assert.equal(operator.proxy.writes.length, wrote);
    await namespace.patch(JOB, metadata.name, { metadata: { finalizers: null } });
    await namespace.until(JOB, metadata.name, (live) => live.metadata.uid !== metadata.uid, 'is another');
    await namespace.endFetch('m', fetched());
    const model = await namespace.untilModel('m', 'Ready');
    assert.equal(model.status?.fetch?.attempts, 1);
  });

  it('a deleted model: it is let go by the operator once unused, and then left alone', async (t) => {
    const { namespace, operator } = await setUp(t, () => () => undefined);
    await deploy(namespace);
    await stage.untilServed(namespace, DIGEST_A, 1);
    const { metadata } = (await namespace.find(DEEPFAKE_MODEL, 'm')) ?? assert.fail('it is there');
    const finalizers = [...(metadata.finalizers ?? []), 'example.org/stuck'];
    await namespace.patch(DEEPFAKE_MODEL, 'm', { metadata: { finalizers } });
    await namespace.delete(DEEPFAKE_MODEL, 'm');
    await namespace.delete(MODEL_DEPLOYMENT, 'd');
    await namespace.until(
      DEEPFAKE_MODEL,
      'm',
      (live) => live.metadata.finalizers?.join() === 'example.org/stuck',
      'is held by somebody else alone',
    );
    await stage.witness.rest(namespace.name);
    const wrote = operator.proxy.writes.length;
    await stage.witness.rest(namespace.name);
    assert.equal(operator.proxy.writes.length, wrote);
    await namespace.patch(DEEPFAKE_MODEL, 'm', { metadata: { finalizers: null } });
    await eventually('it is gone', async () => (await namespace.find(DEEPFAKE_MODEL, 'm')) === undefined);
  });
});
