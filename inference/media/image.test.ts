import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { crc32 } from 'node:zlib';
import sharp, { type Sharp } from 'sharp';
import { ServiceError } from '../errors.ts';
import { asFile, flatImage, noiseImage } from '../testing/media.ts';
import { decodeImage, decodeResized, type ImageHeader, type Resizing, readImageHeader } from './image.ts';
import { sniffMedia } from './sniff.ts';

const hasCode =
  (code: string, message = /./) =>
  (error: unknown) =>
    error instanceof ServiceError && error.code === code && message.test(error.message);

const half = (bytes: Buffer) => bytes.subarray(0, Math.floor(bytes.length / 2));

describe('images', () => {
  const decode = async (path: string) => {
    const request = { path, mime: 'image/test', limitPixels: 1e6 };
    await readImageHeader(request);
    return decodeImage(request);
  };

  for (const format of ['png', 'jpeg', 'webp'] as const) {
    test(`of ${format} become RGB at their own size`, async () => {
      const image = await asFile(await flatImage({ width: 30, height: 20, level: 200, format }), decode);
      assert.deepEqual([image.width, image.height, image.data.length], [30, 20, 1800]);
      assert.ok(image.data.every((value) => Math.abs(value - 200) <= 2));
    });

    test(`of ${format} that are cut in half are called corrupt`, async () => {
      await assert.rejects(
        asFile(half(await noiseImage(200, 200, format)), decode),
        hasCode('corrupt_media', /corrupt or truncated: ./),
      );
    });
  }

  test('are turned upright by their EXIF orientation', async () => {
    const bytes = await sharp({ create: { width: 30, height: 20, channels: 3, background: '#888' } })
      .withMetadata({ orientation: 6 })
      .jpeg()
      .toBuffer();
    const image = await asFile(bytes, decode);
    assert.deepEqual([image.width, image.height], [20, 30]);
  });

  test('lose their alpha channel and keep the colour under it', async () => {
    const background = { r: 10, g: 20, b: 30, alpha: 0 };
    const bytes = await sharp({ create: { width: 4, height: 4, channels: 4, background } })
      .png()
      .toBuffer();
    assert.deepEqual([...(await asFile(bytes, decode)).data.subarray(0, 3)], [10, 20, 30]);
  });

  test('of gray and of 16 bits become 8-bit RGB', async () => {
    const create = { width: 4, height: 4, channels: 3, background: '#404040' } as const;
    for (const space of ['b-w', 'rgb16', 'grey16']) {
      const image = await asFile(await sharp({ create }).toColourspace(space).png().toBuffer(), decode);
      assert.equal(image.data.length, 48, space);
      assert.ok(Math.abs((image.data[5] ?? 0) - 0x40) <= 2, space);
    }
  });

  test('with too many pixels are refused before they are decoded', async () => {
    const bytes = await flatImage({ width: 2000, height: 1000, level: 0, format: 'png' });
    await assert.rejects(asFile(bytes, decode), hasCode('image_too_large', /2000x1000/));
  });

  test('whose header lies about its size are refused without the memory for it', async () => {
    const bomb = await flatImage({ width: 10, height: 10, level: 0, format: 'png' });
    bomb.writeUInt32BE(60_000, 16);
    bomb.writeUInt32BE(60_000, 20);
    await assert.rejects(
      asFile(bomb, decode),
      (error) => hasCode('image_too_large')(error) || hasCode('corrupt_media')(error),
    );
  });
});

/** Left half red, right half blue, `width` by 8 pixels, of which `black` are black at either side. */
function redAndBlue(width: number, black = 0): Sharp {
  const pixels = Array.from({ length: width * 8 }, (_, at) => {
    const x = at % width;
    if (x < black || x >= width - black) return [0, 0, 0];
    return x < width / 2 ? [255, 0, 0] : [0, 0, 255];
  });
  return sharp(Uint8Array.from(pixels.flat()), { raw: { width, height: 8, channels: 3 } });
}

/** The colour at a place in `[width, height]` parts of the raster: `r`, `b`, or `k` for black. */
function colourAt(
  { data, width, height }: { data: Uint8Array; width: number; height: number },
  x: number,
  y: number,
): string {
  const at = 3 * (Math.floor(y * height) * width + Math.floor(x * width));
  const [red = 0, green = 0, blue = 0] = data.subarray(at, at + 3);
  if (red > 200 && green < 60 && blue < 60) return 'r';
  if (blue > 200 && green < 60 && red < 60) return 'b';
  return red + green + blue < 30 ? 'k' : `${red},${green},${blue}`;
}

