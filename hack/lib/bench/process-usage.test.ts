import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMachineCpu, parseUsage, usageOf } from './process-usage.ts';

test('time and memory are read past a name with spaces and parentheses', () => {
  const stat = '42 (a (b) c) S 1 42 42 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 1 0 100 1000 10';
  const status = 'Name:\ta\nVmHWM:\t  204800 kB\nVmRSS:\t  102400 kB\n';
  assert.deepEqual(parseUsage(stat, status), { rssMiB: 100, peakRssMiB: 200, cpuSeconds: 2 });
});

test('this process uses about what Node.js says that it uses', () => {
  const { rssMiB, cpuSeconds } = usageOf(process.pid);
  const said = process.memoryUsage.rss() / 1024 ** 2;
  assert.ok(Math.abs(rssMiB - said) < said / 2, `${rssMiB} and ${said} MiB`);
  assert.ok(cpuSeconds > 0);
});

test('the machine was busy but while it idled or waited for disks', () => {
  assert.equal(parseMachineCpu('cpu  100 20 30 4000 500 6 7 0 0 0\ncpu0 1 2 3 4 5 6 7 0 0 0\n'), 1.63);
});
