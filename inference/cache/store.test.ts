import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MemoryStore } from './store.ts';

describe('judgements in memory', () => {
  test('are there until their time is over', async () => {
    let now = 1;
    const store = new MemoryStore(1000, () => now);
    await store.write('key', 'text', 50);
    now = 51;
    assert.equal(await store.read('key'), 'text');
    now = 52;
    assert.equal(await store.read('key'), undefined);
  });

  test('make room by the bytes of those that were not read for the longest time', async () => {
    const store = new MemoryStore(330);
    for (const key of ['a', 'b', 'c']) await store.write(key, 'x'.repeat(100), 1000);
    assert.deepEqual([store.entries, store.bytes], [3, 303]);
    await store.read('a');
    await store.write('d', 'é'.repeat(50), 1000);
    assert.deepEqual(
      await Promise.all(['a', 'b', 'c', 'd'].map(async (key) => (await store.read(key)) !== undefined)),
      [true, false, true, true],
    );
  });

  test('that are too large are not kept', async () => {
    const store = new MemoryStore(100);
    await store.write('key', 'x'.repeat(101), 1000);
    assert.equal(store.entries, 0);
  });
});
