import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { goalsOf, isMet } from './goals.ts';
import type { Findings } from './report.ts';
import type { Burst } from './scenario.ts';

const burst = (server: Burst['server'], overrides: Partial<Burst> = {}): Burst => ({
  server,
  clients: 8,
  round: 0,
  perSecond: 10,
  cpuMsPerRequest: 30,
  p50Ms: 100,
  p99Ms: 200,
  failed: 0,
  ...overrides,
});
const findings = (overrides: Partial<Findings> = {}): Findings => ({
  bursts: [],
  openLoop: [],
  ping: [],
  memory: [],
  coldStartMs: new Map(),
  floor: { decodeMs: 12, graphMs: 11, httpMs: 2 },
  clips: [],
  cachedMs: 2,
  ...overrides,
});

function goal(text: string, found: Findings) {
  const goals = goalsOf(found).filter((candidate) => candidate.text === text);
  assert.equal(goals.length, 1, text);
  return goals[0] as (typeof goals)[0];
}

describe('a goal of the bench', () => {
  it('compares bursts of the same round only, by the median of their ratios', () => {
    const bursts = [16, 30, 12].map((perSecond, round) => burst('pod', { round, perSecond }));
    const peers = [10, 10, 10].map((perSecond, round) => burst('FastAPI', { round, perSecond }));
    const found = findings({ bursts: [...bursts, ...peers.slice(0, 2), burst('FastAPI', { round: 7 })] });
    const reached = goal('pod: throughput to FastAPI, 8 clients', found);
    assert.deepEqual([reached.measured, isMet(reached)], [1.6, true]);
  });

  it('is not met where nothing was measured', () => {
    for (const unmeasured of goalsOf(findings({ cachedMs: Number.NaN })))
      assert.equal(isMet(unmeasured), false, unmeasured.text);
  });

  it('holds the probe against the best peer', () => {
    const run = (server: Burst['server'], p99Ms: number) => ({ server, round: 0, p50Ms: 1, p99Ms });
    const found = findings({ ping: [run('pod', 30), run('FastAPI', 60), run('LitServe', 20)] });
    const missed = goal("pod: p99 of a probe under full load to the best peer's", found);
    assert.deepEqual([missed.measured, isMet(missed)], [1.5, false]);
  });

  it('holds the CPU of a request against decoding, graph and HTTP together', () => {
    const found = findings({ bursts: [burst('pod', { cpuMsPerRequest: 30 })] });
    const reached = goal('pod: CPU of a request to the bare limit, 8 clients', found);
    assert.deepEqual([reached.measured, isMet(reached)], [1.2, true]);
  });

  it('asks of a clip to be faster than its rival', () => {
    const seconds = new Map([
      ['pod', 1.1],
      ['FastAPI, OpenCV', 1],
      ['FastAPI, PyAV', 9],
    ]);
    const found = findings({
      clips: [{ title: 'clip', clipSeconds: 10, rival: 'FastAPI, OpenCV', seconds }],
    });
    assert.equal(isMet(goal('pod: clip, time to FastAPI, OpenCV', found)), false);
  });
});
