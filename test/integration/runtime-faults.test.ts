/** The runtime against a real API server and a network that fail in every way: nothing is missed, nothing told twice. */
import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEEPFAKE_MODEL } from '../../operator/controllers/kinds.ts';
import type { KubeClient } from '../../operator/runtime/client.ts';
import { isExpired, isInvalid } from '../../operator/runtime/errors.ts';
import { Informer } from '../../operator/runtime/informer.ts';
import { LEASE, LeaderElection } from '../../operator/runtime/leader-election.ts';
import { type Kind, type KubeObject, keyOf, keyText } from '../../operator/runtime/object.ts';
import { Environment, eventually, silent } from './environment.ts';
import { compactEtcd } from './etcd.ts';
import { type Fault, FaultProxy, type Rule } from './faults/fault-proxy.ts';

const CONFIG_MAP: Kind = { apiVersion: 'v1', kind: 'ConfigMap', plural: 'configmaps', namespaced: true };

let environment: Environment;
before(async () => {
  environment = await Environment.start();
});
after(() => environment.stop());

async function setUp(t: TestContext) {
  const { name: namespace } = await environment.namespace();
  const proxy = await FaultProxy.start(environment.controlPlane.kubeconfigPath);
  t.after(() => proxy.stop());
  return { namespace, proxy };
}

const configMap = (namespace: string, name: string, data: object = {}): KubeObject =>
  ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace, name }, data }) as KubeObject;
const stateOf = (objects: readonly KubeObject[]) =>
  objects.map(({ metadata }) => `${metadata.name}@${metadata.resourceVersion}`).sort();

/** Follows the ConfigMaps of a namespace, and keeps what it was told of each. */
function follow(t: TestContext, client: KubeClient, namespace: string, inactivityMs = 60_000) {
  const told = new Map<string, string[]>();
  const lists = { count: 0 };
  const informer = new Informer({
    client,
    kind: CONFIG_MAP,
    log: silent,
    namespaces: [namespace],
    reflector: {
      inactivityMs,
      backoff: { baseMs: 20, capMs: 200 },
      onList: () => {
        lists.count += 1;
      },
    },
  });
  informer.onChange(() => {
    throw new Error('a handler that throws is nobody else’s trouble');
  });
  informer.onChange((change) => {
    if (change.type === 'resynced') return;
    const key = keyText(keyOf(change.object));
    const version = change.type === 'deleted' ? 'deleted' : (change.object.metadata.resourceVersion ?? '');
    told.set(key, [...(told.get(key) ?? []), version]);
  });
  const ending = new AbortController();
  const running = informer.run(ending.signal);
  t.after(async () => {
    ending.abort();
    await running;
  });
  const untilEqual = () =>
    eventually('the store is what the API server has', async () => {
      const { items } = await environment.client.list(CONFIG_MAP, { namespace });
      return stateOf(items).join() === stateOf(informer.store.list()).join();
    });
  /** Every version once and in order, and a deletion only of what was there. */
  const assertInOrder = () => {
    for (const [key, versions] of told) {
      const numbers = versions.filter((version) => version !== 'deleted').map(Number);
      assert.deepEqual(
        numbers,
        [...new Set(numbers)].sort((a, b) => a - b),
        `${key} was told as ${versions}`,
      );
      assert.ok(
        versions.every(
          (version, index) => version !== 'deleted' || (versions[index - 1] ?? 'deleted') !== 'deleted',
        ),
        `${key} was told as ${versions}`,
      );
    }
  };
  return { assertInOrder, informer, lists, untilEqual };
}

/** Creates, changes and deletes, over and over, `rounds` times. */
async function churn(namespace: string, rounds: number, between: () => Promise<unknown>): Promise<void> {
  const { client } = environment;
  for (let round = 0; round < rounds; round += 1) {
    const name = `m-${round % 7}`;
    if (round % 5 === 4) await client.delete(CONFIG_MAP, { namespace, name });
    else
      await client.apply(CONFIG_MAP, configMap(namespace, name, { round: String(round) }) as never, {
        fieldManager: 'churn',
      });
    await between();
  }
}

