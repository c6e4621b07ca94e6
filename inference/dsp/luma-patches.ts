/** Small squares of an image at its native resolution, spread over all of it: enough for statistics, at a bounded cost. */
import { type Raster, reflectIndex, tileOrigins } from './tiles.ts';

/** Pixels; a multiple of the blocks of JPEG. */
export const patchSide = 64;
const patchesPerAxis = 12;
const block = 8;

export interface LumaPatches {
  readonly rows: number;
  readonly cols: number;
  /** `[rows * cols, patchSide, patchSide]`, 0..255, row-major over the grid: luma as JPEG weighs it (BT.601). */
  readonly luma: Float32Array;
  /** Share of their pixels of which a channel is at the end of its range. */
  readonly saturatedShare: number;
}

/**
 * Up to 12 x 12 patches that begin at multiples of 8 pixels, so that the blocks of a JPEG file are the same in each. Short sides are mirrored
 * at their end.
 */
export function lumaPatches(raster: Raster): LumaPatches {
  const rowOrigins = originsOf(raster.height);
  const colOrigins = originsOf(raster.width);
  const area = patchSide * patchSide;
  const luma = new Float32Array(rowOrigins.length * colOrigins.length * area);
  let saturated = 0;
  let at = 0;
  for (const row of rowOrigins) {
    for (const col of colOrigins) {
      saturated += copyPatch(raster, row, col, luma.subarray(at, at + area));
      at += area;
    }
  }
  return {
    rows: rowOrigins.length,
    cols: colOrigins.length,
    luma,
    saturatedShare: saturated / luma.length,
  };
}

/** The patches one by one, in order. */
export function* eachPatch({ luma }: Pick<LumaPatches, 'luma'>): Generator<Float32Array> {
  const area = patchSide * patchSide;
  for (let at = 0; at < luma.length; at += area) yield luma.subarray(at, at + area);
}

function originsOf(length: number): number[] {
  return tileOrigins(length, patchSide, patchesPerAxis).map((origin) => origin - (origin % block));
}

/** @returns how many of its pixels are saturated */
function copyPatch({ data, width, height }: Raster, row: number, col: number, target: Float32Array): number {
  let saturated = 0;
  for (let y = 0; y < patchSide; y += 1) {
    const line = reflectIndex(row + y, height) * width;
    for (let x = 0; x < patchSide; x += 1) {
      const source = 3 * (line + reflectIndex(col + x, width));
      const red = data[source] ?? 0;
      const green = data[source + 1] ?? 0;
      const blue = data[source + 2] ?? 0;
      target[y * patchSide + x] = 0.299 * red + 0.587 * green + 0.114 * blue;
      if (Math.min(red, green, blue) === 0 || Math.max(red, green, blue) === 255) saturated += 1;
    }
  }
  return saturated;
}
