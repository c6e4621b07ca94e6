/** Objects deleted and made again under the same name while a pass is under way, with real garbage collection. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  DEEPFAKE_MODEL,
  DEPLOYMENT,
  type DeepfakeModel,
  MODEL_DEPLOYMENT,
  PVC,
} from '../../../operator/controllers/kinds.ts';
import type { Kind } from '../../../operator/runtime/object.ts';
import { DIGEST_A, DIGEST_B, eventually, fetched, type Namespace } from '../environment.ts';
import { before as beforeCall, type Call } from './fault-proxy.ts';
import { deploy, Stage } from './stage.ts';
import { CHILDREN } from './witness.ts';

let stage: Stage;
before(async () => {
  stage = await Stage.open({ controllerManager: true });
});
after(() => stage.close());

const untilGone = (namespace: Namespace, kind: Kind, name: string, uid: string | undefined) =>
  eventually(
    `${kind.kind} ${name} is gone`,
    async () => (await namespace.find(kind, name))?.metadata.uid !== uid,
  );

/** Every child belongs to somebody who lives. */
async function assertOwned(namespace: Namespace): Promise<void> {
  const owners = await Promise.all([namespace.list(DEEPFAKE_MODEL), namespace.list(MODEL_DEPLOYMENT)]);
  const alive = new Set(owners.flat().map(({ metadata }) => metadata.uid));
  const children = await Promise.all(CHILDREN.map((kind) => namespace.list(kind)));
  const stray = children
    .flat()
    .filter(({ metadata }) => metadata.ownerReferences?.some(({ uid }) => !alive.has(uid)))
    .map(({ metadata }) => metadata.name);
  assert.deepEqual(stray, []);
}

describe('an object made again under its name in the middle of a pass', { concurrency: true }, () => {
  const isStatus = (path: string) => path.endsWith('/deepfakemodels/m/status');
  /** The API server does not check whose status it is given, so a late one is shown until the next pass. */
  const POINTS: readonly (readonly [string, (call: Call) => boolean])[] = [
    ['before its Job is made', ({ write, path }) => write && path.includes('/jobs')],
    ['before it is told to be fetching', ({ path, body }) => isStatus(path) && body.includes('"Running"')],
    ['before it is told to be Ready', ({ path, body }) => isStatus(path) && body.includes(DIGEST_A)],
  ];
  for (const [when, met] of POINTS) {
    it(`a model, ${when}, gets a state and a Job of its own`, async (t) => {
      const { namespace, start } = await stage.scene(t, { pods: false });
      let first: string | undefined;
      const recreate = async () => {
        first = (await namespace.find(DEEPFAKE_MODEL, 'm'))?.metadata.uid;
        await namespace.delete(DEEPFAKE_MODEL, 'm');
        await untilGone(namespace, DEEPFAKE_MODEL, 'm', first);
        await namespace.model('m', { source: { builtin: { name: 'b' } }, digest: DIGEST_B });
      };
      const operator = await start({ rule: beforeCall(met, recreate) });
      await operator.untilReady();
      await namespace.model('m', { source: { builtin: { name: 'b' } }, digest: DIGEST_A });
      const job = await eventually(
        'the second model has a Job of its own',
        async () => {
          const found = await namespace.fetchJob('m');
          if (first === undefined) await namespace.endFetch('m', fetched());
          const uid = (await namespace.find(DEEPFAKE_MODEL, 'm'))?.metadata.uid;
          return (
            first !== undefined && uid !== first && found.metadata.ownerReferences?.[0]?.uid === uid && found
          );
        },
        120_000,
      );
      assert.ok(job.spec?.template.spec?.containers[0]?.args?.includes(`--digest=${DIGEST_B}`));
      await namespace.endFetch('m', fetched({ digest: DIGEST_B }));
      assert.equal((await namespace.untilModel('m', 'Ready')).status?.digest, DIGEST_B);
      const wrong = stage.witness
        .history(namespace.name)
        .filter(({ kind, object }) => kind === DEEPFAKE_MODEL.kind && object.metadata.uid !== first)
        .map(({ object }) => JSON.stringify((object as DeepfakeModel).status ?? {}))
        .filter((status) => status.includes(DIGEST_A));
      assert.deepEqual(wrong, [], 'the second never shows what the first was');
      await sleep(1_000);
      await eventually('nothing strays', () => assertOwned(namespace).then(() => true));
    });
  }

  it('a deployment gets children of its own', async (t) => {
    const { namespace, start } = await stage.scene(t, { pods: false });
    let first: string | undefined;
    const recreate = async () => {
      first = (await namespace.find(MODEL_DEPLOYMENT, 'd'))?.metadata.uid;
      await namespace.delete(MODEL_DEPLOYMENT, 'd');
      await untilGone(namespace, MODEL_DEPLOYMENT, 'd', first);
      await namespace.deployment('d', { models: [{ name: 'm' }], replicas: 2 });
    };
    const isDeployment = ({ write, path }: Call) => write && path.endsWith('/deployments/d-stable');
    const operator = await start({ rule: beforeCall(isDeployment, recreate) });
    await operator.untilReady();
    await deploy(namespace);
    await namespace.endFetch('m', fetched());
    await eventually(
      'the second deployment owns all its children',
      async () => {
        const uid = (await namespace.find(MODEL_DEPLOYMENT, 'd'))?.metadata.uid;
        const live = await namespace.find(DEPLOYMENT, 'd-stable');
        const owner = live?.metadata.ownerReferences?.[0]?.uid;
        return first !== undefined && uid !== first && owner === uid && live?.spec?.replicas === 2;
      },
      90_000,
    );
    await eventually('nothing strays', () => assertOwned(namespace).then(() => true));
    assert.equal((await namespace.list(PVC)).length, 1);
  });
});