describe('an informer misses nothing and tells nothing twice', () => {
  const answer = (status: number, reason: string, retryAfterS?: number): Fault => ({
    do: 'answer',
    status,
    reason,
    ...(retryAfterS === undefined ? {} : { retryAfterS }),
  });
  const faults: Readonly<Record<string, Fault>> = {
    'errors of the server': answer(500, 'InternalError'),
    'refusals with Retry-After': answer(429, 'TooManyRequests', 1),
    'expired versions': answer(410, 'Expired'),
    'requests that are lost': { do: 'lose-request' },
    'answers and watches that break off in the middle of a line': { do: 'cut-answer' },
    'requests that are never answered': { do: 'silence' },
  };
  for (const [what, fault] of Object.entries(faults)) {
    it(`through ${what}`, async (t) => {
      const { namespace, proxy } = await setUp(t);
      let asked = 0;
      // Two of three, so that neither every list nor every watch is hit.
      const rule: Rule = () => {
        asked += 1;
        return asked % 3 === 0 ? undefined : fault;
      };
      proxy.rule = rule;
      const client = proxy.client({ timeoutMs: 500 });
      const { assertInOrder, untilEqual } = follow(t, client, namespace, 500);
      await churn(namespace, 60, async () => {
        proxy.resetConnections();
        await sleep(20);
      });
      // One that is told to wait has met fewer by now than one that asks again at once.
      await eventually('it met the fault often enough', () => {
        proxy.resetConnections();
        return proxy.calls.filter((call) => call.fault !== undefined).length >= 3;
      });
      await untilEqual();
      assertInOrder();
    });
  }

  it('through an outage in which etcd is compacted and everything changes', async (t) => {
    const { namespace, proxy } = await setUp(t);
    const { assertInOrder, lists, untilEqual } = follow(t, proxy.client(), namespace);
    await churn(namespace, 10, async () => undefined);
    const { items } = await environment.client.list(CONFIG_MAP, { namespace });
    await untilEqual();
    proxy.cut();
    await churn(namespace, 20, async () => undefined);
    await compactEtcd(environment.controlPlane);
    await environment.restart();
    proxy.mend();
    await eventually('it lists again, for its version is gone', () => lists.count >= 2);
    await untilEqual();
    assertInOrder();
    const resourceVersion = items[0]?.metadata.resourceVersion ?? '';
    const signal = AbortSignal.timeout(60_000);
    const watch = { namespace, resourceVersion, timeoutSeconds: 60, inactivityMs: 60_000, signal };
    await assert.rejects(environment.client.watch(CONFIG_MAP, watch).next(), isExpired);
  });
});

describe('leadership', () => {
  const times = { leaseMs: 3_000, renewDeadlineMs: 2_000, retryMs: 200 };
  const never = new AbortController().signal;

  it('lost because the Lease cannot be renewed, ends all writing before another leads', async (t) => {
    const { namespace, proxy } = await setUp(t);
    const client = proxy.client();
    const elect = (identity: string, through: KubeClient) =>
      new LeaderElection({
        client: through.urgent(1_000),
        log: silent,
        namespace,
        name: 'l',
        identity,
        ...times,
      });
    const first = elect('first', client);
    await first.acquire(never);
    const lost = assert.rejects(first.hold(never), /could not be renewed/);
    await environment.client.create(CONFIG_MAP, configMap(namespace, 'written'));
    const writer = client.guarded(first.guard);
    let stopped = false;
    let number = 0;
    const write = async () => {
      while (!stopped) {
        number += 1;
        const body = { data: { by: 'first', number: String(number) } };
        await writer.patch(CONFIG_MAP, { namespace, name: 'written' }, body).catch(() => sleep(5));
      }
    };
    // Several at a time, so that some are in flight whenever the lease is lost.
    const writing = Promise.all(Array.from({ length: 4 }, write));
    const second = elect('second', environment.client);
    const taken = second.acquire(never);
    await eventually('it writes', () => number > 20);
    // Only the Lease is out of reach: everything else still works, if slowly.
    proxy.rule = ({ lease, write: isWrite }) => {
      if (lease) return { do: 'silence' };
      return isWrite ? { do: 'delay', ms: 300 } : undefined;
    };
    const takenAt = taken.then(() => Date.now());
    await lost;
    const numberWhenLost = number;
    const held = new AbortController();
    const leads = takenAt.then((at) => {
      const holding = second.hold(held.signal);
      return { at, holding };
    });
    const { at, holding } = await leads;
    await sleep(1_000);
    stopped = true;
    await writing;
    held.abort();
    await holding;
    assert.ok(number > numberWhenLost, 'it went on trying');
    const writes = proxy.calls.filter((call) => call.method === 'PATCH' && !call.lease);
    const sent = writes.flatMap(({ forwardedAt }) => forwardedAt ?? []);
    assert.ok(sent.length > 20);
    assert.ok(Math.max(...sent) < at, `${Math.max(...sent) - at} ms after another led`);
    const written = await environment.client.get(CONFIG_MAP, { namespace, name: 'written' });
    const lease = await environment.client.get(LEASE, { namespace, name: 'l' });
    assert.ok(Number(written.metadata.resourceVersion) < Number(lease.metadata.resourceVersion));
  });
});

describe('a client of a real API server', () => {
  it('knows which kinds are served', async () => {
    const { client } = environment;
    const monitor = {
      apiVersion: 'monitoring.coreos.com/v1',
      kind: 'PodMonitor',
      plural: 'podmonitors',
      namespaced: true,
    };
    const unknown = { apiVersion: 'apps/v1', kind: 'Thing', plural: 'things', namespaced: true };
    const answers = await Promise.all(
      [CONFIG_MAP, LEASE, monitor, unknown].map((kind) => client.serves(kind)),
    );
    assert.deepEqual(answers, [true, true, false, false]);
  });

  it('is told that an object with a field of no kind is invalid, not that the server failed', async (t) => {
    const { namespace } = await setUp(t);
    const { apiVersion, kind } = DEEPFAKE_MODEL;
    const spec = { source: { builtin: { name: 'm' } }, sauce: 'x' };
    const model = { apiVersion, kind, metadata: { namespace, name: 'strict' }, spec };
    const builtIn = { ...configMap(namespace, 'strict'), datum: {} } as never;
    const fieldManager = 'test';
    await assert.rejects(environment.client.apply(DEEPFAKE_MODEL, model, { fieldManager }), isInvalid);
    await assert.rejects(environment.client.apply(CONFIG_MAP, builtIn, { fieldManager }), isInvalid);
  });
});
