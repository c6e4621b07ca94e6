/** A canary whose operator ends at any of its writes goes on where it was, and never sends requests to pods that are not ready. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEEPFAKE_MODEL, MODEL_DEPLOYMENT } from '../../../operator/controllers/kinds.ts';
import { DIGEST_A, DIGEST_B, eventually, type Namespace } from '../environment.ts';
import { type Crash, crashAtEveryWrite, liveOnce } from './crashes.ts';
import { Stage } from './stage.ts';

/** Cases at a time. */
const PARALLEL = 8;
const REPLICAS = 2;
/** A step of one life among so many, and all of them, ms. */
const STEP_MS = 120_000;
const LIVES_MS = 1_200_000;

let stage: Stage;
before(async () => {
  stage = await Stage.open();
});
after(() => stage.close());

const statusOf = ({ name }: Namespace) => stage.witness.live(MODEL_DEPLOYMENT, name)[0]?.status;

/** A canary that waits half-way, is promoted, and gone back from. */
async function rollOutAndBack(namespace: Namespace): Promise<void> {
  await namespace.model('m', { source: { builtin: { name: 'b' } }, digest: DIGEST_A });
  await namespace.deployment('d', {
    models: [{ name: 'm' }],
    replicas: REPLICAS,
    rollbackWindow: { revisions: 3 },
    strategy: { canary: { steps: [{ setWeight: 50 }, { pause: {} }] } },
  });
  await stage.untilServed(namespace, DIGEST_A, REPLICAS);
  const first = statusOf(namespace)?.stableRevision;
  // Which revision is the older one is told by seconds.
  await sleep(1_100);
  await namespace.patch(DEEPFAKE_MODEL, 'm', { spec: { digest: DIGEST_B } });
  await eventually('it waits', () => statusOf(namespace)?.phase === 'Paused', STEP_MS);
  await namespace.patch(MODEL_DEPLOYMENT, 'd', { status: { pauseConditions: null } }, 'status');
  await eventually('it is promoted', () => statusOf(namespace)?.stableRevision !== first, STEP_MS);
  await stage.untilServed(namespace, DIGEST_B, REPLICAS);
  await namespace.patch(MODEL_DEPLOYMENT, 'd', { spec: { rollbackTo: first } });
  await eventually('it is back', () => statusOf(namespace)?.stableRevision === first, STEP_MS);
  await stage.untilServed(namespace, DIGEST_A, REPLICAS);
}

it('whichever write it is, the end is that of a run without a crash', { timeout: LIVES_MS }, async () => {
  const life = (crash?: Crash, expected?: readonly string[]) =>
    liveOnce(stage, rollOutAndBack, crash, expected);
  const met = await crashAtEveryWrite(life, PARALLEL);
  assert.ok(met >= 3 * PARALLEL, `${met} lives met their crash`);
});