describe('images of every orientation', () => {
  /** What is seen at the left, the top, the right and the bottom end of the upright image; `m` where both halves meet there. */
  const rows: { orientation: number; left: string; right: string; top: string; bottom: string }[] = [
    { orientation: 1, left: 'r', right: 'b', top: 'r', bottom: 'r' },
    { orientation: 2, left: 'b', right: 'r', top: 'b', bottom: 'b' },
    { orientation: 3, left: 'b', right: 'r', top: 'b', bottom: 'b' },
    { orientation: 4, left: 'r', right: 'b', top: 'r', bottom: 'r' },
    { orientation: 5, left: 'r', right: 'r', top: 'r', bottom: 'b' },
    { orientation: 6, left: 'r', right: 'r', top: 'r', bottom: 'b' },
    { orientation: 7, left: 'b', right: 'b', top: 'b', bottom: 'r' },
    { orientation: 8, left: 'b', right: 'b', top: 'b', bottom: 'r' },
  ];
  for (const { orientation, ...ends } of rows) {
    test(`${orientation} are turned upright, whole and resized`, async () => {
      const bytes = await redAndBlue(32).withMetadata({ orientation }).png().toBuffer();
      await asFile(bytes, async (path) => {
        const request = { path, mime: 'image/png', limitPixels: 1e6 };
        const header = await readImageHeader(request);
        const [width, height] = orientation < 5 ? [32, 8] : [8, 32];
        const resizing = { fit: 'stretch', kernel: 'linear', shrinkOnLoad: false } as const;
        const size = { width: width / 2, height: height / 2 };
        const whole = await decodeImage(request);
        assert.deepEqual(
          [header.width, header.height, whole.width, whole.height],
          [width, height, width, height],
        );
        for (const raster of [whole, await decodeResized(request, header, { ...size, ...resizing })]) {
          const [left, right] = [colourAt(raster, 0.1, 0.1), colourAt(raster, 0.9, 0.1)];
          const [top, bottom] = [colourAt(raster, 0.1, 0.1), colourAt(raster, 0.1, 0.9)];
          assert.deepEqual({ left, right, top, bottom }, ends);
        }
      });
    });
  }
});

describe('images of every kind of pixel', () => {
  const colour = { r: 200, g: 100, b: 50 };
  const gray = { r: 128, g: 128, b: 128 };
  const make = (background: { r: number; g: number; b: number }) =>
    sharp({ create: { width: 64, height: 48, channels: 3, background } });
  const rows: { name: string; bytes: () => Promise<Buffer>; rgb: number[]; tolerance: number }[] = [
    { name: 'JPEG', bytes: () => make(colour).jpeg().toBuffer(), rgb: [200, 100, 50], tolerance: 3 },
    {
      name: 'progressive JPEG',
      bytes: () => make(colour).jpeg({ progressive: true }).toBuffer(),
      rgb: [200, 100, 50],
      tolerance: 3,
    },
    {
      name: 'CMYK JPEG',
      bytes: () => make(colour).toColourspace('cmyk').jpeg().toBuffer(),
      rgb: [200, 100, 50],
      tolerance: 4,
    },
    {
      name: 'gray JPEG',
      bytes: () => make(gray).toColourspace('b-w').jpeg().toBuffer(),
      rgb: [128, 128, 128],
      tolerance: 2,
    },
    {
      name: 'PNG with a palette',
      bytes: () => make(colour).png({ palette: true }).toBuffer(),
      rgb: [200, 100, 50],
      tolerance: 2,
    },
    {
      name: '16-bit PNG',
      bytes: () => make(colour).toColourspace('rgb16').png().toBuffer(),
      rgb: [200, 100, 50],
      tolerance: 1,
    },
    {
      name: '16-bit gray PNG',
      bytes: () => make(gray).toColourspace('grey16').png().toBuffer(),
      rgb: [128, 128, 128],
      tolerance: 2,
    },
    {
      name: 'PNG with alpha',
      bytes: () => make(colour).ensureAlpha(0.25).png().toBuffer(),
      rgb: [200, 100, 50],
      tolerance: 0,
    },
    {
      name: 'lossless WebP with alpha',
      bytes: () => make(colour).ensureAlpha(0.25).webp({ lossless: true }).toBuffer(),
      rgb: [200, 100, 50],
      tolerance: 0,
    },
    { name: 'WebP', bytes: () => make(colour).webp().toBuffer(), rgb: [200, 100, 50], tolerance: 4 },
    { name: 'GIF', bytes: () => make(colour).gif().toBuffer(), rgb: [200, 100, 50], tolerance: 2 },
    {
      name: 'AVIF',
      bytes: () => make(colour).avif({ quality: 90 }).toBuffer(),
      rgb: [200, 100, 50],
      tolerance: 4,
    },
  ];
  for (const { name, bytes, rgb, tolerance } of rows) {
    test(`become RGB, whole and resized: ${name}`, async () => {
      await asFile(await bytes(), async (path) => {
        const request = { path, mime: 'image/test', limitPixels: 1e6 };
        const header = await readImageHeader(request);
        const resizing = { width: 16, height: 12, fit: 'stretch', kernel: 'cubic' } as const;
        const rasters = [
          await decodeImage(request),
          await decodeResized(request, header, { ...resizing, shrinkOnLoad: false }),
          await decodeResized(request, header, { ...resizing, shrinkOnLoad: true }),
        ];
        for (const { data, width, height } of rasters) {
          assert.equal(data.length, width * height * 3);
          const worst = data.reduce(
            (most, value, at) => Math.max(most, Math.abs(value - (rgb[at % 3] ?? 0))),
            0,
          );
          assert.ok(worst <= tolerance, `${data.subarray(0, 3)} instead of ${rgb}`);
        }
      });
    });
  }
});

