import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { FakeClock } from './fake-clock.ts';
import { WorkQueue } from './workqueue.ts';

function start() {
  const clock = new FakeClock();
  const queue = new WorkQueue({ clock, random: () => 1, backoff: { baseMs: 100, capMs: 1_000 } });
  return { clock, queue };
}

it('a key added twice is worked once, in the order of first addition', async () => {
  const { queue } = start();
  for (const key of ['a', 'b', 'a']) queue.add(key);
  assert.equal(queue.depth, 2);
  assert.equal(await queue.take(), 'a');
  assert.equal(await queue.take(), 'b');
  assert.equal(queue.depth, 0);
});

it('a key added while it is worked is worked once more, afterwards', async () => {
  const { queue } = start();
  queue.add('a');
  await queue.take();
  queue.add('a');
  queue.add('a');
  assert.equal(queue.depth, 0);
  queue.done('a');
  assert.equal(queue.depth, 1);
  assert.equal(await queue.take(), 'a');
  queue.done('a');
  assert.equal(queue.depth, 0);
});

it('of several timers of one key the earliest counts', () => {
  const { clock, queue } = start();
  queue.addAfter('a', 500);
  queue.addAfter('a', 200);
  queue.addAfter('a', 900);
  clock.advance(199);
  assert.equal(queue.depth, 0);
  clock.advance(1);
  assert.equal(queue.depth, 1);
  clock.advance(10_000);
  assert.equal(queue.depth, 1);
});

it('rate limited additions double up to the cap until forgotten', () => {
  const { queue } = start();
  const delays = Array.from({ length: 6 }, () => queue.addRateLimited('a'));
  assert.deepEqual(delays, [100, 200, 400, 800, 1_000, 1_000]);
  queue.forget('a');
  assert.equal(queue.addRateLimited('a'), 100);
  assert.equal(queue.addRateLimited('b'), 100);
});

it('closing lets takers go and drops what waits', async () => {
  const { clock, queue } = start();
  const taken = queue.take();
  queue.addAfter('a', 10);
  queue.close();
  clock.advance(100);
  queue.add('b');
  assert.equal(await taken, undefined);
  assert.equal(await queue.take(), undefined);
  assert.equal(queue.depth, 0);
});

it('never hands a key to two workers, and works every key again that was added since its last start', async () => {
  const step = fc.record({
    do: fc.constantFrom('add', 'after', 'take', 'done', 'wait'),
    key: fc.constantFrom('a', 'b', 'c'),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const { clock, queue } = start();
      const working = new Set<string>();
      const owed = new Set<string>();
      const take = async () => {
        if (queue.depth === 0) return;
        const key = (await queue.take()) ?? '';
        assert.ok(!working.has(key));
        working.add(key);
        owed.delete(key);
      };
      const actions: Record<string, (key: string) => void | Promise<void>> = {
        add: (key) => queue.add(key),
        after: (key) => queue.addAfter(key, 50),
        wait: () => clock.advance(60),
        take,
        done: (key) => {
          if (working.delete(key)) queue.done(key);
        },
      };
      for (const { do: action, key } of steps) {
        if (action === 'add' || action === 'after') owed.add(key);
        await actions[action]?.(key);
      }
      for (const key of working) queue.done(key);
      working.clear();
      clock.advance(60);
      while (queue.depth > 0) await take();
      assert.deepEqual([...owed], []);
    }),
  );
});
