import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { describe, test } from 'node:test';
import {
  availableProcessors,
  parseCfsQuota,
  parseCpuMax,
  planThreads,
  type ThreadPlan,
  type WorkerNeeds,
} from './cpu-budget.ts';

describe('the quota of a cgroup', () => {
  const rows: { text: string; processors: number | undefined }[] = [
    { text: '200000 100000\n', processors: 2 },
    { text: '50000 100000', processors: 0.5 },
    { text: '150000', processors: 1.5 },
    { text: 'max 100000\n', processors: undefined },
    { text: '', processors: undefined },
    { text: 'nonsense here', processors: undefined },
    { text: '100000 0', processors: undefined },
  ];
  for (const { text, processors } of rows) {
    test(`cpu.max ${JSON.stringify(text)} is ${processors}`, () =>
      assert.equal(parseCpuMax(text), processors));
  }

  test('of version 1 is the quota over the period, and -1 is none', () => {
    assert.equal(parseCfsQuota('400000\n', '100000\n'), 4);
    assert.equal(parseCfsQuota('-1', '100000'), undefined);
  });

  test('is read from version 2, else from version 1, else there is none', () => {
    const files = (known: Record<string, string>) => (path: string) => {
      const name = path.split('/').at(-1) ?? '';
      if (known[name] === undefined) throw new Error('ENOENT');
      return known[name];
    };
    assert.equal(availableProcessors(files({ 'cpu.max': '50000 100000' })), 0.5);
    assert.equal(
      availableProcessors(files({ 'cpu.cfs_quota_us': '50000', 'cpu.cfs_period_us': '100000' })),
      0.5,
    );
    assert.equal(availableProcessors(files({})), availableParallelism());
    assert.equal(availableProcessors(files({ 'cpu.max': '99900000 100000' })), availableParallelism());
  });
});

describe('threads', () => {
  const gpu = { onProcessors: false };
  const large = { graphBytes: 64 * 1024 ** 2 + 1 };
  const rows: { processors: number; needs: Partial<WorkerNeeds>; plan: ThreadPlan }[] = [
    {
      processors: 0.5,
      needs: {},
      plan: { workers: 1, intraOpThreads: 1, ffmpegThreads: 1, libuvThreads: 5 },
    },
    { processors: 1, needs: {}, plan: { workers: 1, intraOpThreads: 1, ffmpegThreads: 1, libuvThreads: 5 } },
    { processors: 2, needs: {}, plan: { workers: 2, intraOpThreads: 1, ffmpegThreads: 2, libuvThreads: 6 } },
    {
      processors: 2,
      needs: large,
      plan: { workers: 1, intraOpThreads: 2, ffmpegThreads: 2, libuvThreads: 5 },
    },
    { processors: 2, needs: gpu, plan: { workers: 1, intraOpThreads: 2, ffmpegThreads: 2, libuvThreads: 5 } },
    {
      processors: 3.9,
      needs: {},
      plan: { workers: 3, intraOpThreads: 1, ffmpegThreads: 3, libuvThreads: 7 },
    },
    {
      processors: 4,
      needs: large,
      plan: { workers: 2, intraOpThreads: 2, ffmpegThreads: 2, libuvThreads: 6 },
    },
    {
      processors: 64,
      needs: {},
      plan: { workers: 8, intraOpThreads: 8, ffmpegThreads: 4, libuvThreads: 12 },
    },
    {
      processors: 2,
      needs: { requestedWorkers: 4 },
      plan: { workers: 4, intraOpThreads: 1, ffmpegThreads: 2, libuvThreads: 8 },
    },
  ];
  for (const { processors, needs, plan } of rows) {
    test(`of ${processors} processors with ${JSON.stringify(needs)} never exceed them by threads of one worker`, () => {
      assert.deepEqual(planThreads(processors, { onProcessors: true, ...needs }), plan);
      assert.ok(plan.intraOpThreads <= Math.max(1, processors));
    });
  }
});
