/** Pixels to the numbers that a graph was trained on. Pure functions of pixels. */
import type { Raster } from './tiles.ts';

/** `(scale * pixel - mean) / std` for every channel, with pixels in 0..255. */
export interface Normalisation {
  readonly channels: 'rgb' | 'bgr';
  readonly layout: 'nchw' | 'nhwc';
  readonly scale: number;
  /** In the order of `channels`, as `std` is. */
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
}

/** One item without its batch axis: `[3, height, width]` for `nchw`, `[height, width, 3]` for `nhwc`. */
export function itemShapeOf(
  { width, height }: { readonly width: number; readonly height: number },
  layout: Normalisation['layout'],
): [number, number, number] {
  return layout === 'nchw' ? [3, height, width] : [height, width, 3];
}

/** The raster as an item of the shape that `itemShapeOf` gives. */
export function normalise(raster: Raster, normalisation: Normalisation): Float32Array {
  const { channels, layout, scale, mean, std } = normalisation;
  const { data } = raster;
  const pixels = raster.width * raster.height;
  const values = new Float32Array(3 * pixels);
  const [pixelStride, channelStride] = layout === 'nchw' ? [1, pixels] : [3, 1];
  for (const channel of [0, 1, 2] as const) {
    const gain = scale / std[channel];
    const offset = -mean[channel] / std[channel];
    let source = channels === 'rgb' ? channel : 2 - channel;
    let target = channel * channelStride;
    for (let pixel = 0; pixel < pixels; pixel += 1) {
      values[target] = gain * (data[source] ?? 0) + offset;
      source += 3;
      target += pixelStride;
    }
  }
  return values;
}
