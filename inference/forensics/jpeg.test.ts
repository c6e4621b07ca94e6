import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import sharp, { type JpegOptions } from 'sharp';
import { lumaPatches } from '../dsp/luma-patches.ts';
import { withBytes } from '../media/source.ts';
import { doubleJpeg } from './double-jpeg.ts';
import { readJpegFacts } from './jpeg-segments.ts';
import { standardTable, tableFacts } from './jpeg-tables.ts';

const side = 512;

/** Shapes of all sizes and some grain, the same every time: a picture, as far as its coefficients are concerned. */
async function picture(): Promise<Buffer> {
  const layers = await Promise.all(
    [side, side / 2, side / 4, side / 8, side / 16].map((size, octave) => {
      let state = octave + 1;
      const grain = Uint8Array.from({ length: size * size }, () => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return state >>> 24;
      });
      return sharp(grain, { raw: { width: size, height: size, channels: 1 } })
        .resize(side, side, { kernel: 'cubic' })
        .toColourspace('b-w')
        .raw()
        .toBuffer();
    }),
  );
  const weights = [0.05, 0.1, 0.2, 0.3, 0.35];
  const gray = Uint8Array.from({ length: side * side }, (_, index) =>
    layers.reduce((sum, layer, octave) => sum + (weights[octave] ?? 0) * (layer[index] ?? 0), 0),
  );
  return sharp(gray, { raw: { width: side, height: side, channels: 1 } })
    .png()
    .toBuffer();
}

const original = await picture();

async function saved(bytes: Uint8Array, options: JpegOptions): Promise<Buffer> {
  return sharp(bytes).toColourspace('srgb').jpeg(options).toBuffer();
}

const factsOf = (content: Uint8Array) => withBytes({ path: 'image', content }, readJpegFacts);

/** What the coefficients of a file tell. */
async function judged(jpeg: Buffer) {
  const facts = await factsOf(jpeg);
  const { data, info } = await sharp(jpeg).toColourspace('srgb').raw().toBuffer({ resolveWithObject: true });
  const patches = lumaPatches({ data, width: info.width, height: info.height });
  return doubleJpeg(patches, facts?.tables.get(facts.lumaTable) ?? []);
}

describe('the markers of a JPEG file', () => {
  for (const quality of [30, 50, 75, 90, 99]) {
    test(`tell the quality ${quality} of a common library`, async () => {
      const facts = await factsOf(await saved(original, { quality }));
      const luma = facts?.tables.get(facts.lumaTable) ?? [];
      assert.deepEqual(luma, standardTable(quality));
      assert.deepEqual(tableFacts(luma), { quality, kind: 'standard' });
    });
  }

  const rows: { name: string; options: JpegOptions; subsampling: string; isProgressive: boolean }[] = [
    {
      name: 'half of the chroma',
      options: { chromaSubsampling: '4:2:0' },
      subsampling: '4:2:0',
      isProgressive: false,
    },
    {
      name: 'all of the chroma',
      options: { chromaSubsampling: '4:4:4' },
      subsampling: '4:4:4',
      isProgressive: false,
    },
    { name: 'several scans', options: { progressive: true }, subsampling: '4:2:0', isProgressive: true },
  ];
  for (const { name, options, ...expected } of rows) {
    test(`tell of ${name}`, async () => {
      const { subsampling, isProgressive } = (await factsOf(await saved(original, options))) ?? {};
      assert.deepEqual({ subsampling, isProgressive }, expected);
    });
  }

  const withoutFactors = [
    { name: 'no luma across', component: 0, factors: 0x02 },
    { name: 'no luma down', component: 0, factors: 0x20 },
    { name: 'no chroma across', component: 1, factors: 0x01 },
    { name: 'no chroma down', component: 1, factors: 0x10 },
  ];
  for (const { name, component, factors } of withoutFactors) {
    test(`tell of no subsampling where there is ${name}`, async () => {
      const jpeg = await saved(original, {});
      const frame = jpeg.indexOf(Buffer.from([0xff, 0xc0]));
      // Marker, length, precision, height, width, components; then number, factors and table of each.
      jpeg[frame + 11 + 3 * component] = factors;
      const facts = await factsOf(jpeg);
      assert.deepEqual([facts?.components, facts?.subsampling], [3, null]);
    });
  }

  test('of a file without pixels tell nothing', async () => {
    const whole = await saved(original, {});
    for (const length of [0, 2, 3, 20, 100, 160])
      assert.equal(await factsOf(whole.subarray(0, length)), undefined, `${length} bytes`);
    assert.equal(await factsOf(original), undefined);
  });

  test('with tables that no library has are those of a camera or an editor', () => {
    const table = standardTable(80).with(5, 1);
    assert.deepEqual(tableFacts(table), { quality: 80, kind: 'custom' });
  });
});

describe('a picture that was saved as JPEG', () => {
  for (const quality of [60, 75, 85, 92]) {
    test(`once, at ${quality}, has no rhythm`, async () => {
      const found = await judged(await saved(original, { quality }));
      assert.equal(found?.isLikely, false);
      assert.equal(found.rhythmic, 0);
    });
  }

  const twice = [
    { first: 60, second: 90 },
    { first: 70, second: 85 },
    { first: 80, second: 95 },
    { first: 55, second: 75 },
  ];
  for (const { first, second } of twice) {
    test(`at ${first} and then at ${second} has one`, async () => {
      const found = await judged(await saved(await saved(original, { quality: first }), { quality: second }));
      assert.equal(found?.isLikely, true);
      assert.ok(found.evidence > 0.05, `${found.evidence}`);
    });
  }

  test('twice with the same steps cannot be told from once', async () => {
    const found = await judged(await saved(await saved(original, { quality: 80 }), { quality: 80 }));
    assert.equal(found?.isLikely, false);
  });

  test('and cut off the grid in between has no rhythm', async () => {
    const cut = await sharp(await saved(original, { quality: 60 }))
      .extract({ left: 3, top: 5, width: 500, height: 500 })
      .png()
      .toBuffer();
    assert.equal((await judged(await saved(cut, { quality: 90 })))?.isLikely, false);
  });

  test('says nothing where it is flat or its steps are the smallest', async () => {
    const flat = await sharp({ create: { width: 256, height: 256, channels: 3, background: '#777' } })
      .png()
      .toBuffer();
    assert.equal(await judged(await saved(flat, { quality: 80 })), undefined);
    assert.equal(await judged(await saved(original, { quality: 100 })), undefined);
  });
});