describe('resized images', () => {
  const resize = async (image: Sharp, resizing: Partial<Resizing>) =>
    asFile(await image.png().toBuffer(), async (path) => {
      const request = { path, mime: 'image/png', limitPixels: 1e6 };
      const defaults = {
        width: 16,
        height: 16,
        fit: 'stretch',
        kernel: 'linear',
        shrinkOnLoad: false,
      } as const;
      return decodeResized(request, await readImageHeader(request), { ...defaults, ...resizing });
    });

  const rows: { name: string; fit: Resizing['fit']; seen: string }[] = [
    { name: 'show everything where they are stretched', fit: 'stretch', seen: 'k r b k' },
    { name: 'lose both ends where they cover', fit: 'cover-center', seen: 'r r b b' },
    { name: 'have black above and below where they are contained', fit: 'contain-pad', seen: 'k k k k' },
  ];
  for (const { name, fit, seen } of rows) {
    test(name, async () => {
      const raster = await resize(redAndBlue(32, 8), { fit });
      assert.deepEqual([raster.width, raster.height], [16, 16]);
      const row = [0.05, 0.4, 0.6, 0.95].map((x) => colourAt(raster, x, 0.05));
      assert.equal(row.join(' '), seen);
      assert.deepEqual([colourAt(raster, 0.4, 0.5), colourAt(raster, 0.6, 0.5)], ['r', 'b']);
    });
  }

  test('that are contained in a wider frame have black at their sides', async () => {
    const raster = await resize(redAndBlue(8), { width: 32, height: 16, fit: 'contain-pad' });
    assert.equal([0.1, 0.3, 0.7, 0.9].map((x) => colourAt(raster, x, 0.5)).join(' '), 'k r b k');
  });

  test('do not mix colours by their alpha', async () => {
    const halves = await redAndBlue(32).raw().toBuffer();
    const clearLeft = Array.from({ length: 32 * 8 }, (_, at) => [
      ...halves.subarray(3 * at, 3 * at + 3),
      at % 32 < 16 ? 0 : 255,
    ]);
    const image = sharp(Uint8Array.from(clearLeft.flat()), { raw: { width: 32, height: 8, channels: 4 } });
    const raster = await resize(image, {});
    assert.deepEqual([colourAt(raster, 0.1, 0.5), colourAt(raster, 0.9, 0.5)], ['r', 'b']);
  });

  test('of JPEG read all pixels unless they may shrink on load', async () => {
    const noise = await noiseImage(640, 640, 'jpeg');
    await asFile(noise, async (path) => {
      const request = { path, mime: 'image/jpeg', limitPixels: 1e6 };
      const header: ImageHeader = await readImageHeader(request);
      const resizing = { width: 40, height: 40, fit: 'stretch', kernel: 'linear' } as const;
      const full = await decodeResized(request, header, { ...resizing, shrinkOnLoad: false });
      const shrunk = await decodeResized(request, header, { ...resizing, shrinkOnLoad: true });
      const whole = await decodeImage(request);
      const reduced = await sharp(whole.data, { raw: { width: 640, height: 640, channels: 3 } })
        .resize({ width: 40, height: 40, fit: 'fill', kernel: 'linear' })
        .raw()
        .toBuffer();
      assert.ok(reduced.equals(full.data));
      assert.ok(!reduced.equals(shrunk.data));
    });
  });
});

describe('the header of an image', () => {
  test('counts the frames of an animated PNG, which libvips does not', async () => {
    const png = await flatImage({ width: 8, height: 8, level: 9, format: 'png' });
    const control = Buffer.from('\0\0\0\x08acTL\0\0\0\x03\0\0\0\0', 'latin1');
    const check = Buffer.alloc(4);
    check.writeUInt32BE(crc32(control.subarray(4)));
    await asFile(Buffer.concat([png.subarray(0, 33), control, check, png.subarray(33)]), async (path) => {
      const media = await sniffMedia({ path });
      assert.deepEqual(media, { kind: 'image', mime: 'image/apng' });
      const header = await readImageHeader({ path, mime: 'image/apng', limitPixels: 1e6 });
      assert.equal(header.frames, 3);
    });
  });
});

describe('image readers', () => {
  const refused: { name: string; bytes: string }[] = [
    { name: 'SVG', bytes: '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>' },
    { name: 'PDF', bytes: '%PDF-1.7\n' },
    { name: 'TIFF', bytes: 'II*\0\x08\0\0\0\0\0' },
    { name: 'PPM', bytes: 'P6 1 1 255\nabc' },
    { name: 'CSV', bytes: '1,2,3\n4,5,6\n' },
  ];
  for (const { name, bytes } of refused) {
    test(`do not exist for ${name}, even where it gets past the sniffing`, async () => {
      await asFile(Buffer.from(bytes, 'latin1'), async (path) => {
        const request = { path, mime: 'image/png', limitPixels: 1e6 };
        await assert.rejects(readImageHeader(request), hasCode('corrupt_media', /unsupported image format/));
      });
    });
  }
});
