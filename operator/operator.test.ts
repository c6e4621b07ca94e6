/** Who leads and works when, seen from outside: by requests and metrics. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { pino } from 'pino';
import { OperatorMetrics } from './metrics.ts';
import { createOperator } from './operator.ts';
import type { KubeClient } from './runtime/client.ts';
import { LEASE, type Lease } from './runtime/leader-election.ts';
import type { Kind } from './runtime/object.ts';

/** An operator at an API server that has PodMonitors, one ModelDeployment that wants one, and a Lease. */
function start(cluster: { refused?: string; lease?: Lease }) {
  const deployment = {
    metadata: { namespace: 'n', name: 'a', resourceVersion: '1' },
    spec: { models: [], monitoring: {} },
  };
  const client = {
    urgent: () => client,
    guarded: () => client,
    serves: async () => true,
    list: async ({ kind }: Kind) => {
      if (kind === cluster.refused) throw new Error('scripted');
      return { metadata: { resourceVersion: '1' }, items: kind === 'ModelDeployment' ? [deployment] : [] };
    },
    /** Silent until it is told to end. */
    async *watch(_kind: Kind, { signal }: { signal: AbortSignal }) {
      signal.throwIfAborted();
      const { promise, reject } = Promise.withResolvers<never>();
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      yield await promise;
    },
    find: async (kind: Kind) => (kind === LEASE ? cluster.lease : undefined),
    create: async (kind: Kind, object: Lease) => {
      if (kind === LEASE) cluster.lease = object;
      return object;
    },
    patch: async (_kind: Kind, _ref: unknown, { spec }: Lease) => {
      cluster.lease = { ...cluster.lease, spec } as Lease;
      return cluster.lease;
    },
  };
  const metrics = new OperatorMetrics();
  const operator = createOperator({
    client: client as unknown as KubeClient,
    log: pino({ level: 'silent' }),
    metrics,
    image: { name: 'i', pullPolicy: 'Never', pullSecrets: [] },
    namespace: 'o',
    identity: 'me',
    lease: { namespace: 'o', name: 'l', retryMs: 10 },
  });
  const ending = new AbortController();
  const running = operator.run(ending.signal);
  const stop = async () => {
    ending.abort();
    await running;
  };
  return { operator, metrics, stop };
}

async function eventually(holds: () => boolean) {
  for (let waited = 0; !holds() && waited < 30_000; waited += 20) await setTimeout(20);
  assert.ok(holds(), String(holds));
}

it('leaves the Lease to others until its stores are filled', async () => {
  const cluster: { refused?: string; lease?: Lease } = { refused: 'Pod' };
  const { operator, stop } = start(cluster);
  await setTimeout(200);
  assert.deepEqual([operator.ready(), cluster.lease], [false, undefined]);
  delete cluster.refused;
  await eventually(() => cluster.lease?.spec?.holderIdentity === 'me');
  assert.ok(operator.ready());
  await stop();
  assert.equal(cluster.lease?.spec?.holderIdentity, '');
});

it('queues nothing while it stands by, also when a kind that a cluster may lack comes', async () => {
  const metadata = { namespace: 'o', name: 'l', resourceVersion: '1' };
  const { operator, metrics, stop } = start({ lease: { metadata, spec: { holderIdentity: 'other' } } });
  await eventually(() => operator.ready());
  await setTimeout(100);
  const depths = (await metrics.registry.metrics()).match(/^workqueue_depth\{.*$/gm) ?? [];
  assert.equal(depths.length, 6);
  assert.deepEqual(
    depths.filter((line) => !line.endsWith(' 0')),
    [],
  );
  await stop();
});

it('has no controller that alerts and dashboard do not know', async () => {
  const { metrics, stop } = start({});
  const text = await metrics.registry.metrics();
  await stop();
  const names = [...text.matchAll(/^controller_runtime_max_concurrent_reconciles\{controller="(.*)"\}/gm)];
  const expected = names.map(([, name]) => name).sort();
  for (const file of ['alerts.yaml', 'dashboard.json']) {
    const queries = readFileSync(
      join(import.meta.dirname, '../charts/deepfake-operator/files', file),
      'utf8',
    );
    const asked = [...queries.matchAll(/controller=~\\?"([^"\\]*)\\?"/g)];
    assert.ok(asked.length > 0);
    for (const [, listed = ''] of asked) assert.deepEqual(listed.split('|').sort(), expected, file);
  }
});
