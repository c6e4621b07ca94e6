/** Operators that end at one of their writes, and are followed by others. */
import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import { inParallel } from '../../../hack/lib/waiting.ts';
import { DEEPFAKE_MODEL, MODEL_DEPLOYMENT } from '../../../operator/controllers/kinds.ts';
import { conditionOf, eventually, type Namespace } from '../environment.ts';
import { isEffect, type Rule } from './fault-proxy.ts';
import type { OperatorBehindProxy } from './operator-behind-proxy.ts';
import { snapshot } from './snapshot.ts';
import type { Scene, Stage } from './stage.ts';

export interface Crash {
  /** The how manieth write of the operator, from 1. */
  readonly write: number;
  /** Before: it never reaches the API server. After: its answer never reaches the operator. */
  readonly when: 'before' | 'after';
}

/** Runs operators of a scene one after the other: each that crashes is followed by the next. */
export class Supervisor {
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
export async function takeDown(stage: Stage, namespace: Namespace): Promise<void> {
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

/** What a life came to. */
export interface Life {
  readonly crashed: boolean;
  /** What it looked like while it served. */
  readonly serving: string[];
}

/**
 * One life in a namespace of its own, ended by a deletion. What is served at its end is waited for where it is known.
 */
export async function liveOnce(
  stage: Stage,
  live: (namespace: Namespace) => Promise<void>,
  crash?: Crash,
  expected?: readonly string[],
): Promise<Life> {
  const scene = await stage.openScene();
  const { namespace } = scene;
  const supervisor = new Supervisor(scene, crash);
  try {
    await live(namespace);
    await stage.witness.rest(namespace.name, 3_000);
    const look = () => snapshot(stage.witness, namespace.name);
    // The next operator may be at rest because it has hardly begun. What never comes is shown by the comparison.
    if (expected) await eventually('it serves', () => isDeepStrictEqual(look(), expected)).catch(() => false);
    const serving = look();
    await takeDown(stage, namespace);
    assert.deepEqual(stage.violations(namespace), []);
    return { crashed: supervisor.crashes > 0, serving };
  } finally {
    // An operator that starts after its predecessor's crash has to be there to be ended.
    await supervisor.settle();
    await scene.close();
  }
}

/** Names what went wrong by what was done. */
export const about = async (what: unknown, work: Promise<unknown>) => {
  await work.catch((error: unknown) => {
    throw new Error(`with ${JSON.stringify(what)}: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  });
};

/**
 * Lives with a crash before the first write and after each, until a whole batch of lives had fewer writes than it would have
 * taken. Each ends as one without a crash does. Resolves with the number of lives that met their crash.
 */
export async function crashAtEveryWrite(
  life: (crash?: Crash, expected?: readonly string[]) => Promise<Life>,
  parallel: number,
): Promise<number> {
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
  for (let from = 1, met = 0; crashed.length > met; from += parallel) {
    met = crashed.length;
    const batch = Array.from(
      { length: parallel },
      (_, index) => ({ write: from + index, when: 'after' }) as const,
    );
    await inParallel(batch, attempt, parallel);
  }
  return crashed.length;
}
