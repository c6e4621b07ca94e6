/** The runtime against a real API server: restarts, expiry, dead connections, leadership. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { KubeClient } from '../../operator/runtime/client.ts';
import { isExpired } from '../../operator/runtime/errors.ts';
import { EVENT, EventRecorder } from '../../operator/runtime/events.ts';
import { Informer } from '../../operator/runtime/informer.ts';
import { PooledKubeConfig } from '../../operator/runtime/kube-config.ts';
import { LEASE, LeaderElection } from '../../operator/runtime/leader-election.ts';
import type { Kind, KubeObject } from '../../operator/runtime/object.ts';
import { Environment, eventually, silent } from './environment.ts';

const CONFIG_MAP: Kind = { apiVersion: 'v1', kind: 'ConfigMap', plural: 'configmaps', namespaced: true };
const namespace = 'default';

let environment: Environment;
before(async () => {
  environment = await Environment.start();
});
after(() => environment.stop());

const configMap = (name: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace, labels: { test: 'yes' } },
});
const create = (name: string) => environment.client.create(CONFIG_MAP, configMap(name));

/** Stands between a client and the API server, counts connections, and can let them go silent without closing. */
async function startProxy(t: TestContext) {
  const target = Number(new URL(environment.controlPlane.apiServerUrl).port);
  const sockets = new Set<Socket>();
  const state = { connections: 0, silent: false };
  const server = createServer((client) => {
    state.connections += 1;
    const upstream = connect(target, '127.0.0.1');
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.on('data', (chunk) => state.silent || to.write(chunk));
      from.on('close', () => to.destroy());
      from.on('error', () => to.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const text = await readFile(environment.controlPlane.kubeconfigPath, 'utf8');
  const config = new PooledKubeConfig();
  config.loadFromString(text.replace(environment.controlPlane.apiServerUrl, `https://127.0.0.1:${port}`));
  const stop = async () => {
    await config.close();
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  t.after(stop);
  return {
    client: new KubeClient(config),
    connections: () => state.connections,
    /** Bytes on the connections there are reach nobody any more; `forever`: on later ones neither. */
    silence: ({ forever = false } = {}) => {
      state.silent = forever;
      for (const socket of sockets) socket.removeAllListeners('data').on('data', () => undefined);
    },
    stop,
  };
}

function startInformer(t: TestContext, client: KubeClient, inactivityMs = 60_000) {
  const ending = new AbortController();
  const lists = { count: 0 };
  const informer = new Informer({
    client,
    kind: CONFIG_MAP,
    log: silent,
    namespaces: [namespace],
    labelSelector: 'test=yes',
    reflector: {
      inactivityMs,
      backoff: { baseMs: 50, capMs: 200 },
      onList: () => {
        lists.count += 1;
      },
    },
  });
  const running = informer.run(ending.signal);
  const stop = async () => {
    ending.abort();
    await running;
  };
  t.after(stop);
  const names = () =>
    informer.store
      .list()
      .map(({ metadata }) => metadata.name)
      .sort();
  return { informer, lists, names, stop };
}

describe('an informer', () => {
  it('follows the API server through a restart, what happened meanwhile included', async (t) => {
    await create('kept');
    const old = await create('dropped');
    const { informer, names, stop } = startInformer(t, environment.client);
    await eventually('it is synced', () => informer.hasSynced());
    assert.deepEqual(names(), ['dropped', 'kept']);
    await create('watched');
    await eventually('it sees the new one', () => informer.store.get({ namespace, name: 'watched' }));
    await environment.restart();
    await environment.client.delete(CONFIG_MAP, old.metadata);
    await create('after');
    await eventually('it caught up', () => names().join() === 'after,kept,watched');
    await stop();

    // A server that was restarted remembers no versions from before: the real 410.
    const { resourceVersion = '' } = old.metadata;
    const options = { namespace, resourceVersion, timeoutSeconds: 60, inactivityMs: 60_000 };
    await assert.rejects(async () => {
      const signal = AbortSignal.timeout(60_000);
      const events = environment.client.watch(CONFIG_MAP, { ...options, signal });
      for await (const event of events) assert.fail(`unexpected ${event.type}`);
    }, isExpired);
  });

  it('notices a connection that went silent, and goes on over another without a new list', async (t) => {
    const proxy = await startProxy(t);
    const { informer, lists, stop } = startInformer(t, proxy.client, 1_000);
    await eventually('it is synced', () => informer.hasSynced());
    await create('before-silence');
    await eventually('it hears', () => informer.store.get({ namespace, name: 'before-silence' }));
    proxy.silence();
    await create('during-silence');
    await eventually('it hears again', () => informer.store.get({ namespace, name: 'during-silence' }));
    assert.equal(lists.count, 1);
    await stop();
  });
});

describe('a client', () => {
  it('makes a hundred calls over one or two connections', async (t) => {
    const proxy = await startProxy(t);
    for (let call = 0; call < 100; call += 1) await proxy.client.list(CONFIG_MAP, { namespace });
    // A call may start before the connection of the one before it is free again.
    assert.ok(proxy.connections() <= 2, `${proxy.connections()} connections`);
    await proxy.stop();
  });

  it('has no more connections than calls and watches at a time, and shares them with clients made from it', async (t) => {
    const proxy = await startProxy(t);
    const protocols = new Set<unknown>();
    const connected = (message: unknown) => {
      const { socket } = message as { socket: { alpnProtocol?: string } };
      protocols.add(socket.alpnProtocol);
    };
    subscribe('undici:client:connected', connected);
    t.after(() => unsubscribe('undici:client:connected', connected));
    const { signal } = t;
    const watch = { namespace, resourceVersion: '', timeoutSeconds: 60, inactivityMs: 60_000, signal };
    const watches = Array.from({ length: 5 }, () => proxy.client.watch(CONFIG_MAP, watch));
    await Promise.all(watches.map((events) => events.next()));
    const guarded = proxy.client.guarded({ signal, check: () => undefined });
    const urgent = proxy.client.urgent(10_000);
    for (let round = 0; round < 20; round += 1) {
      const clients = [proxy.client, guarded, urgent, proxy.client];
      await Promise.all(clients.map((client) => client.list(CONFIG_MAP, { namespace })));
    }
    // Eighty calls, four at a time; each may start before the connection of the one before it is free again.
    assert.ok(proxy.connections() <= 5 + 2 * 4, `${proxy.connections()} connections`);
    // Where everything shares one connection, a dead one takes everything with it.
    assert.deepEqual([...protocols], ['http/1.1']);
    await Promise.all(watches.map((events) => events.return(undefined)));
    await proxy.stop();
  });

  it('gives up on an answer that does not come', async (t) => {
    const proxy = await startProxy(t);
    const impatient = new KubeClient(proxy.client.config, { timeoutMs: 300 });
    // Makes a connection, and may take its time.
    await proxy.client.list(CONFIG_MAP, { namespace });
    proxy.silence({ forever: true });
    await assert.rejects(impatient.list(CONFIG_MAP, { namespace }), { name: 'TimeoutError' });
    await proxy.stop();
  });

  it('keeps fields that no type of ours knows', async () => {
    const object = { ...configMap('unknown-fields'), data: { key: 'value' }, immutable: true };
    await environment.client.create(CONFIG_MAP, object);
    const read = (await environment.client.get(CONFIG_MAP, object.metadata)) as typeof object;
    assert.deepEqual([read.data, read.immutable], [{ key: 'value' }, true]);
  });
});

describe('leader election', () => {
  const times = { leaseMs: 2_000, renewDeadlineMs: 1_200, retryMs: 100 };
  /** Of a leader that has to hold: a busy machine renews in time. */
  const patient = { leaseMs: 8_000, renewDeadlineMs: 7_000 };
  const candidate = (identity: string, name: string, changes: Partial<typeof times> = {}) =>
    new LeaderElection({
      client: environment.client,
      log: silent,
      namespace,
      name,
      identity,
      ...times,
      ...changes,
    });
  const never = new AbortController().signal;

  it('keeps others waiting while the leader renews', async () => {
    const [first, second] = [candidate('a', 'renewed', patient), candidate('b', 'renewed', patient)];
    assert.equal(await first.acquire(never), true);
    const lease = await environment.client.get(LEASE, { namespace, name: 'renewed' });
    assert.match(String(lease.spec?.renewTime), /^\d{4}-.*\.\d{6}Z$/);
    const stopping = new AbortController();
    const held = first.hold(stopping.signal);
    const waiting = second.acquire(stopping.signal);
    const beyondTheLease = new Promise((resolve) => setTimeout(resolve, 10_000, 'waits'));
    assert.equal(await Promise.race([waiting, beyondTheLease]), 'waits');
    stopping.abort();
    await Promise.all([held, waiting]);
  });

  it('hands over when the leader stops, long before its lease would have expired', async () => {
    const leaseMs = 600_000;
    const times = { leaseMs, renewDeadlineMs: 300_000 };
    const [first, second] = [candidate('a', 'orderly', times), candidate('b', 'orderly', times)];
    assert.equal(await first.acquire(never), true);
    const stopping = new AbortController();
    const held = first.hold(stopping.signal);
    const expiresAt = Date.now() + leaseMs;
    const waiting = second.acquire(never);
    stopping.abort();
    await held;
    assert.equal(await waiting, true);
    assert.ok(Date.now() < expiresAt, 'it waited for the lease to expire');
    const taken = await environment.client.get(LEASE, { namespace, name: 'orderly' });
    assert.equal(taken.spec?.holderIdentity, 'b');
  });

  it('takes over from a leader that vanished, once its lease has expired', async () => {
    const [first, second] = [candidate('a', 'vanished'), candidate('b', 'vanished')];
    await first.acquire(never);
    const startedAt = Date.now();
    assert.equal(await second.acquire(never), true);
    assert.ok(Date.now() - startedAt >= 1_900);
  });

  it('ends the hold of a leader whose lease was taken', async () => {
    const leader = candidate('a', 'taken', patient);
    await leader.acquire(never);
    const held = leader.hold(never);
    await environment.client.patch(LEASE, { namespace, name: 'taken' }, { spec: { holderIdentity: 'b' } });
    await assert.rejects(held, /lease taken was taken by b/);
  });

  it('ends the hold of a leader that cannot renew', async (t) => {
    const proxy = await startProxy(t);
    const options = { log: silent, namespace, name: 'cut-off', identity: 'a', ...times };
    const leader = new LeaderElection({ client: proxy.client, ...options });
    await leader.acquire(never);
    const held = leader.hold(never);
    await proxy.stop();
    await assert.rejects(held, /could not be renewed for 1200 ms/);
  });
});

it('the example copies, repairs and ends when it is told to', async (t) => {
  const example = join(import.meta.dirname, '../../operator/runtime/example.ts');
  const child = spawn(process.execPath, [example], {
    env: { KUBECONFIG: environment.controlPlane.kubeconfigPath },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  const exited = once(child, 'exit');
  const { client } = environment;
  const labels = { copy: 'yes' };
  const original = { ...configMap('example'), data: { key: 'one' } };
  await client.create(CONFIG_MAP, { ...original, metadata: { ...original.metadata, labels } });
  const ref = { namespace, name: 'example-copy' };
  const untilCopied = (value: string) =>
    eventually(`the copy says ${value}`, async () => {
      const copy = (await client.find(CONFIG_MAP, ref)) as typeof original | undefined;
      return copy?.data.key === value;
    });
  await untilCopied('one');
  await client.patch(CONFIG_MAP, original.metadata, { data: { key: 'two' } });
  await untilCopied('two');
  await client.patch(CONFIG_MAP, ref, { data: { key: 'meddled' } });
  await untilCopied('two');
  await client.delete(CONFIG_MAP, ref);
  await untilCopied('two');
  child.kill('SIGTERM');
  assert.deepEqual(await exited, [0, null]);
});

it('events that repeat are counted on one Event, those that differ too much become one', async () => {
  const events = new EventRecorder({
    client: environment.client,
    log: silent,
    controller: 'test.example/recorder',
    instance: 'test',
  });
  const regarding = await create('regarded');
  const record = (reason: string, note: string) =>
    events.record(CONFIG_MAP, regarding, { type: 'Warning', reason, action: 'Test', note });
  for (let round = 0; round < 3; round += 1) record('Waiting', 'recorded together');
  await events.flush();
  for (let round = 0; round < 3; round += 1) {
    record('Repeated', 'recorded one by one');
    await events.flush();
  }
  for (let round = 0; round < 14; round += 1) record('Varying', `attempt ${round}`);
  await events.flush();
  const { items } = await environment.client.list(EVENT, { namespace });
  const counts = (reason: string) =>
    items.filter((event) => event.reason === reason).map(({ series }) => series?.count ?? 1);
  assert.deepEqual(counts('Waiting').length, 1);
  assert.deepEqual(counts('Repeated'), [3]);
  assert.deepEqual(
    counts('Varying').sort((a, b) => b - a),
    [4, ...Array.from({ length: 10 }, () => 1)],
  );
});
