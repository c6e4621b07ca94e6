import assert from 'node:assert/strict';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { inTemporaryFolder } from '../testing/media.ts';
import { parseManifest, readManifest } from './manifest.ts';

describe('a manifest', () => {
  test('lists paths and labels, with quotes, further columns and any line ends', () => {
    const rows = parseManifest('\uFEFFpath,label,note\r\na.jpg,real\r\n\r\n"b, ""two"".png",fake,"x,y"\n');
    assert.deepEqual(rows, [
      { path: 'a.jpg', fake: false, line: 2 },
      { path: 'b, "two".png', fake: true, line: 4 },
    ]);
  });

  const mistakes = [
    { name: 'without a header', text: 'a.jpg,real', message: /line 1: the first line has to be path,label/ },
    { name: 'of nothing', text: '', message: /line 1/ },
    { name: 'that names no file', text: 'path,label\n', message: /names no file/ },
    { name: 'with another label', text: 'path,label\na,Fake', message: /line 2: the label is "Fake"/ },
    { name: 'without a label', text: 'path,label\na', message: /line 2: the label is ""/ },
    { name: 'without a path', text: 'path,label\n,real', message: /line 2: there is no path/ },
    {
      name: 'that names a file twice',
      text: 'path,label\na,real\na,fake',
      message: /line 3: a is in line 2 already/,
    },
    { name: 'with an open quote', text: 'path,label\n"a,real', message: /line 2: the quotes do not fit/ },
  ];
  for (const { name, text, message } of mistakes) {
    test(`${name} is refused with its line`, () => {
      assert.throws(() => parseManifest(text), { reason: 'InvalidMedia', message });
    });
  }
});

describe('a folder of labelled media', () => {
  const withFolder = (manifest: string, action: (folder: string) => Promise<void>) =>
    inTemporaryFolder(async (folder) => {
      await mkdir(join(folder, 'media', '..data'), { recursive: true });
      await writeFile(join(folder, 'outside'), 'x');
      await writeFile(join(folder, 'media', '..data', 'a'), 'x');
      await symlink('..data/a', join(folder, 'media', 'a'));
      await symlink('../outside', join(folder, 'media', 'b'));
      await writeFile(join(folder, 'media', 'manifest.csv'), `path,label\n${manifest}`);
      await action(join(folder, 'media'));
    });

  test('may hold links, as that of a ConfigMap does', () =>
    withFolder('a,real', async (folder) => {
      assert.deepEqual(
        (await readManifest(folder)).map(({ path }) => path),
        ['a'],
      );
    }));

  for (const [name, row] of [
    ['above it', '../outside,real'],
    ['behind a link that leaves it', 'b,real'],
    ['at an absolute path', '/etc/passwd,real'],
    ['that is not there', 'c,real'],
    ['that is a folder', '..data,real'],
  ] as const) {
    test(`a file ${name} is refused`, () =>
      withFolder(row, (folder) =>
        assert.rejects(readManifest(folder), { reason: 'InvalidMedia', message: /line 2: / }),
      ));
  }

  test('needs a manifest', () =>
    inTemporaryFolder((folder) =>
      assert.rejects(readManifest(folder), {
        reason: 'InvalidMedia',
        message: /needs a manifest\.csv with the columns path,label/,
      }),
    ));
});
