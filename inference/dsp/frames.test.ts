import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type PixelFormat, pixelWriter } from './frames.ts';

/** Two pixels: (0, 51, 102) and (153, 204, 255), which are 0, 0.2, 0.4, 0.6, 0.8 and 1. */
const raster = { width: 2, height: 1, data: Uint8Array.of(0, 51, 102, 153, 204, 255) };

describe('pixels become values', () => {
  const plain = { mean: [0, 0, 0], std: [1, 1, 1] } as const;
  const rows: { format: PixelFormat; values: number[] }[] = [
    { format: { channels: 'rgb', layout: 'nchw', ...plain }, values: [0, 0.6, 0.2, 0.8, 0.4, 1] },
    { format: { channels: 'bgr', layout: 'nchw', ...plain }, values: [0.4, 1, 0.2, 0.8, 0, 0.6] },
    { format: { channels: 'rgb', layout: 'nhwc', ...plain }, values: [0, 0.2, 0.4, 0.6, 0.8, 1] },
    {
      format: { channels: 'bgr', layout: 'nhwc', mean: [0.4, 0, 0], std: [0.5, 1, 2] },
      values: [0, 0.2, 0, 1.2, 0.8, 0.3],
    },
  ];
  for (const { format, values } of rows) {
    test(`in ${format.channels}, ${format.layout}, less ${format.mean}, by ${format.std}`, () => {
      const target = new Float32Array(6);
      pixelWriter(format)(raster, target);
      assert.deepEqual(
        Array.from(target, (value) => Math.round(value * 1e5) / 1e5),
        values,
      );
    });
  }
});
