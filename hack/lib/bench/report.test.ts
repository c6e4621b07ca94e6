import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countRequests } from './audit.ts';
import { markdownReport } from './report.ts';
import type { Measurement } from './scenario.ts';
import type { SubjectName } from './subject.ts';

const MACHINE = { cores: 2, processor: 'some', memoryGiB: 24, node: 'v24.0.0', loadAverage: 0.5 };
const none = countRequests('');

function measurement(subject: SubjectName, size: number, availableMs: number): Measurement {
  return {
    subject,
    size,
    modelsReadyMs: 1,
    creation: {
      submittedMs: 1,
      availableMs,
      requests: none,
      passes: 2 * size,
      reconcileP50Ms: undefined,
      reconcileP99Ms: undefined,
      cpuSeconds: 1,
      clusterCpuSeconds: 1,
      othersShare: 0,
    },
    steady: { seconds: 60, requests: none, passes: 0, cpuSeconds: 0, rssMiB: 1 },
    drift: { repairs: 1, p50Ms: 1, p99Ms: 1, requests: none },
    restart: { readyMs: 1, syncedMs: 1, cpuSeconds: 1, requests: none },
    peakRssMiB: 1,
    children: {},
  };
}

const MEASURED = [
  measurement('operator', 100, 3_000),
  measurement('reference', 100, 2_000),
  measurement('operator', 500, 12_000),
  measurement('reference', 500, 10_000),
];

const rowsOf = (report: string, name: string) =>
  report.split('\n').filter((row) => row.startsWith(`| ${name} `));

test('a row compares both at every size, and another says how each grows', () => {
  assert.deepEqual(rowsOf(markdownReport(MACHINE, MEASURED), 'time until all are Available, s'), [
    '| time until all are Available, s | 3.0 | 2.0 | 1.50 | 12.0 | 10.0 | 1.20 |',
    '| time until all are Available, s | 4.00 | 5.00 |',
  ]);
});

test('what was not measured, and a ratio to nothing, is a dash', () => {
  const report = markdownReport(MACHINE, MEASURED);
  assert.equal(rowsOf(report, 'reconcile p50, ms')[0], '| reconcile p50, ms | - | - | - | - | - | - |');
  assert.equal(rowsOf(report, 'at rest: requests per minute')[1], '| at rest: requests per minute | - | - |');
});

test('one size alone has no growth', () => {
  assert.doesNotMatch(markdownReport(MACHINE, MEASURED.slice(0, 2)), /Growth/);
});
