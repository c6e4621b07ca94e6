/** Faces cut out of pictures for a graph that judges faces. Pure functions of pixels. */
import type { Raster } from '../dsp/tiles.ts';
import { grown, within } from './boxes.ts';
import type { Box } from './faces.ts';
import { look, type Size, viewOf } from './view.ts';

export interface CropShape extends Size {
  /** Of the box's width and height, added at each side. */
  readonly margin: number;
  /**
   * `stretch` ignores the proportions of what was cut; `contain` keeps them, with black bars at both ends of the shorter side; `square` cuts a
   * square with the box's longer side around its middle, black where the picture has ended, and stretches that.
   */
  readonly fit: 'stretch' | 'contain' | 'square';
}

/**
 * What of the picture a crop shows, at whole pixels; undefined for a box outside the picture.
 * @param margin of the box's width and height, added at each side
 */
export function shownOf(picture: Size, box: Box, margin: number): Box | undefined {
  return within(grown(box, margin), picture);
}

/** @returns the crop; undefined for a box outside the picture */
export function cropFace(
  raster: Raster,
  box: Box,
  { width, height, margin, fit }: CropShape,
): Raster | undefined {
  const seen = shownOf(raster, box, margin);
  if (seen === undefined) return undefined;
  if (fit === 'square') {
    const wanted = grown(box, margin);
    const side = Math.max(wanted.width, wanted.height);
    const view = { ...viewOf(wanted), width: side, height: side };
    return { data: bytesOf(look(raster, view, { width, height }, 'black')), width, height };
  }
  // The picture's own pixels beside the crop must not show through at its edges.
  const cut = fit === 'stretch' ? { width, height } : contained(seen, { width, height });
  const data = bytesOf(look(cutOut(raster, seen), viewOf({ ...seen, x: 0, y: 0 }), cut, 'edge'));
  return { data: framed(data, cut, { width, height }), width, height };
}

/** The largest size of the same proportions, at least one pixel. */
function contained(box: Size, room: Size): Size {
  const scale = Math.min(room.width / box.width, room.height / box.height);
  return {
    width: Math.max(1, Math.round(box.width * scale)),
    height: Math.max(1, Math.round(box.height * scale)),
  };
}

/** @param box at whole pixels, in the picture */
export function cutOut({ data, width }: Raster, box: Box): Raster {
  const rows = new Uint8Array(box.width * box.height * 3);
  for (let row = 0; row < box.height; row += 1) {
    const start = 3 * ((box.y + row) * width + box.x);
    rows.set(data.subarray(start, start + 3 * box.width), 3 * row * box.width);
  }
  return { data: rows, width: box.width, height: box.height };
}

/** In the middle of black. */
function framed(data: Uint8Array, inner: Size, outer: Size): Uint8Array {
  if (inner.width === outer.width && inner.height === outer.height) return data;
  const left = Math.floor((outer.width - inner.width) / 2);
  const top = Math.floor((outer.height - inner.height) / 2);
  const whole = new Uint8Array(outer.width * outer.height * 3);
  for (let row = 0; row < inner.height; row += 1) {
    const line = data.subarray(3 * row * inner.width, 3 * (row + 1) * inner.width);
    whole.set(line, 3 * ((top + row) * outer.width + left));
  }
  return whole;
}

/** Whole levels. */
function bytesOf(values: Float32Array): Uint8Array {
  return Uint8Array.from(values, Math.round);
}
