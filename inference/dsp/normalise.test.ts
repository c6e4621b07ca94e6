import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { itemShapeOf, type Normalisation, normalise } from './normalise.ts';

/** Two pixels side by side. */
const raster = { data: Uint8Array.of(0, 51, 102, 153, 204, 255), width: 2, height: 1 };
const plain: Normalisation = { channels: 'rgb', layout: 'nchw', scale: 1, mean: [0, 0, 0], std: [1, 1, 1] };

describe('normalised pixels', () => {
  const rows: { name: string; change: Partial<Normalisation>; values: number[] }[] = [
    { name: 'lie channel by channel in NCHW', change: {}, values: [0, 153, 51, 204, 102, 255] },
    { name: 'lie pixel by pixel in NHWC', change: { layout: 'nhwc' }, values: [0, 51, 102, 153, 204, 255] },
    { name: 'begin with blue for BGR', change: { channels: 'bgr' }, values: [102, 255, 51, 204, 0, 153] },
    {
      name: 'begin with blue for BGR in NHWC',
      change: { channels: 'bgr', layout: 'nhwc' },
      values: [102, 51, 0, 255, 204, 153],
    },
    {
      name: 'are scaled, then centred, then divided, each channel by its own numbers',
      change: { scale: 1 / 51, mean: [0, 1, 2], std: [1, 0.5, 0.25] },
      values: [0, 3, 0, 6, 0, 12],
    },
    {
      name: 'take mean and std in the order of the channels',
      change: { channels: 'bgr', scale: 1 / 51, mean: [2, 1, 0] },
      values: [0, 3, 0, 3, 0, 3],
    },
  ];
  for (const { name, change, values } of rows) {
    test(name, () => {
      const found = Array.from(normalise(raster, { ...plain, ...change }));
      assert.deepEqual(
        found.map((value) => Math.round(value * 1e4) / 1e4),
        values,
      );
    });
  }

  test('have the shape of their layout', () => {
    assert.deepEqual(itemShapeOf({ width: 4, height: 2 }, 'nchw'), [3, 2, 4]);
    assert.deepEqual(itemShapeOf({ width: 4, height: 2 }, 'nhwc'), [2, 4, 3]);
  });
});
