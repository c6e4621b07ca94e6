import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Controller, Outcome } from './runtime/controller.ts';

/** What the operator tells Prometheus about itself. */
export class OperatorMetrics {
  readonly registry = new Registry();
  readonly #reconciles: Counter<'controller' | 'result'>;
  readonly #seconds: Histogram<'controller'>;
  readonly #requests: Counter<'verb' | 'code'>;
  readonly #lists: Counter<'kind'>;
  readonly #leader: Gauge;

  constructor() {
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry });
    this.#reconciles = new Counter({
      name: 'controller_reconcile_total',
      help: 'Reconcile passes by outcome.',
      labelNames: ['controller', 'result'],
      registers,
    });
    this.#seconds = new Histogram({
      name: 'controller_reconcile_duration_seconds',
      help: 'Duration of reconcile passes.',
      labelNames: ['controller'],
      buckets: [0.005, 0.02, 0.1, 0.5, 2, 10, 60],
      registers,
    });
    this.#requests = new Counter({
      name: 'kubernetes_client_requests_total',
      help: 'Requests to the API server; code 0 is no answer.',
      labelNames: ['verb', 'code'],
      registers,
    });
    this.#lists = new Counter({
      name: 'reflector_lists_total',
      help: 'Full lists, made at start, on expiry and at every resync.',
      labelNames: ['kind'],
      registers,
    });
    this.#leader = new Gauge({ name: 'leader', help: '1 while this process leads.', registers });
  }

  reconciled(controller: string, result: Outcome, seconds: number): void {
    this.#reconciles.inc({ controller, result });
    this.#seconds.observe({ controller }, seconds);
  }

  requested(verb: string, code: number): void {
    this.#requests.inc({ verb, code });
  }

  listed(kind: string): void {
    this.#lists.inc({ kind });
  }

  leading(leads: boolean): void {
    this.#leader.set(leads ? 1 : 0);
  }

  /** Reads queue depths at every scrape. */
  watchQueues(controllers: readonly Controller[]): void {
    new Gauge({
      name: 'workqueue_depth',
      help: 'Keys that wait to be worked.',
      labelNames: ['controller'],
      registers: [this.registry],
      collect() {
        for (const { name, queue } of controllers) this.set({ controller: name }, queue.depth);
      },
    });
  }
}
