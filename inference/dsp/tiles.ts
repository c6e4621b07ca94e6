/** Square tiles of a raster at its native resolution. Pure functions of pixels. */

/** 8-bit RGB, interleaved, row by row: `data` has `width * height * 3` bytes. */
export interface Raster {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
}

export interface TileGrid {
  readonly rows: number;
  readonly cols: number;
  /** `[rows * cols, 3, side, side]`, NCHW, RGB, 0..255, row-major over the grid. */
  readonly pixels: Float32Array;
}

/**
 * Where tiles of `side` pixels begin along an axis of `length` pixels: evenly spread, the first at 0 and the last at the end. One tile is
 * centred; on an axis shorter than a tile it begins at 0, and what it lacks at the end is mirrored.
 */
export function tileOrigins(length: number, side: number, maxTiles: number): number[] {
  const count = Math.min(maxTiles, Math.ceil(length / side));
  if (count <= 1) return [Math.max(0, Math.floor((length - side) / 2))];
  return Array.from({ length: count }, (_, index) => Math.round((index * (length - side)) / (count - 1)));
}

/** The index that `index` falls on when an axis is mirrored at both ends without repeating the edge (numpy's `reflect`). */
export function reflectIndex(index: number, length: number): number {
  if (length === 1) return 0;
  const period = 2 * (length - 1);
  const folded = ((index % period) + period) % period;
  return folded < length ? folded : period - folded;
}

/** Up to `maxPerAxis` squared tiles, spread over the whole image. */
export function tileGrid(raster: Raster, side: number, maxPerAxis: number): TileGrid {
  const rowOrigins = tileOrigins(raster.height, side, maxPerAxis);
  const colOrigins = tileOrigins(raster.width, side, maxPerAxis);
  const pixels = new Float32Array(rowOrigins.length * colOrigins.length * 3 * side * side);
  let offset = 0;
  for (const rowOrigin of rowOrigins) {
    for (const colOrigin of colOrigins) {
      copyTile(raster, { rowOrigin, colOrigin, side }, pixels.subarray(offset, offset + 3 * side * side));
      offset += 3 * side * side;
    }
  }
  return { rows: rowOrigins.length, cols: colOrigins.length, pixels };
}

function copyTile(
  raster: Raster,
  tile: { rowOrigin: number; colOrigin: number; side: number },
  target: Float32Array,
): void {
  const { side } = tile;
  const plane = side * side;
  const columns = Int32Array.from(
    { length: side },
    (_, x) => 3 * reflectIndex(tile.colOrigin + x, raster.width),
  );
  for (let y = 0; y < side; y += 1) {
    const row = reflectIndex(tile.rowOrigin + y, raster.height) * raster.width * 3;
    for (let x = 0; x < side; x += 1) {
      const source = row + (columns[x] ?? 0);
      const at = y * side + x;
      target[at] = raster.data[source] ?? 0;
      target[at + plane] = raster.data[source + 1] ?? 0;
      target[at + 2 * plane] = raster.data[source + 2] ?? 0;
    }
  }
}
