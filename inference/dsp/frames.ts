/** Rasters as a graph wants them. Pure functions of pixels. */
import type { Raster } from './tiles.ts';

type PerChannel = readonly [number, number, number];

export interface PixelFormat {
  readonly channels: 'rgb' | 'bgr';
  readonly layout: 'nchw' | 'nhwc';
  /** In the order of the channels, of values in 0..1: each becomes `(value / 255 - mean) / std`. */
  readonly mean: PerChannel;
  readonly std: PerChannel;
}

/** @returns a function that writes a raster's `3 * height * width` values to a target of that length */
export function pixelWriter(format: PixelFormat): (raster: Raster, target: Float32Array) => void {
  const tables = [0, 1, 2].map((channel) => valuesOf(format.mean[channel] ?? 0, format.std[channel] ?? 1));
  return (raster, target) => {
    const plane = raster.width * raster.height;
    const [pixelStep, channelStep] = format.layout === 'nchw' ? [1, plane] : [3, 1];
    for (const [channel, table] of tables.entries()) {
      const source = format.channels === 'rgb' ? channel : 2 - channel;
      const first = channel * channelStep;
      for (let pixel = 0; pixel < plane; pixel += 1)
        target[first + pixel * pixelStep] = table[raster.data[3 * pixel + source] ?? 0] ?? 0;
    }
  };
}

/** What each of the 256 levels becomes. */
function valuesOf(mean: number, std: number): Float32Array {
  return Float32Array.from({ length: 256 }, (_, level) => (level / 255 - mean) / std);
}
