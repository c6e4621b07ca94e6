/** An operator that ends at any of its writes, before or after it took effect, is followed by one that finishes the work. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
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
import { conditionOf, DIGEST_A, DIGEST_B, eventually, type Namespace } from '../environment.ts';
import { isEffect, type Rule } from './fault-proxy.ts';
import type { OperatorBehindProxy } from './operator-behind-proxy.ts';
import { snapshot } from './snapshot.ts';
import { deploy, makeChangeAndScale, type Scene, Stage } from './stage.ts';

/** Cases at a time. */
const PARALLEL = 8;

let stage: Stage;
before(async () => {
  stage = await Stage.open();
});
after(() => stage.close());

interface Crash {
  /** The how manieth write of the operator, from 1. */
  readonly write: number;
  /** Before: it never reaches the API server. After: its answer never reaches the operator. */
  readonly when: 'before' | 'after';
}

/** Runs operators of a scene one after the other: each that crashes is followed by the next. */
class Supervisor {
  crashes = 0;
  readonly #scene: Scene;
  #armed: Crash | undefined;
  #seen = 0;
  #running: Promise<OperatorBehindProxy>;

  constructor(scene: Scene, first?: Crash) {
    this.#scene = scene;
    this.#armed = first;
    this.#running = this.#start();
  }

  /** The operator of now crashes at that write from here. */
  arm(crash: Crash | undefined): void {
    this.#armed = crash;
    this.#seen = 0;
  }

  /** Resolves when an operator runs that crashes no more. */
  async settle(): Promise<void> {
    this.arm(undefined);
    await (await this.#running).untilReady();
  }

  #start(): Promise<OperatorBehindProxy> {
    let dead = false;
    const rule: Rule = (call) => {
      if (dead) return { do: 'lose-request' };
      if (!isEffect(call) || !this.#armed) return undefined;
      this.#seen += 1;
      if (this.#seen < this.#armed.write) return undefined;
      dead = true;
      const { when } = this.#armed;
      this.arm(undefined);
      this.crashes += 1;
      const over = () => when === 'before' || call.status !== undefined;
      const dying = this.#running;
      this.#running = eventually('the last write takes effect', over).then(async () => {
        await (await dying).crash();
        return this.#start();
      });
      return { do: when === 'before' ? 'lose-request' : 'lose-answer' };
    };
    return this.#scene.start({ rule });
  }
}

/** Deletes the model, which its deployment holds, then the deployment; ends when nothing of them is left. */
async function takeDown(namespace: Namespace): Promise<void> {
  const model = () => stage.witness.live(DEEPFAKE_MODEL, namespace.name)[0];
  await namespace.delete(DEEPFAKE_MODEL, 'm');
  await eventually(
    'm is held',
    () => {
      const found = model();
      return found !== undefined && conditionOf(found, 'DeletionBlocked')?.status === 'True';
    },
    60_000,
  );
  await namespace.delete(MODEL_DEPLOYMENT, 'd');
  await eventually(
    'the model and all children are gone',
    () => model() === undefined && stage.witness.children(namespace.name).length === 0,
    60_000,
  );
}

/** The whole life of a model and its deployment, and what it looked like while it served: waited for where it is known. */
async function life(
  crash?: Crash,
  expected?: readonly string[],
): Promise<{ readonly crashed: boolean; readonly serving: string[] }> {
  const scene = await stage.openScene();
  const { namespace } = scene;
  const supervisor = new Supervisor(scene, crash);
  try {
    await makeChangeAndScale(stage, namespace);
    await stage.witness.rest(namespace.name, 3_000);
    const look = () => snapshot(stage.witness, namespace.name);
    // The next operator may be at rest because it has hardly begun. What never comes is shown by the comparison.
    if (expected) await eventually('it serves', () => isDeepStrictEqual(look(), expected)).catch(() => false);
    const serving = look();
    await takeDown(namespace);
    assert.deepEqual(stage.violations(namespace), []);
    return { crashed: supervisor.crashes > 0, serving };
  } finally {
    // An operator that starts after its predecessor's crash has to be there to be ended.
    await supervisor.settle();
    await scene.close();
  }
}

const about = async (what: unknown, work: Promise<unknown>) => {
  await work.catch((error: unknown) => {
    throw new Error(`with ${JSON.stringify(what)}: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  });
};

it('whichever write it is, the end is that of a run without a crash', async () => {
  const undisturbed = await life();
  const crashed: Crash[] = [];
  const attempt = (crash: Crash) =>
    about(
      crash,
      life(crash, undisturbed.serving).then((run) => {
        assert.deepEqual(run.serving, undisturbed.serving);
        if (run.crashed) crashed.push(crash);
      }),
    );
  // A crash before a later write leaves the world as one after the write before it does.
  await attempt({ write: 1, when: 'before' });
  // Until a whole batch of lives had fewer writes than it would have taken.
  for (let from = 1, met = 0; crashed.length > met; from += PARALLEL) {
    met = crashed.length;
    const batch = Array.from(
      { length: PARALLEL },
      (_, index) => ({ write: from + index, when: 'after' }) as const,
    );
    await inParallel(batch, attempt, PARALLEL);
  }
  assert.ok(crashed.length >= 2 * PARALLEL, `${crashed.length} lives met their crash`);
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
    await takeDown(namespace);
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
