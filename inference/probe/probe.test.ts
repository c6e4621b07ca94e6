/** Two pods with the shipped package and a damaged copy of it: what the probe is for. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import sharp from 'sharp';
import { parse, stringify } from 'yaml';
import { readConfig } from '../config/config.ts';
import { createLogger } from '../observability/logger.ts';
import { type RunningServer, startServer } from '../serve.ts';
import { inTemporaryFolder } from '../testing/media.ts';
import { sharedMedia, withoutSharedMedia } from '../testing/shared-media.ts';
import type { ProbeReport } from './figures.ts';

const root = resolve(import.meta.dirname, '..', '..');
const shipped = join(root, 'models', 'image-residual-cnn');
const fixtures = join(root, 'test', 'fixtures', 'media');

interface Calibration {
  readonly slope: number;
  readonly intercept: number;
}

/** The same graph, whose scores mean something else: it loads, reproduces its golden scores, and is as fast as before. */
async function damagedCopy(folder: string, calibration: Calibration): Promise<void> {
  await cp(shipped, folder, { recursive: true });
  const path = join(folder, 'model.yaml');
  const manifest = parse(await readFile(path, 'utf8'));
  const { slope, intercept } = manifest.calibration as Calibration;
  const rescored = (score: number) => {
    const logit = (Math.log(score / (1 - score)) - intercept) / slope;
    return 1 / (1 + Math.exp(-(calibration.slope * logit + calibration.intercept)));
  };
  manifest.calibration = { method: 'platt', ...calibration };
  for (const golden of manifest.golden) golden.score = rescored(golden.score);
  await writeFile(path, stringify(manifest));
}

async function served(models: string): Promise<RunningServer> {
  const config = readConfig({ PORT: '0', MODELS_DIR: models, ENGINE_WORKERS: '1', API_KEY: 'right-key' });
  const server = await startServer(config, createLogger('silent'));
  assert.ok(await server.ready);
  return server;
}

/** The program itself, as a Job or a person starts it. */
async function runProgram(args: readonly string[]): Promise<ProbeReport> {
  const child = spawn(process.execPath, [join(root, 'inference', 'main.ts'), 'probe', ...args], {
    env: { PATH: process.env['PATH'], API_KEY: 'right-key' },
  });
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit'),
  ]);
  assert.deepEqual([code, stderr], [0, '']);
  return JSON.parse(stdout);
}

/** @param canary calibration of the canary's package; undefined: the shipped one */
async function probed(media: string, canary: Calibration | undefined): Promise<ProbeReport> {
  return inTemporaryFolder(async (folder) => {
    const models = join(folder, 'canary');
    await mkdir(models);
    if (canary) await damagedCopy(join(models, 'image-residual-cnn'), canary);
    else await cp(shipped, join(models, 'image-residual-cnn'), { recursive: true });
    const stableModels = join(folder, 'stable');
    await mkdir(stableModels);
    await cp(shipped, join(stableModels, 'image-residual-cnn'), { recursive: true });
    const servers: RunningServer[] = [];
    try {
      for (const models of [join(folder, 'canary'), stableModels]) servers.push(await served(models));
      const [ours, theirs] = servers;
      return await runProgram(['--canary', ours?.url ?? '', '--stable', theirs?.url ?? '', '--media', media]);
    } finally {
      await Promise.all(servers.map((server) => server.stop()));
    }
  });
}

async function writeManifest(folder: string, files: readonly (readonly [string, 'real' | 'fake'])[]) {
  await writeFile(join(folder, 'manifest.csv'), `path,label\n${files.map((row) => row.join()).join('\n')}\n`);
}

/** Parts of the photographs that the repository has. */
async function photographs(folder: string): Promise<void> {
  const files: [string, 'real' | 'fake'][] = [];
  for (const label of ['real', 'fake'] as const) {
    const source = join(fixtures, `photograph-${label}.jpg`);
    const { width, height } = await sharp(source).metadata();
    for (const [index, at] of [0, 0.25, 0.5, 0.75, 1].entries()) {
      const side = Math.min(256, width, height);
      const left = Math.floor((width - side) * at);
      const name = `${label}-${index}.png`;
      await sharp(source).extract({ left, top: 0, width: side, height: side }).toFile(join(folder, name));
      files.push([name, label]);
    }
  }
  await writeManifest(folder, files);
}

describe('a probe of two pods', () => {
  test('finds no difference between equal packages', () =>
    inTemporaryFolder(async (media) => {
      await photographs(media);
      const { compared, maxScoreChange, flips, canary, stable } = await probed(media, undefined);
      assert.deepEqual([compared, maxScoreChange, flips], [10, 0, 0]);
      assert.deepEqual(canary, stable);
      assert.equal(canary.digest.length, 'sha256:'.length + 64);
    }));

  test('catches a package whose calibration is another one, though it ranks as well as before', () =>
    inTemporaryFolder(async (media) => {
      await photographs(media);
      const { canary, stable, maxScoreChange, flips, worst } = await probed(media, {
        slope: 0.2,
        intercept: -2,
      });
      assert.equal(canary.auc, stable?.auc);
      assert.equal(canary.accuracy, 0.5, 'nothing is called fake any more');
      assert.ok((stable?.accuracy ?? 0) > 0.5, `stable is right in ${stable?.accuracy}`);
      assert.ok((maxScoreChange ?? 0) > 0.3, `changed by ${maxScoreChange}`);
      assert.ok((flips ?? 0) > 0, `flips ${flips}`);
      assert.equal(worst[0]?.fake, true);
    }));

  test('catches it on a folder of real media, too', { skip: withoutSharedMedia('image/mesonet') }, () =>
    inTemporaryFolder(async (media) => {
      const files: [string, 'real' | 'fake'][] = [];
      for (const [folder, label] of [
        ['image/real', 'real'],
        ['image/fake', 'fake'],
      ] as const) {
        const all = await readdir(sharedMedia(folder), { recursive: true, withFileTypes: true });
        const pictures = all.filter((entry) => entry.isFile() && /\.(jpe?g|png|webp)$/i.test(entry.name));
        for (const [index, { parentPath, name }] of pictures.slice(0, 8).entries()) {
          const target = `${label}-${index}-${name.replace(/[^\w.-]/g, '_')}`;
          await cp(join(parentPath, name), join(media, target));
          files.push([target, label]);
        }
      }
      await writeManifest(media, files);
      const { compared, canary, maxScoreChange, flips } = await probed(media, { slope: 8, intercept: 6 });
      assert.ok(compared >= 8, `${compared} compared`);
      assert.notEqual(canary.accuracy, null);
      assert.ok((maxScoreChange ?? 0) > 0.1 || (flips ?? 0) > 0, `${maxScoreChange} ${flips}`);
    }),
  );
});
