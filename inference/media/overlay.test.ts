import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import sharp from 'sharp';
import type { Heatmap } from '../dsp/heatmap.ts';
import { flatImage, inTemporaryFolder } from '../testing/media.ts';
import { renderOverlay } from './overlay.ts';

const signal = new AbortController().signal;
const leftColdRightHot: Heatmap = { rows: 1, cols: 2, scores: [[0, 1]] };

async function overlayOf(bytes: Uint8Array, heatmap: Heatmap, alpha: number) {
  return inTemporaryFolder(async (folder) => {
    const path = join(folder, 'upload');
    await writeFile(path, bytes);
    const png = await renderOverlay({ path }, heatmap, { alpha, signal });
    const { data, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
    const at = (x: number, y: number) => [
      ...data.subarray(3 * (y * info.width + x), 3 * (y * info.width + x) + 3),
    ];
    return { png, width: info.width, height: info.height, channels: info.channels, at };
  });
}

describe('an overlay', () => {
  test('is a PNG of the size of the image, with colours mixed by alpha', async () => {
    const gray = await flatImage({ width: 400, height: 200, level: 100, format: 'png' });
    const { width, height, channels, at } = await overlayOf(gray, leftColdRightHot, 0.5);
    assert.deepEqual([width, height, channels], [400, 200, 3]);
    assert.ok(at(5, 100).every((value, channel) => Math.abs(value - ([50, 50, 114][channel] ?? 0)) <= 2));
    assert.ok(at(395, 100).every((value, channel) => Math.abs(value - ([114, 50, 50][channel] ?? 0)) <= 2));
  });

  test('without opacity is the image', async () => {
    const gray = await flatImage({ width: 40, height: 20, level: 100, format: 'png' });
    assert.deepEqual((await overlayOf(gray, leftColdRightHot, 0)).at(20, 10), [100, 100, 100]);
  });

  test('is at most 1600 pixels wide or high', async () => {
    const wide = await flatImage({ width: 3200, height: 400, level: 0, format: 'jpeg' });
    const { width, height } = await overlayOf(wide, leftColdRightHot, 0.5);
    assert.deepEqual([width, height], [1600, 200]);
  });

  test('is upright, as the heat map is', async () => {
    const turned = await sharp({ create: { width: 30, height: 20, channels: 3, background: '#888' } })
      .withMetadata({ orientation: 6 })
      .jpeg()
      .toBuffer();
    const { width, height } = await overlayOf(turned, leftColdRightHot, 0.5);
    assert.deepEqual([width, height], [20, 30]);
  });

  test('of a gray image has colours', async () => {
    const create = { width: 40, height: 20, channels: 3, background: '#404040' } as const;
    const gray = await sharp({ create }).toColourspace('b-w').png().toBuffer();
    const [red = 0, , blue = 0] = (await overlayOf(gray, leftColdRightHot, 1)).at(38, 10);
    assert.ok(red > 100 && blue < 10, `red ${red}, blue ${blue}`);
  });

  test('of a damaged file is refused by name of the damage, without the path', async () => {
    const cut = (await flatImage({ width: 400, height: 200, level: 100, format: 'png' })).subarray(0, 200);
    await assert.rejects(overlayOf(cut, leftColdRightHot, 0.5), (error: Error) => {
      assert.match(error.message, /the image file is corrupt or truncated: ./);
      return !error.message.includes('/upload');
    });
  });

  test('stops with the reason of its request', async () => {
    const reason = new Error('gone');
    const options = { alpha: 0.5, signal: AbortSignal.abort(reason) };
    await assert.rejects(renderOverlay({ path: '/nowhere' }, leftColdRightHot, options), reason);
  });
});
