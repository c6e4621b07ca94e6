/** An API server, and a network to it, that fail in every way: the end is right, and nothing happened twice. */
import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEEPFAKE_MODEL, DEPLOYMENT, MODEL_DEPLOYMENT } from '../../../operator/controllers/kinds.ts';
import { conditionOf, DIGEST_A, DIGEST_B, eventually, type Namespace } from '../environment.ts';
import { compactEtcd } from '../etcd.ts';
import type { Call, Fault, Rule } from './fault-proxy.ts';
import type { BehindProxy, OperatorBehindProxy } from './operator-behind-proxy.ts';
import { randomFrom } from './random.ts';
import { deploy, makeChangeAndScale, Stage } from './stage.ts';

let stage: Stage;
before(async () => {
  stage = await Stage.open();
});
after(() => stage.close());

async function setUp(t: TestContext, options: BehindProxy = {}) {
  const { namespace, start } = await stage.scene(t);
  const operator = await start(options);
  return { namespace, operator, proxy: operator.proxy };
}

async function assertRight(namespace: Namespace): Promise<void> {
  await stage.untilServed(namespace, DIGEST_B, 2);
  await stage.witness.rest(namespace.name);
  const model = await namespace.untilModel('m', 'Ready');
  assert.deepEqual([model.status?.digest, model.status?.fetch?.attempts], [DIGEST_B, 1]);
  assert.deepEqual(stage.violations(namespace), []);
}

/** Goes through the scenario under `rule`, which has to strike `strikes` times, and ends without it. */
async function survive(t: TestContext, rule: Rule, options: BehindProxy = {}, strikes = 4): Promise<void> {
  const { namespace, operator, proxy } = await setUp(t, options);
  await operator.untilReady();
  proxy.rule = rule;
  await makeChangeAndScale(stage, namespace);
  proxy.rule = () => undefined;
  await assertRight(namespace);
  const struck = proxy.calls.filter(({ fault }) => fault !== undefined).length;
  assert.ok(struck >= strikes, `only ${struck} requests met the fault`);
}

/** Gives every `share`th request, chosen by the seed, to `fault`. */
function sometimes(share: number, seed: number, fault: (call: Call, random: () => number) => Fault): Rule {
  const random = randomFrom(seed);
  return (call) => (random() < share ? fault(call, random) : undefined);
}

const FAULTS: readonly Fault[] = [
  { do: 'answer', status: 500, reason: 'InternalError' },
  { do: 'answer', status: 503, reason: 'ServiceUnavailable' },
  { do: 'answer', status: 429, reason: 'TooManyRequests', retryAfterS: 1 },
  { do: 'lose-request' },
  { do: 'lose-answer' },
  { do: 'cut-answer' },
  { do: 'delay', ms: 300 },
];
const nameOf = (fault: Fault) => (fault.do === 'answer' ? `${fault.status} ${fault.reason}` : fault.do);

describe('the right state is reached, and nothing done twice', { concurrency: 4 }, () => {
  for (const [index, fault] of FAULTS.entries()) {
    it(`although every eighth request meets: ${nameOf(fault)}`, (t) =>
      survive(
        t,
        sometimes(0.125, index + 1, () => fault),
      ));
  }

  it('although everything fails in one way or another', (t) =>
    survive(
      t,
      sometimes(0.15, 77, (_call, random) => FAULTS[Math.floor(random() * FAULTS.length)] as Fault),
    ));

  it('although every tenth request is never answered and its connection stays open', (t) => {
    const rule = sometimes(0.1, 5, () => ({ do: 'silence' }));
    return survive(t, (call) => (call.watch ? undefined : rule(call)), { timeoutMs: 700 });
  });

  it('although watches say that their version has expired', async (t) => {
    const { namespace, operator, proxy } = await setUp(t);
    await operator.untilReady();
    const expired = sometimes(0.7, 9, () => ({ do: 'answer', status: 410, reason: 'Expired' }));
    proxy.rule = (call) => (call.watch ? expired(call) : undefined);
    const lists = await listsOf(operator);
    proxy.resetConnections();
    await makeChangeAndScale(stage, namespace);
    proxy.rule = () => undefined;
    await assertRight(namespace);
    assert.ok((await listsOf(operator)) > lists);
  });

  it('although every connection breaks off after a moment', async (t) => {
    const { namespace, proxy } = await setUp(t);
    const breaking = setInterval(() => proxy.resetConnections(), 350);
    t.after(() => clearInterval(breaking));
    await makeChangeAndScale(stage, namespace);
    clearInterval(breaking);
    await assertRight(namespace);
  });
});

it('an API server that refuses everything for a while is not hammered, and work goes on when it is back', async (t) => {
  const { namespace, operator, proxy } = await setUp(t);
  await operator.untilReady();
  proxy.rule = () => ({ do: 'answer', status: 429, reason: 'TooManyRequests', retryAfterS: 1 });
  const from = proxy.calls.length;
  await deploy(namespace);
  await sleep(4_000);
  const asked = proxy.calls.length - from;
  assert.ok(asked > 0 && asked < 60, `${asked} requests in 4 s`);
  proxy.rule = () => undefined;
  await stage.untilServed(namespace, DIGEST_A, 1);
  assert.deepEqual(stage.violations(namespace), []);
});

describe('an API server that goes away', () => {
  it('and comes back in the middle of passes is no reason to do anything twice', async (t) => {
    const { namespace, operator, proxy } = await setUp(t);
    await operator.untilReady();
    await deploy(namespace);
    await eventually('a pass is under way', () => proxy.writes.length >= 3);
    await stage.environment.restart();
    await stage.untilServed(namespace, DIGEST_A, 1);
    await namespace.patch(DEEPFAKE_MODEL, 'm', { spec: { digest: DIGEST_B } });
    await namespace.patch(MODEL_DEPLOYMENT, 'd', { spec: { replicas: 2 } });
    await stage.environment.restart();
    await assertRight(namespace);
  });

  it('forgets, by compaction and a restart, what happened while the operator was cut off: a list finds it', async (t) => {
    const { namespace, operator, proxy } = await setUp(t);
    await makeChangeAndScale(stage, namespace);
    await assertRight(namespace);
    const lists = await listsOf(operator);
    proxy.cut();
    await namespace.patch(MODEL_DEPLOYMENT, 'd', { spec: { replicas: 3 } });
    await namespace.delete(DEEPFAKE_MODEL, 'm');
    await namespace.patch(DEPLOYMENT, 'd-stable', { spec: { replicas: 7 } });
    await compactEtcd(stage.environment.controlPlane);
    await stage.environment.restart();
    proxy.mend();
    await stage.untilServed(namespace, DIGEST_B, 3);
    await namespace.until(
      DEEPFAKE_MODEL,
      'm',
      (model) => conditionOf(model, 'DeletionBlocked')?.status === 'True',
      'is held',
    );
    assert.ok((await listsOf(operator)) > lists, 'versions had expired');
    await stage.witness.rest(namespace.name);
    assert.deepEqual(stage.violations(namespace), []);
  });
});

async function listsOf({ metrics }: OperatorBehindProxy): Promise<number> {
  const counted = await metrics.registry.getSingleMetric('reflector_lists_total')?.get();
  return (counted?.values ?? []).reduce((sum, { value }) => sum + value, 0);
}
