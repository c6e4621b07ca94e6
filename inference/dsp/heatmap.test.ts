import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { colourHeat, type Heatmap } from './heatmap.ts';

const leftColdRightHot: Heatmap = { rows: 1, cols: 2, scores: [[0, 1]] };

describe('the colours of a heat map', () => {
  const rows: { name: string; value: number; rgb: number[] }[] = [
    { name: 'dark blue for 0', value: 0, rgb: [0, 0, 128] },
    { name: 'green for a half', value: 0.5, rgb: [128, 255, 128] },
    { name: 'dark red for 1', value: 1, rgb: [128, 0, 0] },
  ];
  for (const { name, value, rgb } of rows) {
    test(`are ${name}`, () => {
      const { data } = colourHeat({ rows: 1, cols: 1, scores: [[value]] }, { width: 1, height: 1 }, 1);
      assert.deepEqual([...data], [...rgb, 255]);
    });
  }

  test('change gradually between the centres of cells', () => {
    const { data } = colourHeat(leftColdRightHot, { width: 8, height: 1 }, 1);
    const reds = Array.from({ length: 8 }, (_, x) => data[4 * x] ?? 0);
    const blues = Array.from({ length: 8 }, (_, x) => data[4 * x + 2] ?? 0);
    assert.deepEqual(
      [reds.slice(0, 3), blues.slice(5)],
      [
        [0, 0, 0],
        [0, 0, 0],
      ],
    );
    assert.deepEqual([blues[0], reds[7]], [128, 128]);
  });

  test('are missing outside the area of the grid', () => {
    const area = { left: 0.5, top: 0, width: 0.5, height: 1 };
    const { data } = colourHeat({ ...leftColdRightHot, area }, { width: 4, height: 1 }, 0.5);
    assert.deepEqual([data[3], data[7], data[11], data[15]], [0, 0, 128, 128]);
  });

  test('show the part of a grid that lies on the image, where it reaches beyond', () => {
    const area = { left: 0, top: -0.5, width: 1, height: 2 };
    const grid: Heatmap = { rows: 4, cols: 1, scores: [[0], [1], [1], [0]], area };
    const { data } = colourHeat(grid, { width: 1, height: 1 }, 1);
    assert.deepEqual([...data], [128, 0, 0, 255]);
  });
});
