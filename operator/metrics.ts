import { collectDefaultMetrics, Registry } from 'prom-client';
import { RuntimeMetrics } from './runtime/metrics.ts';
import { StateMetrics } from './state-metrics.ts';

/** What the operator tells Prometheus: about itself as every controller does, and about the objects that it keeps. */
export class OperatorMetrics {
  readonly registry = new Registry();
  readonly runtime: RuntimeMetrics;
  readonly state: StateMetrics;

  constructor() {
    collectDefaultMetrics({ register: this.registry });
    this.runtime = new RuntimeMetrics(this.registry);
    this.state = new StateMetrics(this.registry);
  }
}
