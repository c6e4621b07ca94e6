import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import sharp from 'sharp';
import { Classifier } from '../../engine/session.ts';
import { PixelBudget } from '../../media/pixel-budget.ts';
import { sniffMedia } from '../../media/sniff.ts';
import { loadPackage } from '../../models/package.ts';
import { logitOf } from '../../models/verdict.ts';
import { asFile, flatImage, inTemporaryFolder, noiseImage } from '../../testing/media.ts';
import { type PackageOverrides, writeClassifierPackage, writeImagePackage } from '../../testing/packages.ts';
import type { DetectorContext, Extras } from '../analysis.ts';
import { analyzerOf } from '../families.ts';
import { checked } from './checked.ts';

const families = { 'image-classifier': writeClassifierPackage, 'image-residual': writeImagePackage };
type Family = keyof typeof families;

const contextOf = (signal: AbortSignal): DetectorContext => ({
  signal,
  pixelBudget: new PixelBudget(1e6),
  videoLimits: { maxSeconds: 1, maxPixels: 1, decoderThreads: 1 },
  emit: () => undefined,
  report: () => undefined,
});

/** What a package with its checks says of an image. */
async function analyse(
  family: Family,
  bytes: Uint8Array,
  overrides: PackageOverrides,
  { extras = {}, runs = 4 }: { extras?: Extras; runs?: number } = {},
) {
  return inTemporaryFolder(async (folder) => {
    await families[family](folder, overrides);
    const { manifest } = await loadPackage(folder);
    const { classifier } = manifest.graphs;
    const options = { device: 'cpu', intraOpThreads: 1 } as const;
    const graph = await Classifier.open(join(folder, classifier.file), classifier, options, (row) =>
      logitOf(row, manifest.output),
    );
    const context = contextOf(new AbortController().signal);
    const analyze = checked(manifest, analyzerOf(manifest, graph), runs);
    return asFile(bytes, async (path) =>
      analyze({ path, media: await sniffMedia({ path }) }, context, extras),
    );
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

/** White around and gray inside, so that little is left of the white in a crop of it. */
const framed = await sharp(await flatImage({ width: 512, height: 512, level: 133, format: 'png' }))
  .extend({ top: 7, bottom: 7, left: 7, right: 7, background: '#fff' })
  .png()
  .toBuffer();
/** Nothing but the white border makes it a deepfake. */
const thresholds = { low: 0.3, high: 0.57 };

describe('changed copies', () => {
  const rows: {
    name: string;
    image: Buffer;
    manifest?: Readonly<Record<string, unknown>>;
    extras?: Extras;
    runs?: number;
    verdict: string;
    copies: number | undefined;
  }[] = [
    { name: 'are not judged unasked', image: white, verdict: 'DEEPFAKE', copies: undefined },
    {
      name: 'are judged where a request asks for it',
      image: white,
      extras: { perturb: true },
      verdict: 'DEEPFAKE',
      copies: 4,
    },
    {
      name: 'are judged where the package does by default',
      image: white,
      manifest: { perturbation: { byDefault: true, abstain: true } },
      verdict: 'DEEPFAKE',
      copies: 4,
    },
    {
      name: 'are not judged where a request does without',
      image: white,
      manifest: { perturbation: { byDefault: true, abstain: true } },
      extras: { perturb: false },
      verdict: 'DEEPFAKE',
      copies: undefined,
    },
    {
      name: 'are as many as the setting allows',
      image: white,
      extras: { perturb: true },
      runs: 2,
      verdict: 'DEEPFAKE',
      copies: 2,
    },
    {
      name: 'are none where the setting forbids them',
      image: white,
      extras: { perturb: true },
      runs: 0,
      verdict: 'DEEPFAKE',
      copies: undefined,
    },
    {
      name: 'that lose the verdict take it back',
      image: framed,
      manifest: { thresholds },
      extras: { perturb: true },
      verdict: 'INCONCLUSIVE',
      copies: 4,
    },
    {
      name: 'that lose the verdict are a warning where the package says so',
      image: framed,
      manifest: { thresholds, perturbation: { byDefault: false, abstain: false } },
      extras: { perturb: true },
      verdict: 'DEEPFAKE',
      copies: 4,
    },
    {
      name: 'are spared for what is out of distribution',
      image: black,
      manifest: { ood: { ...byInput, mean: [3] } },
      extras: { perturb: true },
      verdict: 'INCONCLUSIVE',
      copies: undefined,
    },
  ];
  for (const { name, image, manifest = {}, extras = {}, runs = 4, verdict, copies } of rows) {
    test(name, async () => {
      const analysis = await analyse('image-classifier', image, { manifest }, { extras, runs });
      assert.equal(analysis.verdict, verdict);
      assert.equal(analysis.signals['perturbation_runs'], copies);
    });
  }

  test('give the same every time', async () => {
    const asked = { extras: { perturb: true } };
    const [first, second] = await Promise.all([0, 1].map(() => analyse('image-residual', noise, {}, asked)));
    assert.deepEqual(first?.signals, second?.signals);
    assert.deepEqual(first?.explanations, second?.explanations);
  });

  test('are given up with the request', async () => {
    const gone = new AbortController();
    const analyze = checked(
      {},
      async () => {
        gone.abort(new Error('the client has left'));
        return {
          score: 0.9,
          verdict: 'DEEPFAKE',
          inconclusiveReasons: [],
          explanations: [],
          signals: {},
          notes: [],
          timingsMs: { decode: 0, preprocess: 0, infer: 0 },
        };
      },
      4,
    );
    const input = { path: 'image', content: white, media: { kind: 'image', mime: 'image/png' } } as const;
    await assert.rejects(analyze(input, contextOf(gone.signal), { perturb: true }), /the client has left/);
  });
});
