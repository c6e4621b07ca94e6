import assert from 'node:assert/strict';
import { it } from 'node:test';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { Controller } from './controller.ts';
import { TerminalError } from './errors.ts';
import { RuntimeMetrics } from './metrics.ts';
import type { Result } from './reconciler.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Metrics of a controller that has done what the script says, one pass each. */
async function worked(script: readonly (() => Promise<Result>)[]) {
  const registry = new Registry();
  const metrics = new RuntimeMetrics(registry);
  const ending = new AbortController();
  let pass = 0;
  const controller = new Controller({
    name: 'things',
    log: pino({ level: 'silent' }),
    concurrency: 3,
    observe: metrics.observe,
    reconciler: { reconcile: () => (script[pass++] ?? (async () => ({})))() },
  });
  const running = controller.run(ending.signal);
  script.forEach((_, index) => {
    controller.queue.add(`n/${index}`);
  });
  for (let count = 0; count < 3; count += 1) await turn();
  const stop = async () => {
    ending.abort();
    await running;
  };
  return { controller, metrics, registry, stop };
}

/** name, type and labels, as controller-runtime and client-go have them. */
const EXPECTED = [
  'controller_runtime_active_workers gauge controller',
  'controller_runtime_max_concurrent_reconciles gauge controller',
  'controller_runtime_reconcile_errors_total counter controller',
  'controller_runtime_reconcile_panics_total counter controller',
  'controller_runtime_reconcile_time_seconds histogram controller',
  'controller_runtime_reconcile_total counter controller,result',
  'controller_runtime_terminal_reconcile_errors_total counter controller',
  'leader_election_master_status gauge name',
  'reflector_lists_total counter kind',
  'rest_client_request_duration_seconds histogram host,verb',
  'rest_client_requests_total counter code,host,method',
  'workqueue_adds_total counter controller,name',
  'workqueue_depth gauge controller,name,priority',
  'workqueue_longest_running_processor_seconds gauge controller,name',
  'workqueue_queue_duration_seconds histogram controller,name',
  'workqueue_retries_total counter controller,name',
  'workqueue_unfinished_work_seconds gauge controller,name',
  'workqueue_work_duration_seconds histogram controller,name',
];

it('has the names, types and labels that dashboards of controllers ask for', async () => {
  const { metrics, registry, stop } = await worked([async () => ({})]);
  metrics.requested({ method: 'GET', host: 'h:1', status: 200, seconds: 0.1, watch: false });
  metrics.leading('l', true);
  metrics.listed('Thing');
  const families = await registry.getMetricsAsJSON();
  const found = families.map(({ name, type, values }) => {
    const labels = new Set(values.flatMap((value) => Object.keys(value.labels)));
    labels.delete('le');
    return `${name} ${type} ${[...labels].sort().join()}`;
  });
  assert.deepEqual(found.sort(), EXPECTED);
  await stop();
});

it('has the buckets of controller-runtime and client-go', async () => {
  const { registry, stop } = await worked([async () => ({})]);
  new RuntimeMetrics(new Registry()).requested({
    method: 'GET',
    host: 'h',
    status: 200,
    seconds: 1,
    watch: false,
  });
  const text = await registry.metrics();
  const bounds = (name: string) =>
    [...text.matchAll(new RegExp(`^${name}_bucket\\{le="([^"]+)"`, 'gm'))].map(([, bound]) => bound);
  const passes = bounds('controller_runtime_reconcile_time_seconds');
  assert.deepEqual([passes.length, passes[0], passes.at(-2), passes.at(-1)], [41, '0.005', '60', '+Inf']);
  for (const queue of ['workqueue_queue_duration_seconds', 'workqueue_work_duration_seconds']) {
    const buckets = bounds(queue);
    assert.deepEqual([buckets.length, buckets[0], buckets.at(-2)], [13, '1e-8', '1000']);
  }
  await stop();
});

it('tells of a queue that never worked as well, so that one which never begins is seen', async () => {
  const { registry, stop } = await worked([]);
  const text = await registry.metrics();
  for (const line of [
    'controller_runtime_reconcile_time_seconds_count{controller="things"} 0',
    'workqueue_queue_duration_seconds_count{name="things",controller="things"} 0',
    'workqueue_work_duration_seconds_count{name="things",controller="things"} 0',
  ]) {
    assert.ok(text.includes(`${line}\n`), `${line}\nis not in\n${text}`);
  }
  await stop();
});

it('counts passes by result, errors of every sort, and their retries', async () => {
  const fail = (error: Error) => async () => {
    throw error;
  };
  const { metrics, registry, stop } = await worked([
    async () => ({}),
    async () => ({ requeueAfterMs: 60_000 }),
    fail(new Error('scripted')),
    fail(new TerminalError('scripted')),
    fail(new TypeError('scripted')),
  ]);
  metrics.requested({ method: 'PATCH', host: 'h:1', status: 0, seconds: 3, watch: false });
  metrics.requested({ method: 'GET', host: 'h:1', status: 200, seconds: 300, watch: true });
  const text = await registry.metrics();
  for (const line of [
    'controller_runtime_reconcile_total{controller="things",result="success"} 1',
    'controller_runtime_reconcile_total{controller="things",result="requeue_after"} 1',
    'controller_runtime_reconcile_total{controller="things",result="requeue"} 0',
    'controller_runtime_reconcile_total{controller="things",result="error"} 3',
    'controller_runtime_reconcile_errors_total{controller="things"} 3',
    'controller_runtime_terminal_reconcile_errors_total{controller="things"} 1',
    'controller_runtime_reconcile_panics_total{controller="things"} 1',
    'controller_runtime_max_concurrent_reconciles{controller="things"} 3',
    'controller_runtime_active_workers{controller="things"} 0',
    'controller_runtime_reconcile_time_seconds_count{controller="things"} 5',
    'workqueue_adds_total{name="things",controller="things"} 5',
    'workqueue_retries_total{name="things",controller="things"} 2',
    'workqueue_work_duration_seconds_count{name="things",controller="things"} 5',
    'rest_client_requests_total{code="<error>",method="PATCH",host="h:1"} 1',
    'rest_client_requests_total{code="200",method="GET",host="h:1"} 1',
    'rest_client_request_duration_seconds_count{verb="PATCH",host="h:1"} 1',
  ]) {
    assert.ok(text.includes(`${line}\n`), `${line}\nis not in\n${text}`);
  }
  assert.ok(
    !text.includes('rest_client_request_duration_seconds_count{verb="GET"'),
    'a watch has no duration',
  );
  await stop();
});

it('shows what waits by priority, and for how long the rest is worked', async () => {
  const release = Promise.withResolvers<Result>();
  const { controller, registry, stop } = await worked(Array.from({ length: 3 }, () => () => release.promise));
  controller.queue.add('n/changed');
  for (const name of ['x', 'y']) controller.queue.add(`n/${name}`, 'low');
  await new Promise((resolve) => setTimeout(resolve, 20));
  const text = await registry.metrics();
  const value = (series: string) =>
    Number(
      text
        .split('\n')
        .find((line) => line.startsWith(series))
        ?.split(' ')[1],
    );
  const depth = (priority: string) =>
    value(`workqueue_depth{name="things",controller="things",priority="${priority}"}`);
  assert.deepEqual([depth('0'), depth('-100')], [1, 2]);
  const longest = value('workqueue_longest_running_processor_seconds');
  const all = value('workqueue_unfinished_work_seconds');
  assert.ok(longest >= 0.015 && all >= 2 * longest, `${longest} s, all together ${all} s`);
  release.resolve({});
  await stop();
});
