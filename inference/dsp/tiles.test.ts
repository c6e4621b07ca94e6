import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { reflectIndex, tileGrid, tileOrigins } from './tiles.ts';

describe('tiles along an axis', () => {
  const rows = [
    { length: 256, origins: [0] },
    { length: 200, origins: [0] },
    { length: 257, origins: [0, 1] },
    { length: 512, origins: [0, 256] },
    { length: 513, origins: [0, 129, 257] },
    { length: 600, origins: [0, 172, 344] },
    { length: 4000, origins: [0, 1872, 3744] },
  ];
  for (const { length, origins } of rows) {
    test(`of ${length} pixels begin at ${origins}`, () =>
      assert.deepEqual(tileOrigins(length, 256, 3), origins));
  }

  test('are centred when only one is wanted', () => assert.deepEqual(tileOrigins(601, 256, 1), [172]));
});

test('an axis is mirrored without repeating its edge', () => {
  const mirrored = Array.from({ length: 11 }, (_, index) => reflectIndex(index - 3, 4));
  assert.deepEqual(mirrored, [3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1]);
  assert.equal(reflectIndex(7, 1), 0);
});

describe('a grid of tiles', () => {
  /** Red counts columns, green counts rows, blue is constant. */
  const raster = (width: number, height: number) => {
    const data = new Uint8Array(width * height * 3);
    for (let y = 0; y < height; y += 1) {
      for (let x = 0; x < width; x += 1) data.set([x, y, 9], 3 * (y * width + x));
    }
    return { data, width, height };
  };

  test('is [N, 3, side, side], planes of red, green and blue, row by row', () => {
    const grid = tileGrid(raster(7, 4), 4, 3);
    assert.deepEqual([grid.rows, grid.cols, grid.pixels.length], [1, 2, 2 * 3 * 16]);
    const tile = (index: number, plane: number) => [
      ...grid.pixels.subarray((index * 3 + plane) * 16, (index * 3 + plane + 1) * 16),
    ];
    assert.deepEqual(tile(1, 0).slice(0, 4), [3, 4, 5, 6]);
    assert.deepEqual(tile(1, 1).slice(0, 8), [0, 0, 0, 0, 1, 1, 1, 1]);
    assert.ok(tile(0, 2).every((value) => value === 9));
  });

  test('mirrors a small image at its right and lower end', () => {
    const grid = tileGrid(raster(3, 2), 4, 3);
    assert.deepEqual([...grid.pixels.subarray(0, 4)], [0, 1, 2, 1]);
    assert.deepEqual(
      [16, 20, 24, 28].map((at) => grid.pixels[at]),
      [0, 1, 0, 1],
    );
  });
});
