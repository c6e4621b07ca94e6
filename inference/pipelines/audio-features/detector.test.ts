import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import type { FeatureOptions } from '../../dsp/features.ts';
import { analysed } from '../../testing/detectors.ts';
import { wavOf } from '../../testing/media.ts';
import { recording } from '../../testing/recordings.ts';
import { writeFeaturesPackage } from '../../testing/sound-packages.ts';
import { featuresItem } from '../sound/items.ts';

interface Golden {
  readonly file: string;
  readonly from: number;
  readonly to: number;
  readonly cases: Readonly<
    Record<string, { readonly options: FeatureOptions; readonly bins: readonly (readonly number[])[] }>
  >;
}

/** Made by test/golden/sound/make.py. */
const golden: Golden = JSON.parse(
  await readFile(new URL('../../../test/golden/sound/features.json', import.meta.url), 'utf8'),
);
const excerpt = (await recording(golden.file)).subarray(golden.from, golden.to);

describe('what a graph of features takes', () => {
  for (const [name, { options, bins }] of Object.entries(golden.cases)) {
    const frames = bins[0]?.length ?? 0;
    const byFrame = Array.from({ length: frames }, (_, frame) => bins.map((row) => row[frame] ?? NaN));
    const rows = [
      { layout: 'bins-frames', shape: [bins.length, frames], values: bins.flat() },
      { layout: 'channel-bins-frames', shape: [1, bins.length, frames], values: bins.flat() },
      { layout: 'frames-bins', shape: [frames, bins.length], values: byFrame.flat() },
    ] as const;
    for (const { layout, shape, values } of rows) {
      test(`${name}, as ${layout}`, () => {
        const item = featuresItem(options, layout, excerpt.length);
        assert.deepEqual(item.shape, shape);
        const target = new Float32Array(values.length);
        item.write(excerpt, target);
        const farthest = values.reduce(
          (most, value, index) => Math.max(most, Math.abs(value - (target[index] ?? NaN))),
          0,
        );
        assert.ok(farthest < 2e-3, `${farthest}`);
      });
    }
  }
});

test('a package of features is judged by them', async () => {
  const { options, bins } = golden.cases['log-mel in decibels'] ?? assert.fail();
  const { sampleRate: _, ...features } = options;
  const layout = 'channel-bins-frames';
  const shape = [1, bins.length, bins[0]?.length ?? 0];
  const { analysis } = await analysed(
    (folder) => writeFeaturesPackage(folder, shape, { pipeline: { features, layout } }),
    wavOf(excerpt, 16_000),
  );
  const values = bins.flat();
  const logit = values.reduce((sum, value) => sum + value, 0) / values.length / 100;
  assert.ok(Math.abs((analysis.score ?? NaN) - 1 / (1 + Math.exp(-logit))) < 1e-4, `${analysis.score}`);
});
