/** What the pod is meant to reach, and whether it did. Pure. */
import { medianOf } from './load.ts';
import type { Findings } from './report.ts';
import type { Burst } from './scenario.ts';
import type { ServerName } from './servers.ts';

export interface Goal {
  readonly text: string;
  /** Medians of the rounds' own ratios, or a median; NaN where it was not measured. */
  readonly measured: number;
  readonly limit: number;
  readonly atMost: boolean;
}

export function isMet({ measured, limit, atMost }: Goal): boolean {
  return atMost ? measured <= limit : measured >= limit;
}

const BUSY = [8, 32];
const PYTHON: readonly ServerName[] = [
  'FastAPI',
  'FastAPI, tuned',
  'FastAPI, tuned, INT8',
  'LitServe',
  'MLServer',
];

export function goalsOf(findings: Findings): Goal[] {
  return [...throughput(findings), ...tails(findings), ...standing(findings), ...clips(findings)];
}

function throughput({ bursts, floor }: Findings): Goal[] {
  const perSecond = (burst: Burst) => burst.perSecond;
  const atLeast = (subject: ServerName, peer: ServerName, clients: number, limit: number) =>
    goal(
      `${subject}: throughput to ${peer}, ${clientsText(clients)}`,
      ratio(bursts, subject, peer, clients, perSecond),
      limit,
    );
  const counts = [...new Set(bursts.map(({ clients }) => clients))];
  return [
    ...BUSY.flatMap((clients) => [
      atLeast('pod', 'FastAPI', clients, 1.6),
      atLeast('pod', 'FastAPI, tuned', clients, 1.1),
      atLeast('pod, INT8', 'FastAPI', clients, 2),
      atLeast('pod, INT8', 'FastAPI, tuned', clients, 1.3),
    ]),
    ...counts.flatMap((clients) => [
      atLeast('pod', 'LitServe', clients, 1),
      atLeast('pod', 'MLServer', clients, 1),
    ]),
    ...BUSY.map((clients) => {
      const own = bursts.filter((burst) => burst.server === 'pod' && burst.clients === clients);
      const bare = floor.decodeMs + floor.graphMs + floor.httpMs;
      const measured = medianOf(own.map(({ cpuMsPerRequest }) => cpuMsPerRequest)) / bare;
      return atMost(`pod: CPU of a request to the bare limit, ${clientsText(clients)}`, measured, 1.2);
    }),
  ];
}

function tails({ bursts, ping }: Findings): Goal[] {
  const probeOf = (server: ServerName) =>
    medianOf(ping.filter((run) => run.server === server).map(({ p99Ms }) => p99Ms));
  const bestPeer = Math.min(...PYTHON.map(probeOf).filter((p99) => !Number.isNaN(p99)));
  return [
    ...BUSY.map((clients) =>
      atMost(
        `pod: p99 to FastAPI, ${clientsText(clients)}`,
        ratio(bursts, 'pod', 'FastAPI', clients, ({ p99Ms }) => p99Ms),
        0.6,
      ),
    ),
    atMost("pod: p99 of a probe under full load to the best peer's", probeOf('pod') / bestPeer, 1),
  ];
}

function standing({ memory, coldStartMs, cachedMs }: Findings): Goal[] {
  const coldStart = (server: ServerName) => medianOf(coldStartMs.get(server) ?? []);
  return [
    atMost('pod: PSS, MiB', memory.find(({ server }) => server === 'pod')?.pssMiB ?? Number.NaN, 250),
    atMost('pod: cold start to the first verdict, s', coldStart('pod') / 1000, 1),
    atMost('pod: cold start to FastAPI', coldStart('pod') / coldStart('FastAPI'), 0.6),
    atMost('pod: a file whose result is known, p50 ms', cachedMs, 5),
  ];
}

/** A table names the peer that its clip is a question for: reading on through a short one, seeking in a long one. */
function clips({ clips: tables }: Findings): Goal[] {
  return tables.flatMap(({ title, seconds, rival }) => {
    const [own, peer] = [seconds.get('pod'), seconds.get(rival)];
    return own === undefined || peer === undefined
      ? []
      : [atMost(`pod: ${title}, time to ${rival}`, own / peer, 1)];
  });
}

function ratio(
  bursts: readonly Burst[],
  subject: ServerName,
  peer: ServerName,
  clients: number,
  of: (burst: Burst) => number,
): number {
  const ofCount = bursts.filter((burst) => burst.clients === clients);
  const peers = new Map(
    ofCount.filter(({ server }) => server === peer).map((burst) => [burst.round, of(burst)]),
  );
  return medianOf(
    ofCount
      .filter(({ server, round }) => server === subject && peers.has(round))
      .map((burst) => of(burst) / (peers.get(burst.round) ?? Number.NaN)),
  );
}

const goal = (text: string, measured: number, limit: number): Goal => ({
  text,
  measured,
  limit,
  atMost: false,
});
const atMost = (text: string, measured: number, limit: number): Goal => ({
  text,
  measured,
  limit,
  atMost: true,
});
const clientsText = (count: number) => (count === 1 ? '1 client' : `${count} clients`);
