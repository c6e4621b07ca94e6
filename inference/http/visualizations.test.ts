import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { noMemory, Spool } from '../media/spool.ts';
import { inTemporaryFolder } from '../testing/media.ts';
import { keptSeconds, Visualizations } from './visualizations.ts';

const never = new AbortController().signal;

async function withStore(
  action: (store: Visualizations, filesOnDisk: () => Promise<number>) => Promise<void>,
): Promise<void> {
  await inTemporaryFolder(async (folder) => {
    const spool = await Spool.open({ maxBytes: 1024 ** 3, parent: folder, memory: noMemory });
    const [own = ''] = await readdir(folder);
    try {
      await action(new Visualizations(spool), async () => (await readdir(join(folder, own))).length);
    } finally {
      await spool.close();
    }
  });
}

test('a visualization is given once and leaves the disk', () =>
  withStore(async (store, filesOnDisk) => {
    const name = await store.keep(Buffer.from('png'), never);
    assert.equal(await filesOnDisk(), 1);
    const [first, second] = await Promise.all([store.take(name), store.take(name)]);
    assert.deepEqual([first?.toString(), second], ['png', undefined]);
    assert.equal(await filesOnDisk(), 0);
  }));

test('the oldest goes when there are too many', () =>
  withStore(async (store, filesOnDisk) => {
    const names: string[] = [];
    for (let count = 0; count < 258; count += 1) names.push(await store.keep(Buffer.from('png'), never));
    assert.equal(await filesOnDisk(), 256);
    assert.equal(await store.take(names[1] ?? ''), undefined);
    assert.notEqual(await store.take(names[2] ?? ''), undefined);
  }));

test('the oldest goes when they are too large together', () =>
  withStore(async (store) => {
    const large = Buffer.alloc(33 * 1024 ** 2);
    const first = await store.keep(large, never);
    const second = await store.keep(large, never);
    assert.equal(await store.take(first), undefined);
    assert.equal((await store.take(second))?.length, large.length);
  }));

test('a visualization that nobody fetches goes with its time', (context) =>
  withStore(async (store) => {
    context.mock.timers.enable({ apis: ['setTimeout'] });
    const name = await store.keep(Buffer.from('png'), never);
    context.mock.timers.tick(keptSeconds * 1000);
    assert.equal(await store.take(name), undefined);
  }));
