import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import sharp from 'sharp';
import { Classifier } from '../../engine/session.ts';
import { PixelBudget } from '../../media/pixel-budget.ts';
import { sniffMedia } from '../../media/sniff.ts';
import { loadPackage } from '../../models/package.ts';
import { logitOf } from '../../models/verdict.ts';
import { asFile, flatImage, inTemporaryFolder } from '../../testing/media.ts';
import { writeClassifierPackage } from '../../testing/packages.ts';
import { analyzerOf } from '../families.ts';

type Overrides = Parameters<typeof writeClassifierPackage>[1];

/** What a package of the family says of an image. */
async function analyse(bytes: Uint8Array, overrides: Overrides = {}) {
  return inTemporaryFolder(async (folder) => {
    await writeClassifierPackage(folder, overrides);
    const { manifest } = await loadPackage(folder);
    const { classifier } = manifest.graphs;
    const options = { device: 'cpu', intraOpThreads: 1 } as const;
    const graph = await Classifier.open(join(folder, classifier.file), classifier, options, (row) =>
      logitOf(row, manifest.output),
    );
    const analyze = analyzerOf(manifest, graph);
    const context = {
      signal: new AbortController().signal,
      pixelBudget: new PixelBudget(1e6),
      videoLimits: { maxSeconds: 1, maxPixels: 1, decoderThreads: 1 },
      emit: () => undefined,
      report: () => undefined,
    };
    return asFile(bytes, async (path) => analyze({ path, media: await sniffMedia({ path }) }, context));
  });
}

const white = await flatImage({ width: 100, height: 50, level: 255, format: 'png' });
const rightHalfWhite = await sharp({ create: { width: 128, height: 64, channels: 3, background: '#000' } })
  .composite([
    {
      input: { create: { width: 64, height: 64, channels: 3, background: '#fff' } },
      left: 64,
      top: 0,
    },
  ])
  .png()
  .toBuffer();

describe('an image classifier', () => {
  const rows: { name: string; overrides: Overrides; verdict: string }[] = [
    { name: 'stretches the image', overrides: {}, verdict: 'DEEPFAKE' },
    {
      name: 'takes pixels in NHWC',
      overrides: { pipeline: { layout: 'nhwc' }, graph: { heatmap: undefined } },
      verdict: 'DEEPFAKE',
    },
    {
      name: 'sees padding where the image is contained',
      overrides: { pipeline: { fit: 'contain-pad' }, manifest: {} },
      verdict: 'SUSPICIOUS',
    },
    {
      name: 'turns the score round where the graph says real',
      overrides: { manifest: { output: { positive: 'real', activation: 'sigmoid' } } },
      verdict: 'AUTHENTIC',
    },
  ];
  for (const { name, overrides, verdict } of rows) {
    test(name, async () => {
      assert.equal((await analyse(white, overrides)).verdict, verdict);
    });
  }

  test('shows where the graph looked', async () => {
    const { signals } = await analyse(rightHalfWhite);
    const heatmap = signals['heatmap'];
    assert.ok(typeof heatmap === 'object' && 'scores' in heatmap);
    assert.deepEqual([heatmap.rows, heatmap.cols], [64, 64]);
    assert.deepEqual([heatmap.scores[5]?.[5], heatmap.scores[5]?.[60]], [0, 1]);
    assert.deepEqual(heatmap.area, { left: 0, top: 0, width: 1, height: 1 });
  });

  test('without a heat map says nothing of places', async () => {
    assert.deepEqual((await analyse(white, { graph: { heatmap: undefined } })).signals, {});
  });

  test('gives no score for an image that is too small', async () => {
    const small = await flatImage({ width: 100, height: 15, level: 255, format: 'png' });
    const { score, verdict, inconclusiveReasons } = await analyse(small);
    assert.deepEqual([score, verdict, inconclusiveReasons], [null, 'INCONCLUSIVE', ['low_resolution']]);
  });

  test('says that it saw the first image of an animation', async () => {
    const frames = Buffer.concat([Buffer.alloc(64 * 64 * 3, 255), Buffer.alloc(64 * 64 * 3, 0)]);
    const animation = await sharp(frames, { raw: { width: 64, height: 128, channels: 3, pageHeight: 64 } })
      .webp({ loop: 0, delay: [100, 100] })
      .toBuffer();
    const { verdict, notes } = await analyse(animation);
    assert.deepEqual(
      [verdict, notes],
      ['DEEPFAKE', ['Only the first of 2 images in the file was analysed.']],
    );
  });

  test('is refused where its graph lacks the heat map', async () => {
    await assert.rejects(
      analyse(white, { graph: { heatmap: 'attention' } }),
      /the output "logit" and "attention"/,
    );
  });
});
