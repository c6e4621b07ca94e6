import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Classifier } from '../../engine/session.ts';
import { PixelBudget } from '../../media/pixel-budget.ts';
import { sniffMedia } from '../../media/sniff.ts';
import { loadPackage } from '../../models/package.ts';
import { logitOf } from '../../models/verdict.ts';
import { asFile, flatImage, inTemporaryFolder, noiseImage } from '../../testing/media.ts';
import { type PackageOverrides, writeClassifierPackage, writeImagePackage } from '../../testing/packages.ts';
import { analyzerOf } from '../families.ts';
import { checked } from './checked.ts';

const families = { 'image-classifier': writeClassifierPackage, 'image-residual': writeImagePackage };
type Family = keyof typeof families;

/** What a package with its checks says of an image. */
async function analyse(family: Family, bytes: Uint8Array, overrides: PackageOverrides) {
  return inTemporaryFolder(async (folder) => {
    await families[family](folder, overrides);
    const { manifest } = await loadPackage(folder);
    const { classifier } = manifest.graphs;
    const options = { device: 'cpu', intraOpThreads: 1 } as const;
    const graph = await Classifier.open(join(folder, classifier.file), classifier, options, (row) =>
      logitOf(row, manifest.output),
    );
    const context = {
      signal: new AbortController().signal,
      pixelBudget: new PixelBudget(1e6),
      videoLimits: { maxSeconds: 1, maxPixels: 1, decoderThreads: 1 },
      emit: () => undefined,
      report: () => undefined,
    };
    const analyze = checked(manifest, analyzerOf(manifest, graph));
    return asFile(bytes, async (path) => analyze({ path, media: await sniffMedia({ path }) }, context));
  });
}

const white = await flatImage({ width: 256, height: 256, level: 255, format: 'png' });
const black = await flatImage({ width: 256, height: 256, level: 0, format: 'png' });
const noise = await noiseImage(256, 256, 'png');
/** Knows media whose logit is about 4, as that of a white image is. */
const byGraph = {
  source: 'graph',
  features: ['logit'],
  mean: [4],
  precision: { diagonal: [1] },
  threshold: 0.99,
  abstain: true,
};
/** Knows media without noise. */
const byInput = { ...byGraph, source: 'input', features: ['log_noise'], mean: [-2] };

describe('out of distribution', () => {
  const rows: { name: string; ood: object; image: Buffer; verdict: string; reasons: string[] }[] = [
    { name: 'is not what the graph knows', ood: byGraph, image: white, verdict: 'DEEPFAKE', reasons: [] },
    {
      name: 'is what the graph does not know',
      ood: byGraph,
      image: black,
      verdict: 'INCONCLUSIVE',
      reasons: ['out_of_distribution'],
    },
    {
      name: 'is only a warning where the package says so',
      ood: { ...byGraph, abstain: false },
      image: black,
      verdict: 'AUTHENTIC',
      reasons: [],
    },
    {
      name: 'is not an image of known statistics',
      ood: byInput,
      image: white,
      verdict: 'DEEPFAKE',
      reasons: [],
    },
    {
      name: 'is an image of other statistics',
      ood: byInput,
      image: noise,
      verdict: 'INCONCLUSIVE',
      reasons: ['out_of_distribution'],
    },
  ];
  for (const family of Object.keys(families) as Family[]) {
    for (const { name, ood, image, verdict, reasons } of rows) {
      test(`${name} (${family})`, async () => {
        const graph = { features: 'logit' };
        const analysis = await analyse(family, image, { manifest: { ood }, graph });
        assert.equal(analysis.verdict, verdict);
        assert.deepEqual(analysis.inconclusiveReasons, reasons);
        assert.equal(typeof analysis.signals['ood_score'], 'number');
      });
    }

    test(`is not asked where the package says nothing of it (${family})`, async () => {
      const { signals, explanations } = await analyse(family, white, {});
      assert.equal(signals['ood_score'], undefined);
      assert.ok(explanations.every(({ code }) => code.startsWith('score_') || code.startsWith('parts_')));
    });

    test(`is not asked of what cannot be judged (${family})`, async () => {
      const tiny = await flatImage({ width: 12, height: 12, level: 0, format: 'png' });
      const { inconclusiveReasons } = await analyse(family, tiny, { manifest: { ood: byInput } });
      assert.deepEqual(inconclusiveReasons, ['low_resolution']);
    });
  }
});
