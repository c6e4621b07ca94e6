/** Two operators at once: one leads and takes over from the other, or both write by mistake. */
import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  DEEPFAKE_MODEL,
  DEPLOYMENT,
  type Deployment,
  MODEL_DEPLOYMENT,
  SERVICE,
} from '../../../operator/controllers/kinds.ts';
import { LEASE } from '../../../operator/runtime/leader-election.ts';
import { DIGEST_A, eventually, type Namespace } from '../environment.ts';
import type { Call } from './fault-proxy.ts';
import type { BehindProxy } from './operator-behind-proxy.ts';
import { deploy, Stage } from './stage.ts';

/** Long enough for a busy machine to renew in time. */
const LEASE_MS = 5_000;
const times = { leaseMs: LEASE_MS, renewDeadlineMs: 4_000, retryMs: 200 };

let stage: Stage;
before(async () => {
  stage = await Stage.open();
});
after(() => stage.close());

async function setUp(t: TestContext) {
  const { namespace, ...scene } = await stage.scene(t);
  const start = async (identity: string, options: BehindProxy = {}) => {
    const operator = await scene.start({ identity, ...options });
    await operator.untilReady();
    return operator;
  };
  const lease = { namespace: namespace.name, name: 'the-lease', ...times };
  const candidate = (identity: string, options: BehindProxy = {}) => start(identity, { lease, ...options });
  const holder = async () => (await namespace.find(LEASE, 'the-lease'))?.spec?.holderIdentity;
  const untilLed = (identity: string) =>
    eventually(`${identity} leads`, async () => (await holder()) === identity);
  return { namespace, start, candidate, untilLed };
}

async function untilRight(namespace: Namespace, replicas = 2) {
  await stage.untilServed(namespace, DIGEST_A, replicas);
  await stage.witness.rest(namespace.name);
  assert.deepEqual(stage.violations(namespace), []);
}

