/** Requests at a server: as fast as so many clients can, or at a fixed rate whatever the server does. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';

export interface PreparedRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | null;
}

export interface LoadResult {
  readonly requests: number;
  /** Answers that were not 200, and connections that broke. */
  readonly failed: number;
  readonly seconds: number;
  /** One of each request, ms, ascending. */
  readonly latenciesMs: readonly number[];
}

/** Sends `count` requests, `clients` at a time, in turn from the list. */
export async function closedLoop(
  url: string,
  requests: readonly PreparedRequest[],
  { clients, count }: { readonly clients: number; readonly count: number },
): Promise<LoadResult> {
  const pool = new Pool(url, { connections: clients, pipelining: 1 });
  let next = 0;
  const recorder = new Recorder();
  const client = async () => {
    while (next < count) {
      const request = requests[next++ % requests.length];
      if (request !== undefined) await recorder.time(performance.now(), send(pool, request));
    }
  };
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: clients }, client));
  const result = recorder.result((performance.now() - startedAt) / 1000);
  await pool.close();
  return result;
}

/**
 * Sends a request every `1 / perSecond` seconds. Latency counts from the moment at which a request was due, so that a server that stalls
 * does not slow its own measurement (no coordinated omission).
 */
export async function openLoop(
  url: string,
  requests: readonly PreparedRequest[],
  { perSecond, seconds }: { readonly perSecond: number; readonly seconds: number },
): Promise<LoadResult> {
  const pool = new Pool(url, { connections: 256, pipelining: 1 });
  const recorder = new Recorder();
  const startedAt = performance.now();
  const count = Math.round(perSecond * seconds);
  const underWay: Promise<void>[] = [];
  for (let index = 0; index < count; index += 1) {
    const dueAt = startedAt + (index * 1000) / perSecond;
    await sleep(Math.max(0, dueAt - performance.now()));
    const request = requests[index % requests.length];
    if (request !== undefined) underWay.push(recorder.time(dueAt, send(pool, request)));
  }
  await Promise.all(underWay);
  const result = recorder.result((performance.now() - startedAt) / 1000);
  await pool.close();
  return result;
}

class Recorder {
  readonly #latenciesMs: number[] = [];
  #failed = 0;

  async time(from: number, answered: Promise<boolean>): Promise<void> {
    if (!(await answered)) this.#failed += 1;
    this.#latenciesMs.push(performance.now() - from);
  }

  result(seconds: number): LoadResult {
    const latenciesMs = this.#latenciesMs.sort((a, b) => a - b);
    return { requests: latenciesMs.length, failed: this.#failed, seconds, latenciesMs };
  }
}

async function send(pool: Pool, { method, path, headers, body }: PreparedRequest): Promise<boolean> {
  try {
    const { statusCode, body: answer } = await pool.request({
      method,
      path,
      headers,
      body,
      headersTimeout: 120_000,
      bodyTimeout: 120_000,
    });
    await answer.dump();
    return statusCode === 200;
  } catch {
    return false;
  }
}

/** The smallest value that at least the share `quantile` of `ascending` does not exceed; NaN of nothing. */
export function quantileOf(ascending: readonly number[], quantile: number): number {
  return ascending[Math.max(0, Math.ceil(ascending.length * quantile) - 1)] ?? Number.NaN;
}

export function medianOf(values: readonly number[]): number {
  return quantileOf(
    [...values].sort((a, b) => a - b),
    0.5,
  );
}
