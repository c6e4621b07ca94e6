import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { recording } from '../testing/recordings.ts';
import { type FeatureOptions, featureExtractor } from './features.ts';
import { transposed } from './plane.ts';

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
  await readFile(new URL('../../test/golden/sound/features.json', import.meta.url), 'utf8'),
);
const excerpt = (await recording(golden.file)).subarray(golden.from, golden.to);

describe('features are those of librosa and scipy', () => {
  for (const [name, { options, bins }] of Object.entries(golden.cases)) {
    test(name, () => {
      const plane = featureExtractor(options)(excerpt);
      assert.deepEqual([plane.bins, plane.frames], [bins.length, bins[0]?.length]);
      const expected = bins.flat();
      for (const [index, value] of transposed(plane).entries()) {
        const wanted = expected[index] ?? NaN;
        assert.ok(Math.abs(value - wanted) < 2e-3, `value ${index}: ${value} is not ${wanted}`);
      }
    });
  }
});

describe('features of digital silence', () => {
  for (const [name, { options }] of Object.entries(golden.cases)) {
    test(`are finite: ${name}`, () => {
      const { values } = featureExtractor(options)(new Float32Array(4000));
      assert.ok(values.length > 0 && values.every(Number.isFinite));
    });
  }
});

test('a bin of features can be put to the scale that a model was trained on', () => {
  const [, first] = Object.entries(golden.cases)[0] ?? [];
  assert.ok(first);
  const scaled = featureExtractor({
    ...first.options,
    normalisation: { type: 'fixed', mean: -40, std: 20 },
  })(excerpt);
  const wanted = ((first.bins[0]?.[0] ?? NaN) + 40) / 20;
  assert.ok(Math.abs((scaled.values[0] ?? NaN) - wanted) < 1e-3);
});
