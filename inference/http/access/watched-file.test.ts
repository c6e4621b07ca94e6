import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { createLogger } from '../../observability/logger.ts';
import { inTemporaryFolder } from '../../testing/media.ts';
import { mountSecret } from '../../testing/mounted-secret.ts';
import { until } from '../../testing/until.ts';
import { WatchedFile } from './watched-file.ts';

function parseNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new Error('is not a number');
  return Number(text);
}

describe('a watched file', () => {
  test('is exchanged while it is in use; a broken one leaves the last usable in use and says so once', () =>
    inTemporaryFolder(async (folder) => {
      const path = await mountSecret(folder, 'v1', '1');
      const lines: string[] = [];
      const usable: boolean[] = [];
      let parses = 0;
      const file = await WatchedFile.open({
        path,
        parse: (text) => {
          parses += 1;
          return parseNumber(text);
        },
        logger: createLogger('info', { write: (line) => lines.push(line) }),
        onChange: (isUsable) => usable.push(isUsable),
        intervalMs: 5,
      });
      const problems = () => lines.filter((line) => line.includes('cannot be used'));
      try {
        assert.equal(file.current, 1);
        await mountSecret(folder, 'v2', '2');
        await until(() => file.current === 2);
        await mountSecret(folder, 'v3', 'broken');
        const parsesBefore = parses;
        await until(() => parses > parsesBefore + 2);
        assert.equal(file.current, 2);
        assert.equal(problems().length, 1, lines.join(''));
        assert.match(problems()[0] ?? '', /is not a number/);
        await rm(join(folder, '..data'));
        await until(() => problems().length === 2);
        assert.match(problems()[1] ?? '', /ENOENT/);
        assert.equal(file.current, 2);
        await mountSecret(folder, 'v4', '2');
        await until(() => usable.at(-1) === true);
        assert.deepEqual(usable, [true, true, false, false, true]);
      } finally {
        file.close();
      }
    }));

  test('that is broken at the start is one line with its path', () =>
    inTemporaryFolder(async (folder) => {
      const path = join(folder, 'keys');
      const open = () => WatchedFile.open({ path, parse: parseNumber, logger: createLogger('silent') });
      await assert.rejects(open, { name: 'StartupError', message: new RegExp(`^${path}: ENOENT`) });
      await writeFile(path, 'x');
      await assert.rejects(open, { name: 'StartupError', message: `${path}: is not a number` });
    }));
});
