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
  assert.equal(queue.depth(), 2);
  assert.equal(await queue.take(), 'a');
  assert.equal(await queue.take(), 'b');
  assert.equal(queue.depth(), 0);
});

it('a key added while it is worked is worked once more, afterwards', async () => {
  const { queue } = start();
  queue.add('a');
  await queue.take();
  queue.add('a');
  queue.add('a');
  assert.equal(queue.depth(), 0);
  queue.done('a');
  assert.equal(queue.depth(), 1);
  assert.equal(await queue.take(), 'a');
  queue.done('a');
  assert.equal(queue.depth(), 0);
});

it('of several timers of one key the earliest counts', () => {
  const { clock, queue } = start();
  queue.addAfter('a', 500);
  queue.addAfter('a', 200);
  queue.addAfter('a', 900);
  clock.advance(199);
  assert.equal(queue.depth(), 0);
  clock.advance(1);
  assert.equal(queue.depth(), 1);
  clock.advance(10_000);
  assert.equal(queue.depth(), 1);
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
  assert.equal(queue.depth(), 0);
});

it('retries of many keys together keep to a rate', () => {
  const { queue } = start();
  const delays = Array.from({ length: 103 }, (_, index) => queue.addRateLimited(`key-${index}`));
  assert.deepEqual(delays.slice(98), [100, 100, 100, 200, 300]);
});

it('a retry waits as long as the server asked for', () => {
  const { queue } = start();
  assert.equal(queue.addRateLimited('a', 7_000), 7_000);
  assert.equal(queue.addRateLimited('a', 10), 200);
});

it('a change goes before a thousand keys of the first list, and moves its own key up', async () => {
  const { queue } = start();
  for (let index = 0; index < 1_000; index += 1) queue.add(`listed-${index}`, 'low');
  queue.add('changed');
  queue.add('listed-999');
  queue.add('listed-999', 'low');
  assert.deepEqual([queue.depth('high'), queue.depth('low')], [2, 999]);
  assert.deepEqual(
    [await queue.take(), await queue.take(), await queue.take()],
    ['changed', 'listed-999', 'listed-0'],
  );
});

it('a stream of changes leaves every eighth turn to the rest', async () => {
  const { queue } = start();
  for (const key of ['x', 'y']) queue.add(key, 'low');
  const order: string[] = [];
  for (let turn = 0; turn < 16; turn += 1) {
    queue.add(`changed-${turn}`);
    order.push((await queue.take()) ?? '');
  }
  assert.deepEqual([order.indexOf('x'), order.indexOf('y')], [7, 15]);
});

it('a retry keeps the priority with which its key was taken', async () => {
  const { clock, queue } = start();
  queue.add('listed', 'low');
  queue.add('changed');
  for (const key of [await queue.take(), await queue.take()]) {
    queue.addRateLimited(key ?? '');
    queue.done(key ?? '');
  }
  clock.advance(100);
  assert.deepEqual([queue.depth('high'), queue.depth('low')], [1, 1]);
});

it('tells how long keys waited and were worked', async () => {
  const clock = new FakeClock();
  const heard: unknown[] = [];
  const observer = {
    added: () => heard.push('added'),
    taken: (seconds: number) => heard.push(['taken', seconds]),
    done: (seconds: number) => heard.push(['done', seconds]),
    retried: () => heard.push('retried'),
  };
  const queue = new WorkQueue({ clock, observer, random: () => 1 });
  queue.add('a');
  queue.add('a');
  clock.advance(1_500);
  await queue.take();
  clock.advance(500);
  assert.deepEqual(queue.inWork(), [0.5]);
  queue.addRateLimited('a');
  queue.done('a');
  assert.deepEqual(queue.inWork(), []);
  assert.deepEqual(heard, ['added', ['taken', 1.5], 'retried', ['done', 0.5]]);
});

it('loses no key, works none twice at a time and starves none, whatever the order of things', async () => {
  const step = fc.record({
    do: fc.constantFrom('add', 'list', 'after', 'retry', 'take', 'done', 'wait'),
    key: fc.constantFrom('a', 'b', 'c', 'd'),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 80 }), async (steps) => {
      const { clock, queue } = start();
      const working = new Set<string>();
      const owed = new Set<string>();
      const take = async () => {
        if (queue.depth() === 0) return;
        const key = (await queue.take()) ?? '';
        assert.ok(!working.has(key), `${key} is worked twice at a time`);
        working.add(key);
        owed.delete(key);
      };
      const owe = (add: (key: string) => void) => (key: string) => {
        owed.add(key);
        add(key);
      };
      const actions: Record<string, (key: string) => void | Promise<void>> = {
        add: owe((key) => queue.add(key)),
        list: owe((key) => queue.add(key, 'low')),
        after: owe((key) => queue.addAfter(key, 50)),
        retry: owe((key) => void queue.addRateLimited(key)),
        wait: () => clock.advance(60),
        take,
        done: (key) => {
          if (working.delete(key)) queue.done(key);
        },
      };
      for (const { do: action, key } of steps) await actions[action]?.(key);
      for (const key of working) queue.done(key);
      working.clear();
      clock.advance(1_000);
      // Whoever is owed work gets it while fresh changes of others never end.
      const bound = 8 * (owed.size + 1);
      for (let turn = 0; owed.size > 0; turn += 1) {
        assert.ok(turn < bound, `${[...owed]} starve`);
        queue.add('fresh');
        await take();
        for (const key of working) queue.done(key);
        working.clear();
      }
    }),
  );
});
