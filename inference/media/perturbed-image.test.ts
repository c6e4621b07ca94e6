import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import sharp from 'sharp';
import { noiseImage } from '../testing/media.ts';
import { perturbations, perturbedImage } from './perturbed-image.ts';

const request = (content: Uint8Array) => ({
  path: 'image',
  content,
  mime: 'image/png',
  limitPixels: 1e6,
});
const picture = await noiseImage(200, 120, 'png');

describe('a copy of an image', () => {
  const rows = [
    { perturbation: 'jpeg_75', format: 'jpeg', width: 200, height: 120 },
    { perturbation: 'jpeg_90', format: 'jpeg', width: 200, height: 120 },
    { perturbation: 'resize_90', format: 'png', width: 200, height: 120 },
    { perturbation: 'crop_95', format: 'png', width: 190, height: 114 },
  ] as const;
  for (const { perturbation, ...expected } of rows) {
    test(`by ${perturbation} keeps its size or nearly so, and changes its pixels`, async () => {
      const { content, mime } = await perturbedImage(request(picture), perturbation);
      const { format, width, height } = await sharp(content).metadata();
      assert.deepEqual({ format, width, height }, expected);
      assert.equal(mime, `image/${expected.format}`);
      const region = { left: 0, top: 0, width: 100, height: 100 };
      const [before, after] = await Promise.all(
        [picture, content].map((bytes) => sharp(bytes).extract(region).removeAlpha().raw().toBuffer()),
      );
      assert.notDeepEqual(after, before);
    });

    test(`by ${perturbation} is the same every time`, async () => {
      const [first, second] = await Promise.all(
        [0, 1].map(() => perturbedImage(request(picture), perturbation)),
      );
      assert.deepEqual(first, second);
    });
  }

  for (const side of [1, 2, 3]) {
    test(`of ${side} pixels still has some`, async () => {
      const tiny = await noiseImage(side, side, 'png');
      for (const perturbation of perturbations) {
        const { content } = await perturbedImage(request(tiny), perturbation);
        assert.ok((await sharp(content).metadata()).width > 0);
      }
    });
  }

  test('of a damaged file is none', () =>
    assert.rejects(perturbedImage(request(picture.subarray(0, 400)), 'jpeg_75'), { code: 'corrupt_media' }));
});
