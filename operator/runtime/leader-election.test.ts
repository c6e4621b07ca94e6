import assert from 'node:assert/strict';
import { it } from 'node:test';
import { pino } from 'pino';
import type { KubeClient } from './client.ts';
import { ApiError } from './errors.ts';
import { FakeClock } from './fake-clock.ts';
import { LeaderElection, type Lease } from './leader-election.ts';

const times = { leaseMs: 15_000, renewDeadlineMs: 10_000, retryMs: 2_000 };
const turn = async () => {
  for (let count = 0; count < 5; count += 1) await new Promise((resolve) => setImmediate(resolve));
};

/** A Lease in memory, of which every candidate has a clock of its own. */
function startLease() {
  let lease: Lease | undefined;
  let version = 0;
  const store = (changed: Lease) => {
    version += 1;
    lease = { ...changed, metadata: { ...changed.metadata, resourceVersion: String(version) } };
    return lease;
  };
  const candidate = (identity: string, clock: FakeClock, slow: { beforeAnswer?: () => void } = {}) => {
    const client = {
      find: async () => lease,
      create: async (_kind: unknown, object: Lease) => {
        if (lease) throw new ApiError('POST', 409, 'AlreadyExists', 'scripted');
        return store(object);
      },
      patch: async (_kind: unknown, _ref: unknown, body: Partial<Lease>) => {
        if (!lease || body.metadata?.resourceVersion !== lease.metadata.resourceVersion) {
          throw new ApiError('PATCH', 409, 'Conflict', 'scripted');
        }
        const stored = store({ ...lease, spec: { ...lease.spec, ...body.spec } } as Lease);
        slow.beforeAnswer?.();
        return stored;
      },
    } as unknown as KubeClient;
    const log = pino({ level: 'silent' });
    return new LeaderElection({ client, log, namespace: 'n', name: 'l', identity, clock, ...times });
  };
  return { candidate, holder: () => lease?.spec?.holderIdentity };
}
const never = new AbortController().signal;

it('a leader whose renewal was answered late gives up before anybody may take over', async () => {
  const { candidate } = startLease();
  const [ours, theirs] = [new FakeClock(), new FakeClock()];
  const slow: { beforeAnswer?: () => void } = {};
  const leader = candidate('a', ours, slow);
  await leader.acquire(never);
  // The answer to the renewal takes nine seconds, in which the others see the new lease and start to count.
  slow.beforeAnswer = () => ours.advance(9_000);
  const held = assert.rejects(leader.hold(never), /could not be renewed for 10000 ms/);
  const other = candidate('b', theirs);
  ours.advance(2_000);
  await turn();
  const taken = other.acquire(never);
  await turn();
  leader.guard.check();
  slow.beforeAnswer = () => assert.fail('there is no second renewal');
  ours.advance(1_000);
  assert.throws(() => leader.guard.check(), /could not be renewed/);
  await held;
  assert.ok(leader.guard.signal.aborted);
  theirs.advance(14_000);
  await turn();
  theirs.advance(4_000);
  await turn();
  assert.equal(await taken, true);
});

it('a process that was stopped for a while has no leave when it goes on, even before a timer tells it', async () => {
  const { candidate } = startLease();
  const stopped = new FakeClock();
  const leader = candidate('a', stopped);
  await leader.acquire(never);
  leader.guard.check();
  // Nothing renews here, as nothing does in a process that is stopped.
  stopped.advance(10_000);
  assert.throws(() => leader.guard.check(), /could not be renewed/);
});

it('there is no leave before the lease is taken, nor after it is given back', async () => {
  const { candidate, holder } = startLease();
  const leader = candidate('a', new FakeClock());
  assert.throws(() => leader.guard.check(), /was taken by nobody/);
  await leader.acquire(never);
  const ending = new AbortController();
  const held = leader.hold(ending.signal);
  leader.guard.check();
  ending.abort();
  await held;
  assert.equal(holder(), '');
  assert.throws(() => leader.guard.check(), /is given back/);
  assert.ok(leader.guard.signal.aborted);
});

for (const wrong of [
  { renewDeadlineMs: 15_000 },
  { leaseMs: 5_000 },
  { retryMs: 10_000 },
  { retryMs: Number.NaN },
] as const) {
  it(`refuses times with which two could lead or none renew: ${JSON.stringify(wrong)}`, () => {
    const client = {} as KubeClient;
    const log = pino({ level: 'silent' });
    const options = { client, log, namespace: 'n', name: 'l', identity: 'a', ...times, ...wrong };
    assert.throws(() => new LeaderElection(options), /lease l: .* each has to be less than the next/);
  });
}
