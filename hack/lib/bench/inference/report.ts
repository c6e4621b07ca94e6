/** Measurements of the servers as tables. Pure. */
import { goalsOf, isMet } from './goals.ts';
import { medianOf } from './load.ts';
import type { Burst, Floor, OpenLoopRun, PingRun } from './scenario.ts';
import type { ServerName } from './servers.ts';

export interface Findings {
  readonly bursts: readonly Burst[];
  readonly openLoop: readonly OpenLoopRun[];
  readonly ping: readonly PingRun[];
  readonly memory: readonly {
    readonly server: ServerName;
    readonly pssMiB: number;
    readonly processes: number;
  }[];
  readonly coldStartMs: ReadonlyMap<ServerName, readonly number[]>;
  readonly floor: Floor;
  readonly clips: readonly {
    readonly title: string;
    readonly clipSeconds: number;
    readonly seconds: ReadonlyMap<string, number>;
    /** Whom the pod has to beat with this clip. */
    readonly rival: string;
  }[];
  /** p50 of a file that was judged before, ms. */
  readonly cachedMs: number;
}

/** What the others are measured by: the stack that most detectors are served with. */
const BASELINE: ServerName = 'FastAPI';

export function markdownReport(findings: Findings): string {
  const clients = [...new Set(findings.bursts.map((burst) => burst.clients))];
  const rates = [...new Set(findings.openLoop.map(({ perSecond }) => perSecond))];
  const { decodeMs, graphMs, httpMs } = findings.floor;
  return [
    ...clients.map((count) => closedLoopTable(count, findings)),
    `Bare limit: decoding ${decodeMs.toFixed(1)} ms the graph ${graphMs.toFixed(1)} ms and HTTP ${httpMs.toFixed(1)} ms of CPU for a photograph, each alone.`,
    ...rates.map((rate) => openLoopTable(rate, findings.openLoop)),
    standingTable(findings),
    ...findings.clips.map(clipTable),
    `A file whose result is known is answered in ${findings.cachedMs.toFixed(1)} ms (p50).`,
    goalTable(findings),
  ].join('\n\n');
}

/** Ratios are medians of the rounds' own ratios, with the lowest and the highest. */
function closedLoopTable(clients: number, { bursts, floor }: Findings): string {
  const ofCount = bursts.filter((burst) => burst.clients === clients);
  const baseline = new Map(
    ofCount.filter(({ server }) => server === BASELINE).map((burst) => [burst.round, burst]),
  );
  const rows = serversIn(ofCount).map((server) => {
    const own = ofCount.filter((burst) => burst.server === server);
    const ratios = own.flatMap(({ round, perSecond }) => {
      const base = baseline.get(round)?.perSecond;
      return base === undefined ? [] : [perSecond / base];
    });
    const cpu = medianOf(own.map(({ cpuMsPerRequest }) => cpuMsPerRequest));
    return [
      server,
      medianOf(own.map(({ perSecond }) => perSecond)).toFixed(1),
      spread(ratios),
      cpu.toFixed(1),
      (cpu / (floor.decodeMs + floor.graphMs + floor.httpMs)).toFixed(2),
      medianOf(own.map(({ p50Ms }) => p50Ms)).toFixed(0),
      medianOf(own.map(({ p99Ms }) => p99Ms)).toFixed(0),
      String(own.reduce((sum, { failed }) => sum + failed, 0)),
    ];
  });
  const head = [
    `${clients} ${clients === 1 ? 'client' : 'clients'}`,
    'requests/s',
    `ratio to ${BASELINE} (lowest, highest)`,
    'CPU ms/request',
    'CPU to the bare limit (FP32)',
    'p50 ms',
    'p99 ms',
    'failed',
  ];
  return table(head, rows);
}

function openLoopTable(rate: number, runs: readonly OpenLoopRun[]): string {
  const ofRate = runs.filter(({ perSecond }) => perSecond === rate);
  const rows = serversIn(ofRate).map((server) => {
    const own = ofRate.filter((run) => run.server === server);
    const median = (of: (run: OpenLoopRun) => number) => medianOf(own.map(of)).toFixed(0);
    return [
      server,
      median(({ p50Ms }) => p50Ms),
      median(({ p95Ms }) => p95Ms),
      median(({ p99Ms }) => p99Ms),
      String(own.reduce((sum, { failed }) => sum + failed, 0)),
    ];
  });
  return table([`open loop, ${rate} requests/s`, 'p50 ms', 'p95 ms', 'p99 ms', 'failed'], rows);
}

function standingTable({ ping, memory, coldStartMs }: Findings): string {
  const rows = memory.map(({ server, pssMiB, processes }) => {
    const probes = ping.filter((run) => run.server === server);
    return [
      server,
      medianOf(probes.map(({ p50Ms }) => p50Ms)).toFixed(1),
      medianOf(probes.map(({ p99Ms }) => p99Ms)).toFixed(1),
      pssMiB.toFixed(0),
      String(processes),
      (medianOf(coldStartMs.get(server) ?? []) / 1000).toFixed(2),
    ];
  });
  return table(
    [
      '',
      'probe under full load p50 ms',
      'p99 ms',
      'PSS after it all MiB',
      'processes',
      'cold start to first verdict s',
    ],
    rows,
  );
}

function clipTable({ title, clipSeconds, seconds }: Findings['clips'][number]): string {
  const rows = [...seconds].map(([name, taken]) => [
    name,
    taken.toFixed(2),
    (clipSeconds / taken).toFixed(1),
  ]);
  return table([title, 's', 'seconds of clip per second'], rows);
}

function goalTable(findings: Findings): string {
  const rows = goalsOf(findings).map((goal) => [
    goal.text,
    goal.measured.toFixed(2),
    `${goal.atMost ? '<=' : '>='} ${goal.limit}`,
    isMet(goal) ? 'yes' : 'no',
  ]);
  return table(['goal', 'measured', 'wanted', 'met'], rows);
}

function serversIn(runs: readonly { readonly server: ServerName }[]): ServerName[] {
  return [...new Set(runs.map(({ server }) => server))].sort();
}

function spread(ratios: readonly number[]): string {
  if (ratios.length === 0) return '-';
  return `${medianOf(ratios).toFixed(2)} (${Math.min(...ratios).toFixed(2)}, ${Math.max(...ratios).toFixed(2)})`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, index) => (index === 0 ? '---' : '--:'))), ...rows.map(line)].join(
    '\n',
  );
}
