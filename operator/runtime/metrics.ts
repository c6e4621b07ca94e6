/**
 * What the runtime tells Prometheus, under the names, labels and buckets of controller-runtime and client-go, so that
 * dashboards and alerts made for those work here.
 */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { RequestOutcome } from './client.ts';
import type { Controller, ControllerObserver, Outcome } from './controller.ts';

const PASS_BUCKETS = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.25, 1.5,
  1.75, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9, 10, 15, 20, 25, 30, 40, 50, 60,
];
const QUEUE_BUCKETS = [1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 1, 10, 100, 1000];
const REQUEST_BUCKETS = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60];
const RESULTS = ['success', 'error', 'requeue', 'requeue_after'] as const;
/** controller-runtime's names of the priorities 0 and -100. */
const PRIORITIES = { high: '0', low: '-100' } as const;

export class RuntimeMetrics {
  readonly #controllers: Controller[] = [];
  readonly #passes: Counter<'controller' | 'result'>;
  readonly #errors: Counter<'controller'>;
  readonly #terminalErrors: Counter<'controller'>;
  readonly #panics: Counter<'controller'>;
  readonly #passSeconds: Histogram<'controller'>;
  readonly #workers: Gauge<'controller'>;
  readonly #activeWorkers: Gauge<'controller'>;
  readonly #adds: Counter<'name' | 'controller'>;
  readonly #waitSeconds: Histogram<'name' | 'controller'>;
  readonly #workSeconds: Histogram<'name' | 'controller'>;
  readonly #retries: Counter<'name' | 'controller'>;
  readonly #requests: Counter<'code' | 'method' | 'host'>;
  readonly #requestSeconds: Histogram<'verb' | 'host'>;
  readonly #lists: Counter<'kind'>;
  readonly #leader: Gauge<'name'>;

