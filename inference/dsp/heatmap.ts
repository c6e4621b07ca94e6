/** Heat maps and their colours. Pure functions of numbers. */

/** A grid of values in [0, 1] over an image: calibrated scores of regions, or where a graph says that it looked. */
export interface Heatmap {
  readonly rows: number;
  readonly cols: number;
  /** Row by row. */
  readonly scores: readonly (readonly number[])[];
  /** Where the grid lies; the whole image where absent. */
  readonly area?: GridArea;
}

/** Fractions of the sides of the upright image. A grid may reach beyond the image: then `left` is negative or `left + width` above 1. */
export interface GridArea {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

interface Size {
  readonly width: number;
  readonly height: number;
}

/** A plane of activations in which negative values spoke against and count as 0; the largest becomes 1. */
export function activationHeatmap(
  { values, rows, cols }: { readonly values: Float32Array; readonly rows: number; readonly cols: number },
  area: GridArea,
): Heatmap {
  const largest = values.reduce((most, value) => Math.max(most, value), 0);
  const shares = Array.from(values, (value) => (largest > 0 ? Math.max(0, value) / largest : 0));
  const scores = Array.from({ length: rows }, (_, row) => shares.slice(row * cols, (row + 1) * cols));
  return { rows, cols, scores, area };
}

/** Which part of an image a graph's whole input shows. */
export function gridArea(
  image: Size,
  input: Size,
  fit: 'stretch' | 'cover-center' | 'contain-pad',
): GridArea {
  const [across, down] = [input.width / image.width, input.height / image.height];
  const scale = fit === 'cover-center' ? Math.max(across, down) : Math.min(across, down);
  const [width, height] = fit === 'stretch' ? [1, 1] : [across / scale, down / scale];
  return { left: (1 - width) / 2, top: (1 - height) / 2, width, height };
}

/** RGBA, interleaved, row by row. */
export interface ColouredHeat {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/**
 * The grid's values between the centres of its cells, interpolated linearly, in colours from blue (0) over green to red (1). Transparent
 * outside the grid's area.
 */
export function colourHeat(heatmap: Heatmap, { width, height }: Size, alpha: number): ColouredHeat {
  const area = heatmap.area ?? { left: 0, top: 0, width: 1, height: 1 };
  const opacity = Math.round(255 * alpha);
  const data = new Uint8Array(width * height * 4);
  for (let y = 0; y < height; y += 1) {
    const v = ((y + 0.5) / height - area.top) / area.height;
    for (let x = 0; x < width; x += 1) {
      const u = ((x + 0.5) / width - area.left) / area.width;
      const inside = u >= 0 && u <= 1 && v >= 0 && v <= 1;
      if (inside) data.set([...jet(valueAt(heatmap, u, v)), opacity], 4 * (y * width + x));
    }
  }
  return { data, width, height };
}

/** Bilinear between the centres of cells, constant from the outermost centres to the edges. `u` and `v` are in [0, 1]. */
function valueAt({ rows, cols, scores }: Heatmap, u: number, v: number): number {
  const x = clamp(u * cols - 0.5, 0, cols - 1);
  const y = clamp(v * rows - 0.5, 0, rows - 1);
  const [left, top] = [Math.floor(x), Math.floor(y)];
  const at = (row: number, col: number) => scores[Math.min(row, rows - 1)]?.[Math.min(col, cols - 1)] ?? 0;
  const upper = mix(at(top, left), at(top, left + 1), x - left);
  const lower = mix(at(top + 1, left), at(top + 1, left + 1), x - left);
  return mix(upper, lower, y - top);
}

/** Three trapezoids a quarter apart: dark blue, blue, cyan, green, yellow, red, dark red. */
function jet(value: number): [red: number, green: number, blue: number] {
  const ramp = (centre: number) => Math.round(255 * clamp(1.5 - Math.abs(4 * value - centre), 0, 1));
  return [ramp(3), ramp(2), ramp(1)];
}

function mix(from: number, to: number, share: number): number {
  return from + (to - from) * share;
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}
