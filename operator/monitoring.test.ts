/** What Prometheus and Grafana are given: metrics that can be read, alerts that fire when they should, a dashboard of what exists. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { pino } from 'pino';
import { parse } from 'yaml';
import { Metrics } from '../inference/observability/metrics.ts';
import type { DeepfakeModel, ModelDeployment } from './controllers/kinds.ts';
import { OperatorMetrics } from './metrics.ts';
import { Controller } from './runtime/controller.ts';

const files = join(import.meta.dirname, '../charts/deepfake-operator/files');
const ALERTS = join(files, 'alerts.yaml');

function promtool(args: readonly string[], input = ''): { readonly ok: boolean; readonly output: string } {
  const { status, stdout, stderr, error } = spawnSync('promtool', args, { input, encoding: 'utf8' });
  if (error) throw new Error('promtool does not start: install the package prometheus', { cause: error });
  return { ok: status === 0, output: stdout + stderr };
}

/** Metrics of an operator that has seen one of everything. */
async function scrapeOperator(): Promise<string> {
  const metrics = new OperatorMetrics();
  const { runtime, state } = metrics;
  const reconciler = { reconcile: async () => ({}) };
  const log = pino({ level: 'silent' });
  const controller = new Controller({ name: 'modeldeployment', reconciler, log, observe: runtime.observe });
  const ending = new AbortController();
  const running = controller.run(ending.signal);
  controller.queue.add('n/a');
  await new Promise((resolve) => setImmediate(resolve));
  ending.abort();
  await running;
  runtime.requested({ method: 'GET', host: 'h:1', status: 200, seconds: 0.01, watch: false });
  runtime.requested({ method: 'GET', host: 'h:1', status: 0, seconds: 0.01, watch: false });
  runtime.listed('DeepfakeModel');
  runtime.leading('deepfake-operator', true);
  const conditions = [{ type: 'Ready', status: 'False', reason: 'FetchFailed' }];
  const metadata = { namespace: 'n', name: 'a "quoted"\nname' };
  const model = { metadata, spec: {}, status: { phase: 'Failed', sizeBytes: 1, conditions } };
  const counts = { replicas: 1, readyReplicas: 1, availableReplicas: 1, updatedReplicas: 1 };
  const deployment = { metadata, spec: {}, status: { phase: 'Healthy', ...counts, conditions } };
  state.watch(() => ({
    models: [model as unknown as DeepfakeModel],
    deployments: [deployment as unknown as ModelDeployment],
  }));
  return metrics.registry.metrics();
}

const scrapePod = () =>
  new Metrics({
    readQueue: () => ({ interactive: { queued: 0, oldestQueuedMs: 0 } }),
    redisIsUp: () => true,
    readModels: () => [],
  }).registry.metrics();

/** Names of time series, those of histograms with their suffixes. */
function seriesNames(exposition: string): Set<string> {
  const types = [...exposition.matchAll(/^# TYPE (\S+) (\S+)$/gm)];
  return new Set(
    types.flatMap(([, name = '', type]) =>
      type === 'histogram' ? ['_bucket', '_sum', '_count'].map((suffix) => name + suffix) : [name],
    ),
  );
}

/** Names of metrics in PromQL: what is left without strings, label lists and functions. */
function queried(expression: string): string[] {
  const bare = expression
    .replace(/\{[^}]*\}/g, ' ')
    .replace(/\b(by|on|without|ignoring)\s*\([^)]*\)/g, ' ')
    .replace(/\[[^\]]*\]/g, ' ');
  const words = bare.match(/[a-z_][a-z0-9_]*(?!\s*\(|[a-z0-9_])/gi) ?? [];
  return words.filter((word) => !['and', 'or', 'unless'].includes(word));
}

interface Panel {
  readonly title: string;
  readonly datasource?: { readonly uid: string };
  readonly targets?: readonly { readonly expr: string }[];
}
interface Dashboard {
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly type: string; readonly name: string }[] };
}
interface RuleFile {
  readonly groups: readonly {
    readonly rules: readonly { readonly alert: string; readonly expr: string }[];
  }[];
}

