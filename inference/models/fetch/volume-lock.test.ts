import assert from 'node:assert/strict';
import { readdir, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { inTemporaryFolder } from '../../testing/media.ts';
import { withVolumeLock } from './volume-lock.ts';

const times = { beatMs: 10, staleMs: 400 };

describe('the lock of a volume', () => {
  test('lets one work at a time, and leaves nothing', async () => {
    await inTemporaryFolder(async (folder) => {
      const path = join(folder, '.lock');
      let working = 0;
      let most = 0;
      const work = async () => {
        working += 1;
        most = Math.max(most, working);
        await sleep(30);
        working -= 1;
      };
      await Promise.all(Array.from({ length: 4 }, () => withVolumeLock(path, times, work)));
      assert.equal(most, 1);
      assert.deepEqual(await readdir(folder), []);
    });
  });

  test('stays with a holder that works longer than the dead are waited for', async () => {
    await inTemporaryFolder(async (folder) => {
      const path = join(folder, '.lock');
      const order: string[] = [];
      const slow = withVolumeLock(path, times, async () => {
        await sleep(3 * times.staleMs);
        order.push('slow');
      });
      await sleep(50);
      await Promise.all([slow, withVolumeLock(path, times, async () => void order.push('quick'))]);
      assert.deepEqual(order, ['slow', 'quick']);
    });
  });

  test('is taken from a holder that has died, by one of those who wait', async () => {
    await inTemporaryFolder(async (folder) => {
      const path = join(folder, '.lock');
      await writeFile(path, '');
      let done = 0;
      const waiting = Array.from({ length: 3 }, () =>
        withVolumeLock(path, times, async () => {
          done += 1;
        }),
      );
      await Promise.all(waiting);
      assert.equal(done, 3);
      assert.deepEqual(await readdir(folder), []);
    });
  });

  test('is known to be lost by a holder that stood still, and is left to the next one', async () => {
    await inTemporaryFolder(async (folder) => {
      const path = join(folder, '.lock');
      const working = Promise.withResolvers<void>();
      const still = withVolumeLock(path, times, async () => {
        await rename(path, `${path}.aside`);
        await writeFile(path, '');
        await working.promise;
      });
      await assert.rejects(still, /was taken over by another process/);
      const { mtimeMs } = await stat(path);
      working.resolve();
      await sleep(3 * times.beatMs);
      assert.equal((await stat(path)).mtimeMs, mtimeMs);
    });
  });

  test('is given back when the work fails', async () => {
    await inTemporaryFolder(async (folder) => {
      const path = join(folder, '.lock');
      await assert.rejects(
        withVolumeLock(path, times, () => Promise.reject(new Error('no'))),
        /no/,
      );
      assert.deepEqual(await readdir(folder), []);
    });
  });
});
