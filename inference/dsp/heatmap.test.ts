import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { activationHeatmap, colourHeat, gridArea, type Heatmap } from './heatmap.ts';

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

describe('the heat map of activations', () => {
  const area = { left: 0, top: 0, width: 1, height: 1 };
  const rows: { name: string; values: number[]; scores: number[][] }[] = [
    {
      name: 'shares the largest',
      values: [1, 2, 3, 4],
      scores: [
        [0.25, 0.5],
        [0.75, 1],
      ],
    },
    {
      name: 'counts negative values as nothing',
      values: [-8, 2, 0, 1],
      scores: [
        [0, 1],
        [0, 0.5],
      ],
    },
    {
      name: 'is empty where nothing spoke for the score',
      values: [-1, 0, 0, -2],
      scores: [
        [0, 0],
        [0, 0],
      ],
    },
  ];
  for (const { name, values, scores } of rows) {
    test(name, () => {
      const found = activationHeatmap({ values: Float32Array.from(values), rows: 2, cols: 2 }, area);
      assert.deepEqual(found, { rows: 2, cols: 2, scores, area });
    });
  }
});

describe('the area of a graph input of 100 by 100 pixels', () => {
  const rows: {
    name: string;
    image: [number, number];
    fit: Parameters<typeof gridArea>[2];
    area: number[];
  }[] = [
    { name: 'is the image where it is stretched', image: [400, 200], fit: 'stretch', area: [0, 0, 1, 1] },
    {
      name: 'is the middle of a wide image that covers',
      image: [400, 200],
      fit: 'cover-center',
      area: [0.25, 0, 0.5, 1],
    },
    {
      name: 'is the middle of a high image that covers',
      image: [200, 400],
      fit: 'cover-center',
      area: [0, 0.25, 1, 0.5],
    },
    {
      name: 'reaches beyond a wide image that is contained',
      image: [400, 200],
      fit: 'contain-pad',
      area: [0, -0.5, 1, 2],
    },
    {
      name: 'reaches beyond a small image that is contained',
      image: [20, 40],
      fit: 'contain-pad',
      area: [-0.5, 0, 2, 1],
    },
  ];
  for (const {
    name,
    image: [width, height],
    fit,
    area: [left, top, areaWidth, areaHeight],
  } of rows) {
    test(name, () => {
      const found = gridArea({ width, height }, { width: 100, height: 100 }, fit);
      assert.deepEqual(found, { left, top, width: areaWidth, height: areaHeight });
    });
  }
});
