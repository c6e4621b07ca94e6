import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Raster } from '../dsp/tiles.ts';
import { letterbox, look, toPicture, type View, viewOf } from './view.ts';

/** A picture whose levels of red are given row by row; green is twice and blue three times as much. */
function picture(rows: readonly (readonly number[])[]): Raster {
  const data = Uint8Array.from(rows.flat().flatMap((level) => [level, 2 * level, 3 * level]));
  return { data, width: rows[0]?.length ?? 0, height: rows.length };
}

/** Levels of red, row by row. */
function reds(values: Float32Array, width: number): number[][] {
  const levels = Array.from(values).filter((_, index) => index % 3 === 0);
  return Array.from({ length: levels.length / width }, (_, row) =>
    levels.slice(row * width, (row + 1) * width).map((level) => Math.round(level * 1000) / 1000),
  );
}

const two = picture([
  [10, 20],
  [30, 40],
]);
const whole: View = { centre: { x: 1, y: 1 }, width: 2, height: 2, radians: 0 };

describe('a picture through a view', () => {
  const size = { width: 2, height: 2 };
  const rows: { name: string; view: View; outside: 'black' | 'edge'; seen: number[][] }[] = [
    {
      name: 'of all of it at its own size is itself',
      view: whole,
      outside: 'black',
      seen: [
        [10, 20],
        [30, 40],
      ],
    },
    {
      name: 'that is turned by a quarter turns the other way round',
      view: { ...whole, radians: Math.PI / 2 },
      outside: 'black',
      seen: [
        [20, 40],
        [10, 30],
      ],
    },
    {
      name: 'beyond its edges is black',
      view: { ...whole, centre: { x: 0, y: 1 } },
      outside: 'black',
      seen: [
        [0, 10],
        [0, 30],
      ],
    },
    {
      name: 'beyond its edges goes on as at the edge',
      view: { ...whole, centre: { x: 0, y: 1 } },
      outside: 'edge',
      seen: [
        [10, 10],
        [30, 30],
      ],
    },
  ];
  for (const { name, view, outside, seen } of rows)
    test(name, () => assert.deepEqual(reds(look(two, view, size, outside), 2), seen));

  test('is interleaved as it was', () => {
    assert.deepEqual(Array.from(look(two, whole, size, 'black')).slice(0, 3), [10, 20, 30]);
  });

  test('that shrinks it is averaged: fine stripes become grey', () => {
    const stripes = picture(
      Array.from({ length: 16 }, () => Array.from({ length: 16 }, (_, x) => (x % 2) * 80)),
    );
    const seen = look(
      stripes,
      viewOf({ x: 0, y: 0, width: 16, height: 16 }),
      { width: 2, height: 2 },
      'edge',
    );
    assert.deepEqual(reds(seen, 2).flat(), [40, 40, 40, 40]);
  });
});

describe('a point of a view', () => {
  const box = { x: 100, y: 200, width: 40, height: 20 };
  const rows: { name: string; view: View; point: [number, number]; at: [number, number] }[] = [
    {
      name: 'in its middle is the middle of the box',
      view: letterbox(box),
      point: [0.5, 0.5],
      at: [120, 210],
    },
    { name: 'of a letterbox may lie above the box', view: letterbox(box), point: [0, 0], at: [100, 190] },
    { name: 'of a box alone does not', view: viewOf(box), point: [0, 0], at: [100, 200] },
    {
      name: 'turns with it',
      view: { ...viewOf(box), radians: Math.PI / 2 },
      point: [1, 0.5],
      at: [120, 230],
    },
  ];
  for (const { name, view, point, at } of rows) {
    test(name, () => {
      const { x, y } = toPicture(view, { x: point[0], y: point[1] });
      assert.deepEqual(
        [x, y].map((value) => Math.round(value * 1e6) / 1e6),
        at,
      );
    });
  }
});
