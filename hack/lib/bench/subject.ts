/** The two programs that are compared, each as a process of its own that this machine's kernel accounts for. */
import { join } from 'node:path';
import { freePorts } from '../free-ports.ts';
import { REPOSITORY } from '../paths.ts';
import {
  type DaemonRecord,
  type DaemonSpec,
  isRunning,
  logTail,
  startDaemon,
  stopDaemon,
} from '../process.ts';
import { eventually } from '../waiting.ts';
import { parseMetrics, type Sample, sumOf } from './metrics-text.ts';
import { type Usage, usageOf } from './process-usage.ts';
import { NAMESPACE_NAME } from './workload.ts';

export const SUBJECTS = ['operator', 'reference'] as const;
export type SubjectName = (typeof SUBJECTS)[number];

export interface SubjectOptions {
  readonly name: SubjectName;
  readonly kubeconfig: string;
  /** Receives the record and the log. */
  readonly directory: string;
  /** The reference alone needs these. */
  readonly reference?: { readonly programs: string; readonly childrenFile: string };
}

const IMAGE = 'registry.invalid/inference:bench';
const START_MS = 60_000;

/** The heap, MiB, that Node.js gives itself in a pod with the chart's memory limit of 512Mi: this machine would allow more. */
const POD_HEAP = ['--max-old-space-size=256', '--max-semi-space-size=1'];

export class Subject {
  readonly #record: DaemonRecord;
  readonly #directory: string;
  readonly #metricsUrl: string;
  readonly #readyUrl: string;
  readonly startedAt: number;

  private constructor(record: DaemonRecord, directory: string, ports: Ports, startedAt: number) {
    this.#record = record;
    this.#directory = directory;
    this.#metricsUrl = `http://127.0.0.1:${ports.metrics}/metrics`;
    this.#readyUrl = `http://127.0.0.1:${ports.health}/readyz`;
    this.startedAt = startedAt;
  }

  /** Starts the program; it is not ready yet. */
  static async start(options: SubjectOptions): Promise<Subject> {
    const [metrics = 0, other = 0] = await freePorts(2);
    const ports = { metrics, health: options.name === 'operator' ? metrics : other };
    const startedAt = performance.now();
    const record = await startDaemon(options.directory, specOf(options, ports));
    return new Subject(record, options.directory, ports, startedAt);
  }

  /** Returns how long it took since the start, ms. */
  async untilReady(): Promise<number> {
    const ready = async () => (await fetch(this.#readyUrl)).ok;
    return this.#until('ready', ready, START_MS, 10);
  }

  /** Until every one of `count` ModelDeployments was worked at least once and none waits; ms since the start. */
  async untilWorked(count: number): Promise<number> {
    const worked = async () => {
      const samples = await this.metrics();
      const passes = sumOf(samples, 'controller_runtime_reconcile_total', { controller: 'modeldeployment' });
      return passes >= count && sumOf(samples, 'workqueue_depth') === 0;
    };
    return this.#until(`done with ${count} objects`, worked, START_MS + count * 100, 50);
  }

  async #until(what: string, holds: () => Promise<boolean>, timeoutMs: number, pollMs: number) {
    const probe = async () => (isRunning(this.#record) ? (await holds()) && 'holds' : 'ended');
    const outcome = await eventually(`${this.#record.name} is ${what}`, probe, timeoutMs, pollMs);
    if (outcome === 'ended') throw this.#ended();
    return performance.now() - this.startedAt;
  }

  #ended(): Error {
    return new Error(`${this.#record.name} ended; ${this.#record.logFile} says:\n${logTail(this.#record)}`);
  }

  async metrics(): Promise<Sample[]> {
    return parseMetrics(await (await fetch(this.#metricsUrl)).text());
  }

  usage(): Usage {
    if (!isRunning(this.#record)) throw this.#ended();
    return usageOf(this.#record.pid);
  }

  /** Asks it to end, as a rolling update does. */
  async stop(): Promise<void> {
    await stopDaemon(this.#directory, this.#record, 25_000);
  }
}

interface Ports {
  readonly metrics: number;
  readonly health: number;
}

function specOf({ name, kubeconfig, reference }: SubjectOptions, ports: Ports): DaemonSpec {
  const common = { name, outlivesCaller: false };
  if (name === 'operator') {
    return {
      ...common,
      command: process.execPath,
      args: [...POD_HEAP, join(REPOSITORY, 'operator/main.ts')],
      env: {
        PATH: process.env['PATH'],
        KUBECONFIG: kubeconfig,
        INFERENCE_IMAGE: IMAGE,
        INFERENCE_IMAGE_CUDA: `${IMAGE}-cuda`,
        POD_NAMESPACE: NAMESPACE_NAME,
        METRICS_PORT: String(ports.metrics),
        // As in its image.
        NODE_ENV: 'production',
      },
    };
  }
  if (!reference) throw new Error('the reference needs its program and the templates of children');
  const args = [
    `--kubeconfig=${kubeconfig}`,
    `--children=${reference.childrenFile}`,
    `--metrics=127.0.0.1:${ports.metrics}`,
    `--health=127.0.0.1:${ports.health}`,
    `--lease-namespace=${NAMESPACE_NAME}`,
  ];
  return { ...common, command: join(reference.programs, 'reference'), args };
}
