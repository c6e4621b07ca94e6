/** Parts of a picture at another size, turned and moved: how graphs see it, and back. Pure functions of pixels. */
import type { Raster } from '../dsp/tiles.ts';
import type { Box, Point } from './faces.ts';

/** A rectangle of the picture, in its pixels; it may reach beyond the edges. */
export interface View {
  readonly centre: Point;
  readonly width: number;
  readonly height: number;
  /** Clockwise, of the rectangle about its centre. */
  readonly radians: number;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** What is seen where the picture has ended. */
export type Outside = 'black' | 'edge';

/** Samples per axis and pixel that are averaged at most: each covers two pixels of the picture by itself. */
const mostSamples = 4;

/** The square around the middle of a rectangle that holds all of it: what the rectangle lacks lies at both ends of its shorter side. */
export function letterbox({ x, y, width, height }: Box): View {
  const side = Math.max(width, height);
  return { centre: { x: x + width / 2, y: y + height / 2 }, width: side, height: side, radians: 0 };
}

export function viewOf({ x, y, width, height }: Box): View {
  return { centre: { x: x + width / 2, y: y + height / 2 }, width, height, radians: 0 };
}

/** @param point in units of the view's sides, from its top left corner */
export function toPicture({ centre, width, height, radians }: View, point: Point): Point {
  const right = (point.x - 0.5) * width;
  const down = (point.y - 0.5) * height;
  const [sin, cos] = [Math.sin(radians), Math.cos(radians)];
  return { x: centre.x + right * cos - down * sin, y: centre.y + right * sin + down * cos };
}

/**
 * The view at the size: bilinear, averaged over as much of the picture as a pixel of the size covers.
 * @returns `[height, width, 3]`, row by row, interleaved as the raster, 0..255, not rounded
 */
export function look(raster: Raster, view: View, size: Size, outside: Outside): Float32Array {
  const { radians } = view;
  const [sin, cos] = [Math.sin(radians), Math.cos(radians)];
  const [stepX, stepY] = [view.width / size.width, view.height / size.height];
  const [samplesX, samplesY] = [samplesOf(stepX), samplesOf(stepY)];
  const values = new Float32Array(size.width * size.height * 3);
  const weight = 1 / (samplesX * samplesY);
  for (let row = 0; row < size.height * samplesY; row += 1) {
    const down = ((row + 0.5) / samplesY) * stepY - view.height / 2;
    const first = Math.floor(row / samplesY) * size.width;
    for (let column = 0; column < size.width * samplesX; column += 1) {
      const right = ((column + 0.5) / samplesX) * stepX - view.width / 2;
      const x = view.centre.x + right * cos - down * sin - 0.5;
      const y = view.centre.y + right * sin + down * cos - 0.5;
      const target = 3 * (first + Math.floor(column / samplesX));
      if (outside === 'edge')
        addSample(raster, clamp(x, raster.width), clamp(y, raster.height), weight, values, target);
      else addSample(raster, x, y, weight, values, target);
    }
  }
  return values;
}

function samplesOf(step: number): number {
  return Math.max(1, Math.min(mostSamples, Math.ceil(step / 2)));
}

function clamp(position: number, length: number): number {
  return Math.min(length - 1, Math.max(0, position));
}

/** Adds the colour between four pixels, of which those outside are black. */
function addSample(
  { data, width, height }: Raster,
  x: number,
  y: number,
  weight: number,
  values: Float32Array,
  target: number,
): void {
  const [left, top] = [Math.floor(x), Math.floor(y)];
  const [east, south] = [x - left, y - top];
  for (let corner = 0; corner < 4; corner += 1) {
    const column = left + (corner & 1);
    const row = top + (corner >> 1);
    if (column < 0 || row < 0 || column >= width || row >= height) continue;
    const share = weight * ((corner & 1) === 1 ? east : 1 - east) * (corner > 1 ? south : 1 - south);
    const source = 3 * (row * width + column);
    values[target] = (values[target] ?? 0) + share * (data[source] ?? 0);
    values[target + 1] = (values[target + 1] ?? 0) + share * (data[source + 1] ?? 0);
    values[target + 2] = (values[target + 2] ?? 0) + share * (data[source + 2] ?? 0);
  }
}
