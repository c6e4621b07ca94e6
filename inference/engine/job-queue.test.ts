import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { JobQueue, maxOvertakings, type Priority } from './job-queue.ts';

interface Named {
  readonly name: string;
  readonly queuedAt: number;
}

/** `i1 b1 i2`: interactive and batch jobs in the order of their arrival, one each millisecond. */
function queueOf(names: string): JobQueue<Named> {
  const queue = new JobQueue<Named>();
  const arrivals = names.split(' ').filter((name) => name !== '');
  for (const [queuedAt, name] of arrivals.entries()) {
    queue.push({ name, queuedAt }, name.startsWith('b') ? 'batch' : 'interactive');
  }
  return queue;
}

function drained(queue: JobQueue<Named>): string {
  const names: string[] = [];
  for (let job = queue.shift(); job !== undefined; job = queue.shift()) names.push(job.name);
  return names.join(' ');
}

const interactive = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => `i${from + index}`).join(' ');

describe('a queue of jobs', () => {
  const rows: { name: string; arrived: string; left: string }[] = [
    { name: 'without jobs has no next one', arrived: '', left: '' },
    { name: 'keeps the order of one priority', arrived: 'b1 b2 b3', left: 'b1 b2 b3' },
    { name: 'lets interactive jobs pass batch jobs that came before', arrived: 'b1 i1 i2', left: 'i1 i2 b1' },
    {
      name: 'starts one batch job after so many interactive ones in a row',
      arrived: `b1 b2 ${interactive(1, maxOvertakings + 2)}`,
      left: `${interactive(1, maxOvertakings)} b1 ${interactive(maxOvertakings + 1, maxOvertakings + 2)} b2`,
    },
  ];
  for (const { name, arrived, left } of rows) {
    test(name, () => assert.equal(drained(queueOf(arrived)), left));
  }

  test('counts only interactive jobs that passed a batch job', () => {
    const queue = queueOf(interactive(1, maxOvertakings));
    drained(queue);
    queue.push({ name: 'b1', queuedAt: 0 }, 'batch');
    queue.push({ name: 'i9', queuedAt: 0 }, 'interactive');
    assert.equal(drained(queue), 'i9 b1');
  });

  test('says how many wait and for how long, by priority', () => {
    assert.deepEqual(queueOf('i1 b1 b2').waiting(10), {
      interactive: { queued: 1, oldestQueuedMs: 10 },
      batch: { queued: 2, oldestQueuedMs: 9 },
    });
    assert.deepEqual(queueOf('').waiting(10), {
      interactive: { queued: 0, oldestQueuedMs: 0 },
      batch: { queued: 0, oldestQueuedMs: 0 },
    });
  });

  test('forgets a job that is removed, once', () => {
    const queue = new JobQueue<Named>();
    const [gone, stays] = ['b1', 'b2'].map((name) => ({ name, queuedAt: 0 }));
    assert.ok(gone && stays);
    for (const job of [gone, stays]) queue.push(job, 'batch');
    queue.remove(gone);
    queue.remove(gone);
    assert.equal(queue.length, 1);
    assert.deepEqual(queue.clear(), [stays]);
    assert.equal(queue.length, 0);
  });

  test('loses nothing, and no batch job waits for more than its turns, whatever comes', () => {
    const step = fc.oneof(fc.constantFrom<Priority>('interactive', 'batch'), fc.constant('shift' as const));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const queue = new JobQueue<Named & { readonly priority: Priority }>();
        const waiting: Record<Priority, string[]> = { interactive: [], batch: [] };
        let passed = 0;
        for (const [index, action] of steps.entries()) {
          if (action !== 'shift') {
            queue.push({ name: `${index}`, queuedAt: index, priority: action }, action);
            waiting[action].push(`${index}`);
            continue;
          }
          const batchWaits = waiting.batch.length > 0;
          const job = queue.shift();
          if (job === undefined) assert.equal(waiting.interactive.length + waiting.batch.length, 0);
          else assert.equal(job.name, waiting[job.priority].shift());
          passed = job?.priority === 'interactive' && batchWaits ? passed + 1 : 0;
          assert.ok(passed <= maxOvertakings);
        }
        assert.equal(queue.length, waiting.interactive.length + waiting.batch.length);
      }),
    );
  });
});
