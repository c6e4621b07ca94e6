import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import golden from '../testing/golden/colour-cues.json' with { type: 'json' };
import { chromaticityHistogram } from './chromaticity.ts';

type Colour = readonly [number, number, number];

const red: Colour = [200, 0, 0];
const green: Colour = [0, 10, 0];
const blue: Colour = [0, 0, 255];
const gray: Colour = [90, 90, 90];
const black: Colour = [0, 0, 0];

const pixels = (...colours: readonly Colour[]) => ({ data: Uint8Array.from(colours.flat()) });

describe('in a histogram of 4 x 4 cells', () => {
  const rows: { name: string; colours: readonly Colour[]; cells: Readonly<Record<number, number>> }[] = [
    { name: 'red is the last row', colours: [red], cells: { 12: 255 } },
    { name: 'green is the last column', colours: [green], cells: { 3: 255 } },
    { name: 'blue is what is neither', colours: [blue], cells: { 0: 255 } },
    { name: 'black has no colour and lies there too', colours: [black], cells: { 0: 255 } },
    { name: 'brightness does not matter', colours: [gray, [9, 9, 9]], cells: { 5: 255 } },
    { name: 'a share of exactly a half is below the edge', colours: [[80, 80, 0]], cells: { 5: 255 } },
    { name: 'the most frequent colour is 255', colours: [red, red, red, green], cells: { 12: 255, 3: 85 } },
  ];
  for (const { name, colours, cells } of rows) {
    test(name, () => {
      const expected = Array.from({ length: 16 }, (_, cell) => cells[cell] ?? 0);
      assert.deepEqual([...chromaticityHistogram(pixels(...colours), 4)], expected);
    });
  }
});

test('the rarest colour is 0 where all cells have some', () => {
  // Every cell of 2 x 2 that a colour can have but one, which no pair of shares reaches: r and g are both a half or more.
  const found = chromaticityHistogram(pixels(red, red, green, blue), 2);
  assert.deepEqual([...found], [127.5, 127.5, 255, 0]);
});

test('nothing stands out where there are no pixels', () => {
  assert.deepEqual([...chromaticityHistogram(pixels(), 2)], [0, 0, 0, 0]);
});

describe('the histogram of numpy is the one', () => {
  for (const { name, width, height, factors, bins, cells } of golden) {
    test(`of ${name}`, () => {
      // The same as `picture` in `testing/golden/colour-cues.py`.
      const data = Uint8Array.from({ length: 3 * width * height }, (_, index) => {
        const factor = factors[index % 3] ?? 0;
        const row = Math.floor(index / 3 / width);
        const column = Math.floor(index / 3) % width;
        return (row * factor + column * Math.floor(factor / 2) + row * column) % 256;
      });
      const expected = new Float32Array(bins * bins);
      for (const [cell = 0, value = NaN] of cells) expected[cell] = value;
      assert.deepEqual(chromaticityHistogram({ data }, bins), expected);
    });
  }
});
