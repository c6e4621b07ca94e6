import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { inTemporaryFolder } from '../testing/media.ts';
import { writeAudioPackage } from '../testing/packages.ts';
import { loadPackage, type PackageError, packageNames, unlessMissing } from './package.ts';

describe('a package', () => {
  test('has the digest that sha256sum prints for its manifest, and the size of the files that count', async () => {
    await inTemporaryFolder(async (folder) => {
      const written = await writeAudioPackage(folder);
      await writeFile(join(folder, 'README.md'), 'not part of it');
      const found = await loadPackage(folder, written);
      const [hex] = execFileSync('sha256sum', [join(folder, 'model.yaml')], { encoding: 'utf8' }).split(' ');
      assert.equal(found.digest, `sha256:${hex}`);
      const files = ['model.yaml', 'classifier.onnx', 'golden/square.wav'];
      const sizes = await Promise.all(files.map(async (file) => (await readFile(join(folder, file))).length));
      assert.equal(
        found.sizeBytes,
        sizes.reduce((sum, size) => sum + size),
      );
    });
  });

  const broken: {
    name: string;
    reason: PackageError['reason'];
    damage: (folder: string) => Promise<void>;
    message: RegExp;
  }[] = [
    {
      name: 'with one byte of a graph flipped',
      reason: 'DigestMismatch',
      damage: async (folder) => {
        const path = join(folder, 'classifier.onnx');
        const bytes = await readFile(path);
        bytes[20] = (bytes[20] ?? 0) ^ 1;
        await writeFile(path, bytes);
      },
      message: /classifier\.onnx: the SHA-256 is [0-9a-f]{64}, but model\.yaml says/,
    },
    {
      name: 'without a file that it lists',
      reason: 'InvalidPackage',
      damage: (folder) => rm(join(folder, 'golden/square.wav')),
      message: /square\.wav: .*missing/,
    },
    {
      name: 'whose file is a link that leads out',
      reason: 'InvalidPackage',
      damage: async (folder) => {
        await rename(join(folder, 'classifier.onnx'), join(folder, '..', 'outside.onnx'));
        await symlink('../outside.onnx', join(folder, 'classifier.onnx'));
      },
      message: /leads out of the package/,
    },
    {
      name: 'without a manifest',
      reason: 'InvalidPackage',
      damage: (folder) => rm(join(folder, 'model.yaml')),
      message: /model\.yaml: there is no such file/,
    },
    {
      name: 'with a manifest that is no manifest',
      reason: 'InvalidPackage',
      damage: (folder) => writeFile(join(folder, 'model.yaml'), 'hello'),
      message: /model\.yaml: .*; correct the manifest/,
    },
  ];
  for (const { name, reason, damage, message } of broken) {
    test(`${name} is refused in one line`, async () => {
      await inTemporaryFolder(async (folder) => {
        const model = join(folder, 'model');
        await writeAudioPackage(model);
        await damage(model);
        await assert.rejects(loadPackage(model), (error: PackageError) => {
          assert.equal(error.reason, reason);
          assert.match(error.message, message);
          assert.ok(!error.message.includes('\n'));
          return true;
        });
      });
    });
  }

  for (const code of ['ENOENT', 'ENOTDIR', 'ELOOP']) {
    test(`is not there after ${code}`, () => {
      assert.equal(unlessMissing(Object.assign(new Error(), { code })), undefined);
    });
  }
  for (const code of ['EIO', 'ESTALE', 'EACCES']) {
    test(`is not called missing after ${code}: it may be whole`, () => {
      const error = Object.assign(new Error(), { code });
      assert.throws(
        () => unlessMissing(error),
        (thrown) => thrown === error,
      );
    });
  }

  test('with another digest than the one asked for is refused', async () => {
    await inTemporaryFolder(async (folder) => {
      await writeAudioPackage(folder);
      await assert.rejects(
        loadPackage(folder, `sha256:${'0'.repeat(64)}`),
        /the digest is sha256:[0-9a-f]{64}, but sha256:0{64} was asked for/,
      );
    });
  });
});

describe('a folder of packages', () => {
  test('lists only folders that hold a manifest, sorted', async () => {
    await inTemporaryFolder(async (folder) => {
      for (const name of ['zebra', 'ant']) await writeAudioPackage(join(folder, name));
      await mkdir(join(folder, 'training'));
      await writeFile(join(folder, 'README.md'), '');
      assert.deepEqual(await packageNames(folder), ['ant', 'zebra']);
    });
  });

  test('that does not exist is named, with the variable to set', async () => {
    await assert.rejects(packageNames('/nonexistent/models'), /\/nonexistent\/models: .*MODELS_DIR/);
  });
});