describe('with leader election', { concurrency: true }, () => {
  it('one writes, the other only waits; at rest nobody writes', async (t) => {
    const { namespace, candidate, untilLed } = await setUp(t);
    const leader = await candidate('leader');
    await untilLed('leader');
    const standby = await candidate('standby');
    await deploy(namespace, 2);
    await untilRight(namespace);
    assert.ok(leader.proxy.writes.length > 0);
    assert.deepEqual(standby.proxy.writes, []);
    const before = leader.proxy.writes.length;
    await sleep(1_500);
    assert.equal(leader.proxy.writes.length, before);
  });

  for (const cut of [1, 3, 5]) {
    it(`a leader that is cut off at its write ${cut} ends, and nothing of it arrives once the other leads`, async (t) => {
      const { namespace, candidate, untilLed } = await setUp(t);
      let writes = 0;
      const old = await candidate('old', { timeoutMs: 5_000 });
      await untilLed('old');
      old.proxy.rule = ({ write, lease }) => {
        if (write && !lease) writes += 1;
        if (writes >= cut) old.proxy.frozen = true;
        return old.proxy.frozen ? { do: 'silence' } : undefined;
      };
      const next = await candidate('next');
      await deploy(namespace, 2);
      assert.match(String(await old.ended), /lease the-lease could not be renewed/);
      await untilLed('next');
      // A network that comes back must not bring writes of the old one.
      old.proxy.mend();
      await untilRight(namespace);
      assert.ok(next.proxy.writes.length > 0);
      const taken = next.proxy.calls.find(
        ({ lease, method, status }) => lease && method === 'PATCH' && status === 200,
      );
      const ledFrom = taken?.forwardedAt ?? assert.fail('it never took the lease');
      assert.deepEqual(
        old.proxy.writes.filter(({ forwardedAt = 0 }) => forwardedAt >= ledFrom),
        [],
      );
    });
  }

  it('a write of the old leader that arrives late, after a change of the spec, is undone', async (t) => {
    const { namespace, candidate, untilLed } = await setUp(t);
    const old = await candidate('old');
    await untilLed('old');
    await deploy(namespace, 2);
    await untilRight(namespace);
    const late = Promise.withResolvers<void>();
    let underway: Call | undefined;
    old.proxy.rule = (call) => {
      if (underway) return { do: 'silence' };
      if (call.method !== 'PATCH' || !call.path.endsWith('/deployments/d-stable')) return undefined;
      underway = call;
      return { do: 'deliver-late', after: late.promise };
    };
    await namespace.patch(MODEL_DEPLOYMENT, 'd', { spec: { replicas: 3 } });
    await eventually('its write is underway', () => underway);
    await candidate('next');
    await untilLed('next');
    await namespace.patch(MODEL_DEPLOYMENT, 'd', { spec: { replicas: 4 } });
    const untilScaled = (replicas: number) =>
      namespace.until(
        DEPLOYMENT,
        'd-stable',
        ({ spec }) => spec?.replicas === replicas,
        `has ${replicas} pods`,
      );
    await untilScaled(4);
    late.resolve();
    await eventually('it has arrived', () => underway?.status !== undefined);
    assert.equal(underway?.status, 200);
    await untilScaled(4);
    await untilRight(namespace, 4);
    const counts = stage.witness
      .history(namespace.name)
      .flatMap(({ kind, object }) =>
        kind === DEPLOYMENT.kind ? ((object as Deployment).spec?.replicas ?? []) : [],
      );
    assert.deepEqual(
      counts.filter((count, index) => count !== counts[index - 1]),
      [2, 3, 4, 3, 4],
    );
  });

  it('a Lease whose times are hours off is judged by what was seen, not by what it says', async (t) => {
    const { namespace, candidate, untilLed } = await setUp(t);
    for (const [name, hours] of [
      ['the-lease', 5],
      ['another', -5],
    ] as const) {
      const renewTime = new Date(Date.now() + hours * 3_600_000).toISOString().replace('Z', '000Z');
      const spec = {
        holderIdentity: 'somebody',
        leaseDurationSeconds: LEASE_MS / 1000,
        renewTime,
        acquireTime: renewTime,
      };
      const { apiVersion, kind } = LEASE;
      const metadata = { namespace: namespace.name, name };
      await stage.environment.client.create(LEASE, { apiVersion, kind, metadata, spec } as never);
    }
    const startedAt = Date.now();
    await candidate('from-the-future');
    await untilLed('from-the-future');
    assert.ok(Date.now() - startedAt >= LEASE_MS - 100, 'it waited for as long as the lease lasts');
  });
});

describe('without leader election, by mistake', { concurrency: true }, () => {
  it('two converge on what one makes, and come to rest', async (t) => {
    const { namespace, start } = await setUp(t);
    const both = await Promise.all([start('one'), start('two')]);
    await deploy(namespace, 2);
    await untilRight(namespace);
    await namespace.patch(MODEL_DEPLOYMENT, 'd', { spec: { replicas: 3 } });
    await untilRight(namespace, 3);
    const count = () => both.map(({ proxy }) => proxy.writes.length);
    const before = count();
    await sleep(1_500);
    assert.deepEqual(count(), before);
    assert.ok(Math.max(...before) < 60, `${before} writes`);
  });

  it('two repair what somebody breaks, without a fight', async (t) => {
    const { namespace, start } = await setUp(t);
    const both = await Promise.all([start('one'), start('two')]);
    await deploy(namespace, 2);
    await untilRight(namespace);
    const before = both.map(({ proxy }) => proxy.writes.length);
    const broken = { spec: { selector: { 'deepfake-operator.io/model-deployment': 'x' } } };
    await namespace.patch(SERVICE, 'd', broken);
    await namespace.until(
      SERVICE,
      'd',
      ({ spec }) => spec?.selector?.['deepfake-operator.io/model-deployment'] === 'd',
      'is repaired',
    );
    await stage.witness.rest(namespace.name);
    const after = both.map(({ proxy }) => proxy.writes.length);
    const repairs = after.map((count, index) => count - (before[index] ?? 0));
    assert.ok(Math.max(...repairs) <= 3, `${repairs} writes for one repair`);
    assert.equal((await namespace.list(DEEPFAKE_MODEL)).length, 1);
  });
});