const dashboard: Dashboard = JSON.parse(readFileSync(join(files, 'dashboard.json'), 'utf8'));
const rules = (parse(readFileSync(ALERTS, 'utf8')) as RuleFile).groups.flatMap((group) => group.rules);

it('the metrics are an exposition that Prometheus reads, of names that its linter takes', async () => {
  const { output } = promtool(['check', 'metrics'], await scrapeOperator());
  // Node's own metrics have names of prom-client.
  const complaints = output.split('\n').filter((line) => line !== '' && !/^(nodejs|process)_/.test(line));
  assert.deepEqual(complaints, []);
});

it('the dashboard and the alerts ask for nothing that neither operator nor pod tells', async () => {
  const told = new Set([...seriesNames(await scrapeOperator()), ...seriesNames(await scrapePod())]);
  const panels = dashboard.panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }) => [title, expr] as const),
  );
  const asked = [...panels, ...rules.map(({ alert, expr }) => [alert, expr] as const)];
  assert.ok(asked.length > 50);
  for (const [where, expression] of asked) {
    const names = queried(expression);
    assert.ok(names.length > 0, `${where}: found no metric in ${expression}`);
    for (const name of names) assert.ok(told.has(name), `${where} asks for ${name}, which nobody tells`);
  }
});

it('the dashboard reads from a data source that can be chosen, and its queries are PromQL', () => {
  assert.ok(
    dashboard.templating.list.some(({ type, name }) => type === 'datasource' && name === 'datasource'),
  );
  const targets = dashboard.panels.flatMap(({ datasource, targets = [] }) =>
    targets.map((target) => ({ datasource, ...target })),
  );
  assert.ok(targets.every(({ datasource }) => /^\$\{datasource\}$/.test(datasource?.uid ?? '')));
  const folder = mkdtempSync(join(tmpdir(), 'dashboard-'));
  try {
    const file = join(folder, 'queries.json');
    const asRules = targets.map(({ expr }, index) => ({
      record: `query_${index}`,
      expr: expr.replaceAll('$__rate_interval', '5m').replaceAll('$namespace', '.*'),
    }));
    writeFileSync(file, JSON.stringify({ groups: [{ name: 'queries', rules: asRules }] }));
    const { ok, output } = promtool(['check', 'rules', '--lint=none', file]);
    assert.ok(ok, output);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

/** Series by name and labels, one value a minute, as promtool writes them. */
type World = Readonly<Record<string, string>>;
const phase = (kind: string, name: string) =>
  `deepfake_${kind}_status_phase{namespace="n", name="m", phase="${name}"}`;
const condition = (kind: string, type: string, status: string, reason: string) =>
  `deepfake_${kind}_status_condition{namespace="n", name="m", condition="${type}", status="${status}", reason="${reason}"}`;
const running =
  'controller_runtime_max_concurrent_reconciles{controller="modeldeployment", namespace="o", instance="1"}';
const passes = (metric: string) => `${metric}{controller="modeldeployment", namespace="o"}`;
const results = (ok: string, name: string, bad: string) => ({
  'deepfake_inference_total{namespace="n", pod="p", model="m", result="ok"}': ok,
  [`deepfake_inference_total{namespace="n", pod="p", model="m", result="${name}"}`]: bad,
});
const answers = (code: string, route: string) =>
  `deepfake_requests_total{namespace="n", pod="p", route="${route}", code="${code}"}`;
const requests = (code: string) => `rest_client_requests_total{code="${code}", namespace="o", instance="1"}`;

const drift = (pod: string) =>
  `deepfake_drift_score{namespace="n", pod="${pod}", model="m", version="1.0.0"}`;
const cases: Readonly<Record<string, { at: string; fires: World; silent: World }>> = {
  DeepfakeOperatorDown: {
    at: '10m',
    fires: { 'up{job="other"}': '1x10' },
    silent: { [running]: '4x10' },
  },
  DeepfakeOperatorNoLeader: {
    at: '5m',
    fires: { [running]: '4x10', 'leader_election_master_status{namespace="o", instance="1"}': '0x10' },
    silent: {
      [running]: '4x10',
      'leader_election_master_status{namespace="o", instance="1"}': '0x10',
      'leader_election_master_status{namespace="o", instance="2"}': '1x10',
      'controller_runtime_max_concurrent_reconciles{controller="modeldeployment", namespace="o", instance="2"}':
        '4x10',
    },
  },
  DeepfakeOperatorReconcileErrors: {
    at: '40m',
    fires: {
      [passes('controller_runtime_reconcile_errors_total')]: '0+20x60',
      [passes('controller_runtime_reconcile_total')]: '0+100x60',
    },
    silent: {
      [passes('controller_runtime_reconcile_errors_total')]: '0+5x60',
      [passes('controller_runtime_reconcile_total')]: '0+100x60',
    },
  },
  DeepfakeOperatorPanics: {
    at: '20m',
    fires: { [passes('controller_runtime_reconcile_panics_total')]: '0x15 1x10' },
    silent: { [passes('controller_runtime_reconcile_panics_total')]: '3x30' },
  },
  DeepfakeOperatorQueueStuck: {
    at: '40m',
    fires: {
      [passes('workqueue_depth')]: '3x60',
      [passes('workqueue_work_duration_seconds_count')]: '7x60',
    },
    silent: {
      [passes('workqueue_depth')]: '3x60',
      [passes('workqueue_work_duration_seconds_count')]: '0+10x60',
      [passes('workqueue_longest_running_processor_seconds')]: '20x60',
    },
  },
  DeepfakeOperatorRequestErrors: {
    at: '40m',
    fires: { [running]: '4x60', [requests('200')]: '0+10x60', [requests('<error>')]: '0+10x60' },
    silent: { [running]: '4x60', [requests('200')]: '0+100x60', [requests('404')]: '0+100x60' },
  },
  DeepfakeModelFetchFailing: {
    at: '45m',
    // Four minutes until the next attempt, of which each takes six.
    fires: {
      [phase('deepfakemodel', 'Failed')]: '0x5 1x3 0x5 1x3 0x5 1x3 0x5 1x3 0x5 1x3',
      [phase('deepfakemodel', 'Ready')]: '0x50',
    },
    // The second attempt is a long one.
    silent: {
      [phase('deepfakemodel', 'Failed')]: '0x25 1x3 0x21',
      [phase('deepfakemodel', 'Ready')]: '0x50',
    },
  },
  DeepfakeModelFetchSlow: {
    at: '70m',
    fires: {
      [phase('deepfakemodel', 'Fetching')]: '0x30 1x50',
      [phase('deepfakemodel', 'Pending')]: '1x30 0x50',
    },
    silent: {
      [phase('deepfakemodel', 'Pending')]: '1x80',
      [condition('deepfakemodel', 'Ready', 'False', 'NotUsed')]: '1x80',
    },
  },
  DeepfakeModelDigestMismatch: {
    at: '1m',
    fires: { [condition('deepfakemodel', 'Verified', 'False', 'DigestMismatch')]: '1x5' },
    silent: { [condition('deepfakemodel', 'Verified', 'False', 'FetchFailed')]: '1x5' },
  },
  DeepfakeDeploymentUnavailable: {
    at: '7m',
    fires: { [condition('modeldeployment', 'Available', 'False', 'PodsUnavailable')]: '1x10' },
    silent: {
      [condition('modeldeployment', 'Available', 'True', 'PodsAvailable')]: '1x10',
      [condition('modeldeployment', 'Available', 'False', 'WeightsFetching')]: '1x10',
      [condition('modeldeployment', 'Progressing', 'False', 'ImagePullBackOff')]: '1x10',
    },
  },
  DeepfakeDeploymentDegraded: {
    at: '20m',
    fires: { [phase('modeldeployment', 'Degraded')]: '1x30' },
    silent: { [phase('modeldeployment', 'Degraded')]: '0x30', [phase('modeldeployment', 'Paused')]: '1x30' },
  },
  DeepfakeDeploymentLacksGPU: {
    at: '20m',
    fires: { [condition('modeldeployment', 'Available', 'False', 'InsufficientGPU')]: '1x30' },
    silent: { [condition('modeldeployment', 'Available', 'False', 'PodsUnavailable')]: '1x30' },
  },
  DeepfakePodsFailAnalyses: {
    at: '30m',
    fires: results('0+90x40', 'error', '0+10x40'),
    silent: results('0+90x40', 'rejected', '0+10x40'),
  },
  DeepfakePodsRejectMedia: {
    at: '70m',
    fires: results('0+10x80', 'rejected', '0+20x80'),
    silent: results('0+20x80', 'rejected', '0+10x80'),
  },
  DeepfakePodsTurnRequestsAway: {
    at: '20m',
    fires: { [answers('200', '/analyze')]: '0+90x30', [answers('503', '/analyze')]: '0+10x30' },
    silent: { [answers('200', '/analyze')]: '0+90x30', [answers('503', '/health/ready')]: '0+10x30' },
  },
  DeepfakePodWorkersRestart: {
    at: '20m',
    fires: { 'deepfake_worker_restarts_total{namespace="n", pod="p"}': '0+1x30' },
    silent: { 'deepfake_worker_restarts_total{namespace="n", pod="p"}': '0x10 1x20' },
  },
  DeepfakeScoresShift: {
    at: '40m',
    fires: { [drift('p')]: '0.1x5 0.3x50', [drift('q')]: '0.1x60' },
    silent: { [drift('p')]: '0.3x20 0.1x40', [drift('q')]: '0.2x60' },
  },
};

describe('alerts', () => {
  it('are rules that Prometheus takes, each with a case', () => {
    const { ok, output } = promtool(['check', 'rules', ALERTS]);
    assert.ok(ok, output);
    assert.deepEqual(Object.keys(cases).sort(), rules.map(({ alert }) => alert).sort());
  });

  const evaluate = (world: World, test: object) => {
    const folder = mkdtempSync(join(tmpdir(), 'alerts-'));
    try {
      const file = join(folder, 'test.json');
      const series = Object.entries(world).map(([name, values]) => ({ series: name, values }));
      const tests = [{ interval: '1m', input_series: series, ...test }];
      writeFileSync(file, JSON.stringify({ rule_files: [ALERTS], evaluation_interval: '1m', tests }));
      return promtool(['test', 'rules', file]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  };

  for (const [alert, { at, fires, silent }] of Object.entries(cases)) {
    for (const [does, world, value] of [
      ['fires', fires, 1],
      ['keeps silent', silent, 0],
    ] as const) {
      it(`${alert} ${does}`, () => {
        const expr = `count(ALERTS{alertname="${alert}", alertstate="firing"}) or vector(0)`;
        const expected = { expr, eval_time: at, exp_samples: [{ labels: '{}', value }] };
        const { ok, output } = evaluate(world, { promql_expr_test: [expected] });
        assert.ok(ok, output);
      });
    }
  }

  it('name the object and say what to do', () => {
    const expected = {
      eval_time: '45m',
      alertname: 'DeepfakeModelFetchFailing',
      exp_alerts: [
        {
          exp_labels: { severity: 'warning', namespace: 'n', name: 'm' },
          exp_annotations: {
            summary: 'DeepfakeModel n/m cannot be fetched.',
            description:
              'kubectl describe deepfakemodel --namespace n m says what failed and when it is tried again.',
          },
        },
      ],
    };
    const world = cases['DeepfakeModelFetchFailing']?.fires ?? {};
    const { ok, output } = evaluate(world, { alert_rule_test: [expected] });
    assert.ok(ok, output);
  });
});
