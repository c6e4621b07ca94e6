/** An operator that ends at any of its writes, before or after it took effect, is followed by one that finishes the work. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { inParallel } from '../../../hack/lib/waiting.ts';
import {
  DEEPFAKE_MODEL,
  DEPLOYMENT,
  JOB,
  MODEL_DEPLOYMENT,
  PDB,
  SERVICE,
} from '../../../operator/controllers/kinds.ts';
import { DIGEST_A, DIGEST_B, type Namespace } from '../environment.ts';
import { about, type Crash, crashAtEveryWrite, liveOnce, Supervisor, takeDown } from './crashes.ts';
import { deploy, makeChangeAndScale, Stage } from './stage.ts';

/** Cases at a time. */
const PARALLEL = 8;

let stage: Stage;
before(async () => {
  stage = await Stage.open();
});
after(() => stage.close());

const life = (crash?: Crash, expected?: readonly string[]) =>
  liveOnce(stage, (namespace) => makeChangeAndScale(stage, namespace), crash, expected);

it('whichever write it is, the end is that of a run without a crash', async () => {
  const met = await crashAtEveryWrite(life, PARALLEL);
  assert.ok(met >= 2 * PARALLEL, `${met} lives met their crash`);
});

type Action =
  | { readonly do: 'exchange'; readonly digest: string }
  | { readonly do: 'scale'; readonly replicas: number }
  | { readonly do: 'take-away'; readonly child: 'service' | 'deployment' | 'budget' | 'jobs' }
  | { readonly do: 'make-again' }
  | { readonly do: 'wait'; readonly ms: number }
  | ({ readonly do: 'crash' } & Crash);

const DIGESTS = [DIGEST_A, DIGEST_B, `sha256:${'c'.repeat(64)}`];
const action: fc.Arbitrary<Action> = fc.oneof(
  fc.record({ do: fc.constant('exchange' as const), digest: fc.constantFrom(...DIGESTS) }),
  fc.record({ do: fc.constant('scale' as const), replicas: fc.integer({ min: 0, max: 3 }) }),
  fc.record({
    do: fc.constant('take-away' as const),
    child: fc.constantFrom('service' as const, 'deployment' as const, 'budget' as const, 'jobs' as const),
  }),
  fc.record({ do: fc.constant('make-again' as const) }),
  fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 400 }) }),
  fc.record({
    do: fc.constant('crash' as const),
    write: fc.integer({ min: 1, max: 6 }),
    when: fc.constantFrom('before' as const, 'after' as const),
  }),
);

async function takeAway(namespace: Namespace, child: (Action & { do: 'take-away' })['child']): Promise<void> {
  if (child === 'service') await namespace.delete(SERVICE, 'd');
  if (child === 'deployment') await namespace.delete(DEPLOYMENT, 'd-stable');
  const rest = child === 'budget' ? PDB : JOB;
  if (child === 'budget' || child === 'jobs') {
    for (const { metadata } of await namespace.list(rest as typeof JOB))
      await namespace.delete(rest, metadata.name);
  }
}

async function randomLife(actions: readonly Action[]): Promise<number> {
  const scene = await stage.openScene();
  const { namespace } = scene;
  const supervisor = new Supervisor(scene);
  let wanted = { digest: DIGEST_A, replicas: 1 };
  try {
    await deploy(namespace);
    for (const next of actions) {
      switch (next.do) {
        case 'exchange':
          wanted = { ...wanted, digest: next.digest };
          await namespace.patch(DEEPFAKE_MODEL, 'm', { spec: { digest: next.digest } });
          break;
        case 'scale':
          wanted = { ...wanted, replicas: next.replicas };
          await namespace.patch(MODEL_DEPLOYMENT, 'd', { spec: { replicas: next.replicas } });
          break;
        case 'take-away':
          await takeAway(namespace, next.child);
          break;
        case 'make-again':
          await namespace.delete(MODEL_DEPLOYMENT, 'd');
          await namespace.deployment('d', { models: [{ name: 'm' }], replicas: wanted.replicas });
          break;
        case 'wait':
          await sleep(next.ms);
          break;
        case 'crash':
          supervisor.arm(next);
      }
    }
    await stage.untilServed(namespace, wanted.digest, wanted.replicas);
    await supervisor.settle();
    await stage.untilServed(namespace, wanted.digest, wanted.replicas);
    await takeDown(stage, namespace);
    assert.deepEqual(stage.violations(namespace, 'madeOnce'), []);
    return supervisor.crashes;
  } finally {
    // An operator that starts after its predecessor's crash has to be there to be ended.
    await supervisor.settle();
    await scene.close();
  }
}

it('any sequence of changes, losses and crashes ends as asked last', async () => {
  const sequences = fc.sample(fc.array(action, { minLength: 6, maxLength: 16 }), {
    seed: 20_260_101,
    numRuns: 32,
  });
  let crashes = 0;
  await inParallel(sequences, (actions) =>
    about(
      actions,
      randomLife(actions).then((count) => {
        crashes += count;
      }),
    ),
  );
  assert.ok(crashes >= sequences.length / 2, `${crashes} crashes`);
});
