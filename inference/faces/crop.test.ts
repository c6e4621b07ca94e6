import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Raster } from '../dsp/tiles.ts';
import { type CropShape, cropFace } from './crop.ts';

/** Black, with a white rectangle. */
function picture(
  width: number,
  height: number,
  white: { x: number; y: number; width: number; height: number },
): Raster {
  const data = new Uint8Array(3 * width * height);
  for (let y = white.y; y < white.y + white.height; y += 1)
    data.fill(255, 3 * (y * width + white.x), 3 * (y * width + white.x + white.width));
  return { data, width, height };
}

/** One character a pixel. */
function drawn(raster: Raster | undefined): string[] | undefined {
  if (raster === undefined) return undefined;
  const { data, width, height } = raster;
  return Array.from({ length: height }, (_, y) =>
    Array.from({ length: width }, (_, x) => ((data[3 * (y * width + x)] ?? 0) > 127 ? '#' : '.')).join(''),
  );
}

describe('a crop', () => {
  const box = { x: 4, y: 4, width: 4, height: 8 };
  const white = picture(16, 16, box);
  const all = picture(16, 16, { x: 0, y: 0, width: 16, height: 16 });
  const shape = { width: 4, height: 4, margin: 0, fit: 'stretch' } as const;
  const rows: {
    name: string;
    raster: Raster;
    box?: typeof box;
    changes: Partial<CropShape>;
    seen: string[] | undefined;
  }[] = [
    { name: 'is stretched', raster: white, changes: {}, seen: ['####', '####', '####', '####'] },
    {
      name: 'is contained in black',
      raster: all,
      changes: { fit: 'contain' },
      seen: ['.##.', '.##.', '.##.', '.##.'],
    },
    {
      name: 'is the square around the face with what lies beside it',
      raster: white,
      changes: { fit: 'square' },
      seen: ['.##.', '.##.', '.##.', '.##.'],
    },
    {
      name: 'with a margin shows what lies around',
      raster: white,
      changes: { margin: 0.5 },
      seen: ['....', '.##.', '.##.', '....'],
    },
    {
      name: 'ends where the picture does, and is stretched from there',
      raster: all,
      box: { x: -4, y: 4, width: 8, height: 8 },
      changes: {},
      seen: ['####', '####', '####', '####'],
    },
    {
      name: 'that is square goes on in black where the picture ends',
      raster: all,
      box: { x: -4, y: 4, width: 8, height: 8 },
      changes: { fit: 'square' },
      seen: ['..##', '..##', '..##', '..##'],
    },
    {
      name: 'outside the picture is none',
      raster: all,
      box: { x: 20, y: 4, width: 8, height: 8 },
      changes: {},
      seen: undefined,
    },
  ];
  for (const { name, raster, box: own = box, changes, seen } of rows)
    test(name, () => assert.deepEqual(drawn(cropFace(raster, own, { ...shape, ...changes })), seen));

  test('does not let what lies beside it shine in', () => {
    const around = picture(16, 16, { x: 0, y: 0, width: 16, height: 16 });
    for (let y = 4; y < 12; y += 1) around.data.fill(0, 3 * (16 * y + 4), 3 * (16 * y + 8));
    const crop = cropFace(around, box, { width: 64, height: 64, margin: 0, fit: 'stretch' });
    assert.ok(crop?.data.every((level) => level === 0));
  });
});
