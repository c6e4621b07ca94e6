import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { decibels, normalisePeak, peakOf, rmsOf, soundRange, spreadWindows, windowsOf } from './waveform.ts';

const ramp = (length: number) => Float32Array.from({ length }, (_, index) => index);

describe('silence', () => {
  const rows = [
    {
      name: 'before and after is left out by whole frames',
      samples: [0, 0, 0, 0, 0, 1, 0, 0, 0, 0],
      range: { start: 4, end: 6 },
    },
    { name: 'in the middle stays', samples: [0, 0, 1, 0, 0, 0, 0, 1, 0, 0], range: { start: 2, end: 8 } },
    {
      name: 'is what lies 50 dB below the peak',
      samples: [0.003, 0, 0.0033, 0, 1, 1],
      range: { start: 2, end: 6 },
    },
    { name: 'everywhere gives an empty range', samples: [0, 0, 0, 0], range: { start: 0, end: 0 } },
    {
      name: 'of a last frame that is cut short counts its own samples',
      samples: [1, 1, 1],
      range: { start: 0, end: 3 },
    },
    { name: 'of nothing is empty', samples: [], range: { start: 0, end: 0 } },
  ];
  for (const { name, samples, range } of rows) {
    test(name, () => assert.deepEqual(soundRange(Float32Array.from(samples), 2, -50), range));
  }
});

describe('windows', () => {
  const rows = [
    { name: 'of a signal of one length are one', total: 4, starts: [0] },
    { name: 'overlap by the hop', total: 8, starts: [0, 2, 4] },
    { name: 'end with one that is aligned to the end', total: 9, starts: [0, 2, 4, 5] },
  ];
  for (const { name, total, starts } of rows) {
    test(name, () => {
      const windows = windowsOf(ramp(total), 4, 2);
      assert.deepEqual(windows.starts, starts);
      assert.deepEqual(
        [...windows.samples],
        starts.flatMap((start) => [start, start + 1, start + 2, start + 3]),
      );
    });
  }

  test('of a short signal repeat it', () => {
    assert.deepEqual([...windowsOf(ramp(3), 8, 2).samples], [0, 1, 2, 0, 1, 2, 0, 1]);
  });
});

describe('windows that are spread', () => {
  const rows = [
    { name: 'reach from the beginning to the end', total: 10, count: 3, starts: [0, 3, 6] },
    { name: 'overlap where there is little', total: 5, count: 3, starts: [0, 1, 1] },
    { name: 'of which there is one are in the middle', total: 10, count: 1, starts: [3] },
  ];
  for (const { name, total, count, starts } of rows) {
    test(name, () => {
      const windows = spreadWindows(ramp(total), 4, count);
      assert.deepEqual(windows.starts, starts);
      assert.deepEqual(
        [...windows.samples],
        starts.flatMap((start) => [start, start + 1, start + 2, start + 3]),
      );
    });
  }

  test('of a short signal repeat it', () => {
    assert.deepEqual([...spreadWindows(ramp(2), 3, 2).samples], [0, 1, 0, 0, 1, 0]);
  });
});

test('levels: the peak is scaled to the target, silence stays silence', () => {
  const scaled = normalisePeak(Float32Array.of(0.1, -0.5), 0.95);
  assert.ok(Math.abs(peakOf(scaled) - 0.95) < 1e-6);
  assert.equal(peakOf(normalisePeak(new Float32Array(4), 0.95)), 0);
  assert.equal(rmsOf(Float32Array.of(3, -3)), 3);
  assert.equal(rmsOf(new Float32Array(0)), 0);
  assert.equal(Math.round(decibels(0.5) * 100) / 100, -6.02);
  assert.equal(decibels(0), -120);
});
