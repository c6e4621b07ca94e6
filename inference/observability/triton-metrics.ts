/** The model statistics once more under the names of Triton, for dashboards and load generators that know these. */
import { Counter, Gauge, type Registry } from 'prom-client';
import type { ModelStatistics } from './statistics.ts';

export interface ModelReading {
  readonly model: string;
  readonly version: string;
  readonly statistics: ModelStatistics;
  /** Requests that wait for a worker. */
  readonly pending: number;
}

const labelNames = ['model', 'version'] as const;
const micros = (ms: number) => Math.round(ms * 1000);

const counters: Readonly<Record<string, { help: string; read: (statistics: ModelStatistics) => number }>> = {
  request_success: { help: 'Requests that were answered', read: ({ success }) => success.count },
  request_failure: { help: 'Requests that failed', read: ({ fail }) => fail.count },
  count: { help: 'Items that the graph computed', read: ({ inferences }) => inferences },
  exec_count: { help: 'Calls of the graph', read: ({ executions }) => executions },
  request_duration_us: {
    help: 'Microseconds from the whole request to its answer',
    read: ({ success }) => micros(success.ms),
  },
  queue_duration_us: {
    help: 'Microseconds in which requests waited for a worker',
    read: ({ queue }) => micros(queue.ms),
  },
  compute_input_duration_us: {
    help: 'Microseconds of decoding and preparing media',
    read: ({ computeInput }) => micros(computeInput.ms),
  },
  compute_infer_duration_us: {
    help: 'Microseconds in the graph',
    read: ({ computeInfer }) => micros(computeInfer.ms),
  },
  compute_output_duration_us: {
    help: 'Microseconds from the graph to the answer',
    read: ({ computeOutput }) => micros(computeOutput.ms),
  },
};

/** @param read is asked at every scrape */
export function registerTritonMetrics(registry: Registry, read: () => readonly ModelReading[]): void {
  const registers = [registry];
  for (const [name, counter] of Object.entries(counters)) {
    new Counter({
      name: `nv_inference_${name}`,
      help: counter.help,
      labelNames,
      registers,
      collect() {
        this.reset();
        for (const { model, version, statistics } of read())
          this.inc({ model, version }, counter.read(statistics));
      },
    });
  }
  new Gauge({
    name: 'nv_inference_pending_request_count',
    help: 'Requests that wait for a worker',
    labelNames,
    registers,
    collect() {
      this.reset();
      for (const { model, version, pending } of read()) this.set({ model, version }, pending);
    },
  });
}
