/** Draws a heat map over its image, for people. */
import sharp from 'sharp';
import { colourHeat, type Heatmap } from '../dsp/heatmap.ts';
import { serviceError } from '../errors.ts';
import { failureReason } from './image.ts';
import type { MediaSource } from './source.ts';

export interface OverlayOptions {
  /** Opacity of the colours, 0..1. */
  readonly alpha: number;
  readonly signal: AbortSignal;
}

const maxOutputSide = 1600;
/** Colours are computed for this many points along the longer side; libvips enlarges them, off the thread that asks. */
const colouredSide = 256;

/**
 * The upright image, at most 1600 px wide or high, under the colours of its heat map, as PNG.
 * @param source an image that has passed its analysis: its size is within the limits
 * @throws ServiceError corrupt_media; the signal's reason between the steps
 */
export async function renderOverlay(
  { path, content }: MediaSource,
  heatmap: Heatmap,
  { alpha, signal }: OverlayOptions,
): Promise<Buffer> {
  signal.throwIfAborted();
  try {
    const { data, info } = await sharp(content ?? path, { failOn: 'error' })
      .autoOrient()
      .resize({ width: maxOutputSide, height: maxOutputSide, fit: 'inside', withoutEnlargement: true })
      .removeAlpha()
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    signal.throwIfAborted();
    const { width, height, channels } = info;
    const heat = colourHeat(heatmap, sizeWithin(width, height, colouredSide), alpha);
    const raw = { width: heat.width, height: heat.height, channels: 4 } as const;
    const colours = await sharp(heat.data, { raw }).resize(width, height, { fit: 'fill' }).png().toBuffer();
    signal.throwIfAborted();
    return await sharp(data, { raw: { width, height, channels } })
      .composite([{ input: colours }])
      .toColourspace('srgb')
      .removeAlpha()
      .png()
      .toBuffer();
  } catch (error) {
    signal.throwIfAborted();
    throw serviceError(
      'corrupt_media',
      { found: 'image', reason: failureReason(path, error) },
      { cause: error },
    );
  }
}

function sizeWithin(width: number, height: number, side: number) {
  const scale = Math.min(1, side / Math.max(width, height));
  return {
    width: Math.max(1, Math.round(width * scale)),
    height: Math.max(1, Math.round(height * scale)),
  };
}
