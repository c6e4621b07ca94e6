/** Puts measurements into tables. Pure but for `machineOf`. */
import { cpus, loadavg, totalmem } from 'node:os';
import type { Measurement } from './scenario.ts';

export interface Machine {
  readonly cores: number;
  readonly processor: string;
  readonly memoryGiB: number;
  readonly node: string;
  readonly loadAverage: number;
}

export function machineOf(): Machine {
  return {
    cores: cpus().length,
    processor: cpus()[0]?.model ?? 'unknown',
    memoryGiB: Math.round(totalmem() / 1024 ** 3),
    node: process.version,
    loadAverage: loadavg()[0] ?? 0,
  };
}

interface Row {
  readonly name: string;
  readonly value: (measured: Measurement) => number | undefined;
  readonly digits: number;
}

const ROWS: readonly Row[] = [
  {
    name: 'time until all are Available, s',
    value: ({ creation }) => creation.availableMs / 1000,
    digits: 1,
  },
  { name: 'of which submitting them, s', value: ({ creation }) => creation.submittedMs / 1000, digits: 1 },
  { name: 'reconcile p50, ms', value: ({ creation }) => creation.reconcileP50Ms, digits: 1 },
  { name: 'reconcile p99, ms', value: ({ creation }) => creation.reconcileP99Ms, digits: 1 },
  { name: 'passes per object', value: ({ creation, size }) => creation.passes / size, digits: 1 },
  { name: 'requests per object', value: ({ creation, size }) => creation.requests.total / size, digits: 2 },
  { name: 'of which writes', value: ({ creation, size }) => creation.requests.writes / size, digits: 2 },
  { name: 'of which Events', value: ({ creation, size }) => creation.requests.events / size, digits: 2 },
  { name: 'of which refused', value: ({ creation, size }) => creation.requests.refused / size, digits: 2 },
  { name: 'CPU for it, s', value: ({ creation }) => creation.cpuSeconds, digits: 1 },
  {
    name: 'CPU of the control plane and kwok for it, s',
    value: ({ creation }) => creation.clusterCpuSeconds,
    digits: 1,
  },
  {
    name: 'CPU taken by other programs meanwhile, %',
    value: ({ creation }) => creation.othersShare * 100,
    digits: 0,
  },
  {
    name: 'at rest: requests per minute',
    value: ({ steady }) => (steady.requests.total * 60) / steady.seconds,
    digits: 1,
  },
  {
    name: 'at rest: writes per minute',
    value: ({ steady }) => ((steady.requests.writes + steady.requests.events) * 60) / steady.seconds,
    digits: 1,
  },
  {
    name: 'at rest: passes per minute',
    value: ({ steady }) => (steady.passes * 60) / steady.seconds,
    digits: 1,
  },
  {
    name: 'at rest: CPU, ms/s',
    value: ({ steady }) => (steady.cpuSeconds * 1000) / steady.seconds,
    digits: 1,
  },
  { name: 'drift repair p50, ms', value: ({ drift }) => drift.p50Ms, digits: 0 },
  { name: 'drift repair p99, ms', value: ({ drift }) => drift.p99Ms, digits: 0 },
  {
    name: 'requests per repair',
    value: ({ drift }) => drift.requests.total / drift.repairs,
    digits: 2,
  },
  { name: 'RSS at rest, MiB', value: ({ steady }) => steady.rssMiB, digits: 0 },
  { name: 'RSS at most, MiB', value: ({ peakRssMiB }) => peakRssMiB, digits: 0 },
  { name: 'restart: ready, s', value: ({ restart }) => restart.readyMs / 1000, digits: 2 },
  { name: 'restart: every object looked at, s', value: ({ restart }) => restart.syncedMs / 1000, digits: 2 },
  { name: 'restart: CPU, s', value: ({ restart }) => restart.cpuSeconds, digits: 1 },
  { name: 'restart: requests', value: ({ restart }) => restart.requests.total, digits: 0 },
  {
    name: 'restart: writes',
    value: ({ restart }) => restart.requests.writes + restart.requests.events,
    digits: 0,
  },
];

/** The figures of each size side by side, and how the operator's grow from size to size. */
export function markdownReport(machine: Machine, measurements: readonly Measurement[]): string {
  const sizes = [...new Set(measurements.map(({ size }) => size))];
  return [
    `${machine.cores} cores (${machine.processor}), ${machine.memoryGiB} GiB, Node.js ${machine.node}, load average ${machine.loadAverage.toFixed(1)} at the start.`,
    comparison(sizes, measurements),
    ...(sizes.length > 1 ? ['Growth, each size against the one before:', growth(sizes, measurements)] : []),
  ].join('\n\n');
}

function comparison(sizes: readonly number[], measurements: readonly Measurement[]): string {
  const head = sizes.flatMap((size) => [`${size}: operator`, 'reference', 'ratio']);
  const rows = ROWS.map((row) => [
    row.name,
    ...sizes.flatMap((size) => {
      const [ours, theirs] = pairOf(size, measurements).map((found) => found && row.value(found));
      return [shown(ours, row.digits), shown(theirs, row.digits), ratio(ours, theirs)];
    }),
  ]);
  return table(['', ...head], rows);
}

function growth(sizes: readonly number[], measurements: readonly Measurement[]): string {
  const steps = sizes.slice(1).map((size, index) => [sizes[index] ?? 0, size] as const);
  const head = steps.flatMap(([from, to]) => [
    `${from} → ${to} (× ${ratioText(to, from)}): operator`,
    'reference',
  ]);
  const rows = ROWS.map((row) => [
    row.name,
    ...steps.flatMap(([from, to]) => {
      const before = pairOf(from, measurements);
      return pairOf(to, measurements).map((after, index) => {
        const earlier = before[index];
        return ratio(after && row.value(after), earlier && row.value(earlier));
      });
    }),
  ]);
  return table(['', ...head], rows);
}

const pairOf = (size: number, measurements: readonly Measurement[]) =>
  (['operator', 'reference'] as const).map((subject) =>
    measurements.find((measured) => measured.size === size && measured.subject === subject),
  );

const shown = (value: number | undefined, digits: number) => value?.toFixed(digits) ?? '-';

const ratioText = (value: number, base: number) => (value / base).toFixed(value / base < 10 ? 2 : 0);

/** There is none to nothing. */
const ratio = (value: number | undefined, base: number | undefined) =>
  value === undefined || base === undefined || base === 0 ? '-' : ratioText(value, base);

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, index) => (index === 0 ? '---' : '--:'))), ...rows.map(line)].join(
    '\n',
  );
}
