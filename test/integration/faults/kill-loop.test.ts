/** The operator as a process, killed at any moment again and again while its objects are made, changed and deleted. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEEPFAKE_MODEL, MODEL_DEPLOYMENT } from '../../../operator/controllers/kinds.ts';
import { DIGEST_A, DIGEST_B, eventually, IMAGE, type Namespace } from '../environment.ts';
import { randomFrom } from './random.ts';
import { deploy, Stage } from './stage.ts';

const KILLS = 30;
const NAMESPACES = 3;

let stage: Stage;
before(async () => {
  stage = await Stage.open();
});
after(() => stage.close());

const main = join(import.meta.dirname, '../../../operator/main.ts');
const startOperator = (): ChildProcess =>
  spawn(process.execPath, [main], {
    stdio: 'ignore',
    env: {
      KUBECONFIG: stage.kubeconfig,
      INFERENCE_IMAGE: IMAGE.name,
      METRICS_PORT: '0',
      LEADER_ELECTION: 'false',
      LOG_LEVEL: 'fatal',
    },
  });

async function kill(operator: ChildProcess): Promise<void> {
  const ended = once(operator, 'exit');
  operator.kill('SIGKILL');
  const [, signal] = await ended;
  assert.equal(signal, 'SIGKILL', 'it lived until it was killed');
}

interface Part {
  readonly namespace: Namespace;
  digest: string;
  replicas: number;
}

/** One change that a user makes; what is wanted then is kept in `part`. */
async function change(part: Part, chance: number): Promise<void> {
  if (chance < 0.4) {
    part.digest = part.digest === DIGEST_A ? DIGEST_B : DIGEST_A;
    await part.namespace.patch(DEEPFAKE_MODEL, 'm', { spec: { digest: part.digest } });
  } else if (chance < 0.85) {
    part.replicas = 1 + (part.replicas % 3);
    await part.namespace.patch(MODEL_DEPLOYMENT, 'd', { spec: { replicas: part.replicas } });
  } else {
    await part.namespace.delete(MODEL_DEPLOYMENT, 'd');
    await part.namespace.deployment('d', { models: [{ name: 'm' }], replicas: part.replicas });
  }
}

it(`${KILLS} kills lose nothing and double nothing`, async (t: TestContext) => {
  const random = randomFrom(4);
  const parts: Part[] = [];
  for (let count = 0; count < NAMESPACES; count += 1) {
    const { namespace } = await stage.scene(t);
    await deploy(namespace);
    parts.push({ namespace, digest: DIGEST_A, replicas: 1 });
  }
  for (let kills = 0; kills < KILLS; kills += 1) {
    const operator = startOperator();
    t.after(() => operator.kill('SIGKILL'));
    // From before it has read anything to long after its first passes.
    await sleep(400 + random() * 2_000);
    const part = parts[Math.floor(random() * NAMESPACES)] ?? assert.fail('there are parts');
    await change(part, random());
    await sleep(random() * 300);
    await kill(operator);
  }
  const last = startOperator();
  t.after(() => last.kill('SIGKILL'));
  for (const { namespace, digest, replicas } of parts) {
    await stage.untilServed(namespace, digest, replicas);
    assert.deepEqual(stage.violations(namespace, 'madeOnce'), []);
  }
  for (const { namespace } of parts) {
    await namespace.delete(DEEPFAKE_MODEL, 'm');
    await namespace.delete(MODEL_DEPLOYMENT, 'd');
  }
  for (const { namespace } of parts) {
    const left = () => [
      ...stage.witness.live(DEEPFAKE_MODEL, namespace.name),
      ...stage.witness.children(namespace.name),
    ];
    await eventually('nothing is left', () => left().length === 0, 60_000);
    assert.deepEqual(stage.violations(namespace, 'madeOnce'), []);
  }
});
