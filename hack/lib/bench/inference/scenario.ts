/** What is done to the servers, and what is written down. All servers stay up; bursts go round them, so that every ratio is of neighbours. */
import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Report } from '../../steps.ts';
import { closedLoop, type LoadResult, medianOf, openLoop, type PreparedRequest, quantileOf } from './load.ts';
import { processTree, usageOfTree } from './process-tree.ts';
import { bareHttp, type RunningPeer, type Server, type ServerName, startServer } from './servers.ts';
import type { Media } from './setup.ts';

const execute = promisify(execFile);

export interface Burst {
  readonly server: ServerName;
  readonly clients: number;
  readonly round: number;
  readonly perSecond: number;
  /** CPU of the server's processes, ms. */
  readonly cpuMsPerRequest: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly failed: number;
}

export interface OpenLoopRun {
  readonly server: ServerName;
  readonly perSecond: number;
  readonly round: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly failed: number;
}

export interface PingRun {
  readonly server: ServerName;
  readonly round: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface Settings {
  readonly rounds: number;
  readonly clients: readonly number[];
  readonly requestsPerBurst: number;
  readonly openLoopSeconds: number;
  readonly coldStarts: number;
}

export async function withServers<T>(
  servers: readonly Server[],
  work: string,
  use: (running: readonly RunningPeer[]) => Promise<T>,
): Promise<T> {
  const running: RunningPeer[] = [];
  try {
    for (const server of servers) running.push(await startServer(server, work));
    return await use(running);
  } finally {
    await Promise.all(running.map((server) => server.stop()));
  }
}

/** Large and small photographs in turn. */
function mixOf(server: RunningPeer, { large, small }: Media) {
  return large.flatMap((photograph, index) =>
    [photograph, small[index]].flatMap((medium) => (medium === undefined ? [] : [server.ask(medium)])),
  );
}

export async function measureBursts(
  running: readonly RunningPeer[],
  media: Media,
  { rounds, clients, requestsPerBurst }: Settings,
  say: Report,
): Promise<Burst[]> {
  const bursts: Burst[] = [];
  for (const server of running)
    await closedLoop(server.url, mixOf(server, media), { clients: 4, count: 2 * media.large.length });
  for (const concurrency of clients) {
    for (let round = 0; round < rounds; round += 1) {
      for (const server of rotated(running, round))
        bursts.push(await burst(server, media, concurrency, round, requestsPerBurst));
      say(`closed loop, ${concurrency} clients: round ${round + 1} of ${rounds}`);
    }
  }
  return bursts;
}

async function burst(
  server: RunningPeer,
  media: Media,
  clients: number,
  round: number,
  count: number,
): Promise<Burst> {
  const before = usageOfTree(server.pid).cpuSeconds;
  const load = await closedLoop(server.url, mixOf(server, media), { clients, count });
  const cpuSeconds = usageOfTree(server.pid).cpuSeconds - before;
  return {
    server: server.name,
    clients,
    round,
    perSecond: load.requests / load.seconds,
    cpuMsPerRequest: (cpuSeconds * 1000) / load.requests,
    p50Ms: quantileOf(load.latenciesMs, 0.5),
    p99Ms: quantileOf(load.latenciesMs, 0.99),
    failed: load.failed,
  };
}

/** Each round begins with another server, so that no place in the row is an advantage. */
export function rotated<T>(items: readonly T[], by: number): T[] {
  const from = by % items.length;
  return [...items.slice(from), ...items.slice(0, from)];
}

export async function measureOpenLoop(
  running: readonly RunningPeer[],
  media: Media,
  rates: readonly number[],
  { rounds, openLoopSeconds }: Settings,
  say: Report,
): Promise<OpenLoopRun[]> {
  const runs: OpenLoopRun[] = [];
  for (const perSecond of rates) {
    for (let round = 0; round < rounds; round += 1) {
      for (const server of rotated(running, round)) {
        const load = await openLoop(server.url, mixOf(server, media), {
          perSecond,
          seconds: openLoopSeconds,
        });
        runs.push({ server: server.name, perSecond, round, failed: load.failed, ...tailOf(load) });
      }
      say(`open loop, ${perSecond} per second: round ${round + 1} of ${rounds}`);
    }
  }
  return runs;
}

function tailOf({ latenciesMs }: LoadResult) {
  return {
    p50Ms: quantileOf(latenciesMs, 0.5),
    p95Ms: quantileOf(latenciesMs, 0.95),
    p99Ms: quantileOf(latenciesMs, 0.99),
  };
}

/** What a probe sees of a server that has as much to do as it can. */
export async function measurePing(
  running: readonly RunningPeer[],
  media: Media,
  { rounds, requestsPerBurst }: Settings,
  say: Report,
): Promise<PingRun[]> {
  const runs: PingRun[] = [];
  const ping = (path: string) => [{ method: 'GET', path, headers: {}, body: null }] as const;
  for (let round = 0; round < rounds; round += 1) {
    for (const server of rotated(running, round)) {
      let loaded = true;
      const load = closedLoop(server.url, mixOf(server, media), {
        clients: 16,
        count: 2 * requestsPerBurst,
      }).finally(() => {
        loaded = false;
      });
      const latenciesMs: number[] = [];
      while (loaded)
        latenciesMs.push(
          ...(await openLoop(server.url, ping(server.pingPath), { perSecond: 50, seconds: 0.2 })).latenciesMs,
        );
      await load;
      latenciesMs.sort((a, b) => a - b);
      runs.push({
        server: server.name,
        round,
        p50Ms: quantileOf(latenciesMs, 0.5),
        p99Ms: quantileOf(latenciesMs, 0.99),
      });
    }
    say(`probe under full load: round ${round + 1} of ${rounds}`);
  }
  return runs;
}

/** From the start of the process to the first verdict, ms, for each try. */
export async function measureColdStart(
  servers: readonly Server[],
  media: Media,
  work: string,
  { coldStarts }: Settings,
  say: Report,
): Promise<Map<ServerName, number[]>> {
  const found = new Map<ServerName, number[]>(servers.map(({ name }) => [name, []]));
  for (let round = 0; round < coldStarts; round += 1) {
    for (const server of rotated(servers, round)) {
      const startedAt = performance.now();
      const running = await startServer(server, work);
      try {
        const first = media.small[0];
        if (first === undefined) throw new Error('there is no photograph');
        const { failed } = await closedLoop(running.url, [running.ask(first)], { clients: 1, count: 1 });
        if (failed > 0) throw new Error(`${server.name} did not answer its first request`);
        found.get(server.name)?.push(performance.now() - startedAt);
      } finally {
        await running.stop();
      }
    }
    say(`cold start: round ${round + 1} of ${coldStarts}`);
  }
  return found;
}

export function memoryOf(
  running: readonly RunningPeer[],
): { server: ServerName; pssMiB: number; processes: number }[] {
  return running.map(({ name, pid }) => ({
    server: name,
    pssMiB: usageOfTree(pid).pssMiB,
    processes: processTree(pid).length,
  }));
}

/** CPU of one request's decoding, graph and HTTP, each alone, ms. */
export interface Floor {
  readonly decodeMs: number;
  readonly graphMs: number;
  readonly httpMs: number;
}

export async function measureFloor(
  graph: string,
  photographs: string,
  media: Media,
  work: string,
): Promise<Floor> {
  const names = (await readdir(photographs)).filter((name) => name.endsWith('.jpg'));
  const { stdout } = await execute(process.execPath, [
    join(import.meta.dirname, 'floor.ts'),
    graph,
    ...names.map((name) => join(photographs, name)),
  ]);
  const httpMs = await withServers([bareHttp()], work, async ([server]) => {
    if (server === undefined) throw new Error('there is no server');
    const warm = await burst(server, media, FLOOR_CLIENTS, 0, FLOOR_REQUESTS);
    if (warm.failed > 0) throw new Error('the bare server failed');
    return (await burst(server, media, FLOOR_CLIENTS, 1, FLOOR_REQUESTS)).cpuMsPerRequest;
  });
  return { ...(JSON.parse(stdout) as Omit<Floor, 'httpMs'>), httpMs };
}

const FLOOR_CLIENTS = 8;
const FLOOR_REQUESTS = 480;

/** A repeated photograph at a pod that keeps results, one client: p50, ms. */
export async function measureCached(server: RunningPeer, { large }: Media): Promise<number> {
  const [photograph] = large;
  if (photograph === undefined) throw new Error('there is no photograph');
  const load = await closedLoop(server.url, [server.ask(photograph)], { clients: 1, count: 101 });
  if (load.failed > 0) throw new Error('the pod did not answer a photograph that it had judged');
  return quantileOf(load.latenciesMs, 0.5);
}

/** Seconds for one clip, first upload byte to answer, one client; the median of the rounds. */
export async function measureClips(
  running: readonly { readonly name: string; readonly url: string; readonly request: PreparedRequest }[],
  rounds: number,
  say: Report,
): Promise<Map<string, number>> {
  const taken = new Map<string, number[]>(running.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const { name, url, request } of rotated(running, round)) {
      const load = await closedLoop(url, [request], { clients: 1, count: 1 });
      if (load.failed > 0) throw new Error(`${name} did not answer for the clip`);
      taken.get(name)?.push(load.seconds);
    }
    say(`clips: round ${round + 1} of ${rounds}`);
  }
  return new Map([...taken].map(([name, seconds]) => [name, medianOf(seconds)]));
}