  constructor(registry: Registry) {
    const registers = [registry];
    const controller = ['controller'] as const;
    const queue = ['name', 'controller'] as const;
    this.#passes = new Counter({
      name: 'controller_runtime_reconcile_total',
      help: 'Reconcile passes by result: success, error, requeue or requeue_after.',
      labelNames: ['controller', 'result'],
      registers,
    });
    this.#errors = new Counter({
      name: 'controller_runtime_reconcile_errors_total',
      help: 'Passes that failed, terminal errors and panics included.',
      labelNames: controller,
      registers,
    });
    this.#terminalErrors = new Counter({
      name: 'controller_runtime_terminal_reconcile_errors_total',
      help: 'Passes that failed in a way that repeating cannot mend.',
      labelNames: controller,
      registers,
    });
    this.#panics = new Counter({
      name: 'controller_runtime_reconcile_panics_total',
      help: 'Passes that ended by a mistake in the code.',
      labelNames: controller,
      registers,
    });
    this.#passSeconds = new Histogram({
      name: 'controller_runtime_reconcile_time_seconds',
      help: 'Duration of passes.',
      labelNames: controller,
      buckets: PASS_BUCKETS,
      registers,
    });
    this.#workers = new Gauge({
      name: 'controller_runtime_max_concurrent_reconciles',
      help: 'Passes that may run at a time.',
      labelNames: controller,
      registers,
    });
    this.#activeWorkers = new Gauge({
      name: 'controller_runtime_active_workers',
      help: 'Passes that run.',
      labelNames: controller,
      registers,
    });
    this.#adds = new Counter({
      name: 'workqueue_adds_total',
      help: 'Keys that came to wait.',
      labelNames: queue,
      registers,
    });
    this.#waitSeconds = new Histogram({
      name: 'workqueue_queue_duration_seconds',
      help: 'How long keys waited.',
      labelNames: queue,
      buckets: QUEUE_BUCKETS,
      registers,
    });
    this.#workSeconds = new Histogram({
      name: 'workqueue_work_duration_seconds',
      help: 'How long keys were worked.',
      labelNames: queue,
      buckets: QUEUE_BUCKETS,
      registers,
    });
    this.#retries = new Counter({
      name: 'workqueue_retries_total',
      help: 'Keys that came back because a pass failed.',
      labelNames: queue,
      registers,
    });
    this.#requests = new Counter({
      name: 'rest_client_requests_total',
      help: 'Requests to the API server; code <error> is no answer.',
      labelNames: ['code', 'method', 'host'],
      registers,
    });
    this.#requestSeconds = new Histogram({
      name: 'rest_client_request_duration_seconds',
      help: 'Time until the head of the answer, watches not counted.',
      labelNames: ['verb', 'host'],
      buckets: REQUEST_BUCKETS,
      registers,
    });
    this.#lists = new Counter({
      name: 'reflector_lists_total',
      help: 'Full lists, made at start, on expiry and at every resync.',
      labelNames: ['kind'],
      registers,
    });
    this.#leader = new Gauge({
      name: 'leader_election_master_status',
      help: '1 while this process leads, 0 while it stands by.',
      labelNames: ['name'],
      registers,
    });
    this.#readQueues(registers);
  }

  /** What a Controller's `observe` wants. */
  readonly observe = (controller: Controller): ControllerObserver => {
    const { name, concurrency } = controller;
    const queue = { name, controller: name };
    this.#controllers.push(controller);
    for (const result of RESULTS) this.#passes.inc({ controller: name, result }, 0);
    for (const counter of [this.#errors, this.#terminalErrors, this.#panics]) {
      counter.inc({ controller: name }, 0);
    }
    for (const counter of [this.#adds, this.#retries]) counter.inc(queue, 0);
    this.#passSeconds.zero({ controller: name });
    for (const histogram of [this.#waitSeconds, this.#workSeconds]) histogram.zero(queue);
    this.#workers.set({ controller: name }, concurrency);
    this.#activeWorkers.set({ controller: name }, 0);
    return {
      queue: {
        added: () => this.#adds.inc(queue),
        taken: (seconds) => this.#waitSeconds.observe(queue, seconds),
        done: (seconds) => this.#workSeconds.observe(queue, seconds),
        retried: () => this.#retries.inc(queue),
      },
      passStarted: () => this.#activeWorkers.inc({ controller: name }),
      passEnded: (outcome, seconds) => this.#passEnded(name, outcome, seconds),
    };
  };

  /** What a KubeClient's `onRequest` wants. */
  readonly requested = ({ method, host, status, seconds, watch }: RequestOutcome): void => {
    this.#requests.inc({ code: status === 0 ? '<error>' : String(status), method, host });
    if (!watch) this.#requestSeconds.observe({ verb: method, host }, seconds);
  };

  listed(kind: string): void {
    this.#lists.inc({ kind });
  }

  /** @param lease the name of the Lease that is held or waited for */
  leading(lease: string, leads: boolean): void {
    this.#leader.set({ name: lease }, leads ? 1 : 0);
  }

  #passEnded(controller: string, outcome: Outcome, seconds: number): void {
    this.#activeWorkers.dec({ controller });
    if (outcome === 'aborted') return;
    const failed = outcome === 'error' || outcome === 'terminal_error' || outcome === 'panic';
    this.#passes.inc({ controller, result: failed ? 'error' : outcome });
    if (failed) this.#errors.inc({ controller });
    if (outcome === 'terminal_error') this.#terminalErrors.inc({ controller });
    if (outcome === 'panic') this.#panics.inc({ controller });
    this.#passSeconds.observe({ controller }, seconds);
  }

  /** Gauges that are read off the queues at every scrape. */
  #readQueues(registers: Registry[]): void {
    const controllers = this.#controllers;
    new Gauge({
      name: 'workqueue_depth',
      help: 'Keys that wait, by priority: 0 changed, -100 was listed.',
      labelNames: ['name', 'controller', 'priority'],
      registers,
      collect() {
        for (const { name, queue } of controllers) {
          for (const priority of ['high', 'low'] as const) {
            const labels = { name, controller: name, priority: PRIORITIES[priority] };
            this.set(labels, queue.depth(priority));
          }
        }
      },
    });
    new Gauge({
      name: 'workqueue_unfinished_work_seconds',
      help: 'How long the keys in work have been worked, all together.',
      labelNames: ['name', 'controller'],
      registers,
      collect() {
        for (const { name, queue } of controllers) {
          const seconds = queue.inWork().reduce((sum, one) => sum + one, 0);
          this.set({ name, controller: name }, seconds);
        }
      },
    });
    new Gauge({
      name: 'workqueue_longest_running_processor_seconds',
      help: 'How long the key longest in work has been worked.',
      labelNames: ['name', 'controller'],
      registers,
      collect() {
        for (const { name, queue } of controllers) {
          this.set({ name, controller: name }, Math.max(0, ...queue.inWork()));
        }
      },
    });
  }
}
