import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { joined, noise, sine } from '../testing/signals.ts';
import { spectrogramPicture } from './spectrogram-picture.ts';

const rate = 16_000;
const sizeOf = (picture: readonly (readonly number[])[]) => [picture.length, picture[0]?.length];

describe('the picture of a spectrogram', () => {
  const rows = [
    { name: 'of a minute is small', samples: noise(60, rate), size: [32, 64] },
    {
      name: 'of a short sound has as many columns as it has frames',
      samples: noise(0.5, rate),
      size: [32, 8],
    },
    { name: 'of nothing is empty', samples: new Float32Array(0), size: [0, undefined] },
  ];
  for (const { name, samples, size } of rows) {
    test(name, () => {
      const picture = spectrogramPicture(samples, rate);
      assert.deepEqual(sizeOf(picture), size);
      for (const value of picture.flat())
        assert.ok(Number.isInteger(value) && value >= -80 && value <= 0 && !Object.is(value, -0), `${value}`);
    });
  }

  test('shows low tones below high ones, in their order', () => {
    const picture = spectrogramPicture(joined(sine(300, 2, rate), sine(5000, 2, rate)), rate);
    const loudestBand = (column: number) => {
      const levels = picture.map((row) => row[column] ?? -Infinity);
      return levels.indexOf(Math.max(...levels));
    };
    const [first, last] = [loudestBand(5), loudestBand(58)];
    assert.ok(first < 6 && last > 20, `${first}, ${last}`);
    assert.equal(Math.max(...picture.flat()), 0);
  });

  test('of digital silence is as quiet as can be', () => {
    const picture = spectrogramPicture(new Float32Array(rate), rate);
    assert.ok(picture.flat().every((value) => value === -80));
  });
});
