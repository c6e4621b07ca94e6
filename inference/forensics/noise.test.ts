import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import sharp from 'sharp';
import { lumaPatches } from '../dsp/luma-patches.ts';
import { noiseStatistics } from './noise.ts';

/** Gray with normal noise of these standard deviations, side by side. */
async function statisticsOf(...sigmas: number[]) {
  const strips = await Promise.all(
    sigmas.map((sigma) =>
      sharp({
        create: {
          width: 256,
          height: 256,
          channels: 3,
          background: '#000',
          noise: { type: 'gaussian', mean: 128, sigma },
        },
      })
        .raw()
        .toBuffer(),
    ),
  );
  const width = 256 * sigmas.length;
  const data = new Uint8Array(width * 256 * 3);
  for (const [index, strip] of strips.entries()) {
    for (let pixel = 0; pixel < 256 * 256; pixel += 1) {
      const level = strip[3 * pixel] ?? 0;
      const at = 3 * ((pixel >> 8) * width + 256 * index + (pixel & 255));
      data.fill(level, at, at + 3);
    }
  }
  return noiseStatistics(lumaPatches({ data, width, height: 256 }));
}

describe('the noise of an image', () => {
  test('that is the same everywhere is found and is consistent', async () => {
    const found = await statisticsOf(8);
    assert.ok(Math.abs(found.level - 8) < 0.4, `${found.level}`);
    assert.ok(Math.abs(found.residual_std - 8) < 0.4, `${found.residual_std}`);
    assert.ok(Math.abs(found.residual_kurtosis) < 0.3, `${found.residual_kurtosis}`);
    assert.ok(found.inconsistency < 0.2, `${found.inconsistency}`);
  });

  test('of which one half has four times as much is two doublings inconsistent', async () => {
    const found = await statisticsOf(4, 16);
    assert.ok(Math.abs(found.inconsistency - 2) < 0.2, `${found.inconsistency}`);
    assert.ok(found.residual_kurtosis > 1, `${found.residual_kurtosis}`);
  });

  test('of one colour is none', () => {
    const data = new Uint8Array(3 * 64 * 64).fill(90);
    const found = noiseStatistics(lumaPatches({ data, width: 64, height: 64 }));
    assert.ok(found.level < 0.01 && found.residual_std < 0.01);
    assert.equal(found.inconsistency, 0);
    assert.ok(Number.isFinite(found.residual_kurtosis));
  });
});
