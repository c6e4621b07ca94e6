import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { inputStatisticsOf, median } from './input-statistics.ts';
import { lumaPatches, patchSide } from './luma-patches.ts';
import type { Raster } from './tiles.ts';

/** Gray pixels from a function of their place. */
function picture(width: number, height: number, level: (x: number, y: number) => number): Raster {
  const data = new Uint8Array(3 * width * height);
  for (let y = 0; y < height; y += 1)
    for (let x = 0; x < width; x += 1)
      data.fill(
        Math.max(0, Math.min(255, Math.round(level(x, y)))),
        3 * (y * width + x),
        3 * (y * width + x) + 3,
      );
  return { data, width, height };
}

/** The same numbers every time, about normal with standard deviation 1. */
function noise(): () => number {
  let state = 1;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  return () => Math.sqrt(-2 * Math.log(uniform() + 1e-12)) * Math.cos(2 * Math.PI * uniform());
}

const statisticsOf = (raster: Raster) => inputStatisticsOf(lumaPatches(raster));
const near = (found: number, expected: number, tolerance: number) =>
  assert.ok(Math.abs(found - expected) <= tolerance, `${found} is not ${expected} ± ${tolerance}`);

describe('the patches of an image', () => {
  const rows = [
    { name: 'cover a small one', width: 128, height: 64, rows: 1, cols: 2 },
    { name: 'mirror one that is smaller than a patch', width: 20, height: 10, rows: 1, cols: 1 },
    { name: 'are bounded in number', width: 2000, height: 900, rows: 12, cols: 12 },
  ];
  for (const { name, width, height, ...expected } of rows) {
    test(name, () => {
      const { rows, cols, luma } = lumaPatches(picture(width, height, () => 100));
      assert.deepEqual({ rows, cols }, expected);
      assert.equal(luma.length, rows * cols * patchSide ** 2);
      assert.ok(luma.every((value) => Math.abs(value - 100) < 1e-3));
    });
  }

  test('begin where blocks of 8 pixels do', () => {
    const { luma, cols } = lumaPatches(picture(1003, 70, (x) => (x % 8 === 0 ? 200 : 50)));
    for (let col = 0; col < cols; col += 1)
      assert.ok(Math.abs((luma[col * patchSide ** 2] ?? 0) - 200) < 1e-3);
  });
});

describe('the statistics of an image', () => {
  for (const sigma of [1, 4, 16]) {
    test(`find noise of ${sigma} steps`, () => {
      const next = noise();
      const { log_noise } = statisticsOf(picture(256, 256, () => 128 + sigma * next()));
      near(log_noise, Math.log10(sigma), 0.05);
    });
  }

  test('see no noise in a slope', () => {
    const { log_noise } = statisticsOf(picture(256, 256, (x, y) => 10 + (x + y) / 4));
    assert.ok(log_noise < 0, `${log_noise}`);
  });

  test('tell white noise from smooth shapes by the slope', () => {
    const next = noise();
    near(statisticsOf(picture(256, 256, () => 128 + 20 * next())).spectrum_slope, -2, 0.15);
    const smooth = statisticsOf(picture(256, 256, (x, y) => 128 + 60 * Math.sin(x / 20) * Math.cos(y / 25)));
    assert.ok(smooth.spectrum_slope > 1, `${smooth.spectrum_slope}`);
  });

  test('find blocks of 8 pixels', () => {
    const next = noise();
    const levels = Array.from({ length: 32 * 32 }, () => 128 + 20 * next());
    const blocks = statisticsOf(
      picture(256, 256, (x, y) => levels[32 * Math.floor(y / 8) + Math.floor(x / 8)] ?? 0),
    );
    assert.ok(blocks.blockiness > 5, `${blocks.blockiness}`);
    near(statisticsOf(picture(256, 256, () => 128 + 20 * next())).blockiness, 0, 0.05);
  });

  test('count what is at the ends of the range', () =>
    near(statisticsOf(picture(128, 128, (x) => (x % 4 === 0 ? 255 : 100))).saturated_share, 0.25, 1e-9));

  test('of one colour are finite', () => {
    for (const level of [0, 128, 255])
      assert.ok(Object.values(statisticsOf(picture(64, 64, () => level))).every(Number.isFinite));
  });
});

describe('the median', () => {
  const rows = [
    { values: [3, 1, 2], expected: 2 },
    { values: [4, 1, 2, 3], expected: 2.5 },
    { values: [7], expected: 7 },
  ];
  for (const { values, expected } of rows)
    test(`of ${values} is ${expected}`, () => assert.equal(median(values), expected));
});
