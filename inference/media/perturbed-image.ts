/** Copies of an image that show the same and are stored otherwise, as they come out of messengers, editors and screens. */
import sharp from 'sharp';
import type { Raster } from '../dsp/tiles.ts';
import { decodeImage, type ImageRequest } from './image.ts';

/** In the order in which they are made where only some are. */
export const perturbations = ['jpeg_75', 'resize_90', 'crop_95', 'jpeg_90'] as const;

export type Perturbation = (typeof perturbations)[number];

export interface PerturbedImage {
  readonly content: Uint8Array;
  readonly mime: 'image/jpeg' | 'image/png';
}

/** Lossless, and as fast as copying. */
const stored = { compressionLevel: 0 } as const;

/**
 * The image upright, without alpha. The same every time.
 *
 * - `jpeg_75`, `jpeg_90`: JPEG of that quality, chroma at half the resolution
 * - `resize_90`: at nine tenths of its size, and back (Lanczos)
 * - `crop_95`: without a fortieth of its size at each side, one pixel at least
 * @throws ServiceError corrupt_media
 */
export async function perturbedImage(
  request: ImageRequest,
  perturbation: Perturbation,
): Promise<PerturbedImage> {
  const raster = await decodeImage(request);
  switch (perturbation) {
    case 'jpeg_75':
      return { content: await jpegOf(raster, 75), mime: 'image/jpeg' };
    case 'jpeg_90':
      return { content: await jpegOf(raster, 90), mime: 'image/jpeg' };
    case 'resize_90':
      return { content: await resized(raster), mime: 'image/png' };
    case 'crop_95':
      return { content: await cropped(raster), mime: 'image/png' };
  }
}

function opened({ data, width, height }: Raster) {
  return sharp(data, { raw: { width, height, channels: 3 } });
}

function jpegOf(raster: Raster, quality: number): Promise<Buffer> {
  return opened(raster).jpeg({ quality, chromaSubsampling: '4:2:0' }).toBuffer();
}

async function resized(raster: Raster): Promise<Buffer> {
  const { width, height } = raster;
  const smaller = { width: nineTenths(width), height: nineTenths(height) };
  const data = await opened(raster)
    .resize({ ...smaller, fit: 'fill' })
    .raw()
    .toBuffer();
  return opened({ data, ...smaller })
    .resize({ width, height, fit: 'fill' })
    .png(stored)
    .toBuffer();
}

function nineTenths(length: number): number {
  return Math.max(1, Math.round(0.9 * length));
}

async function cropped(raster: Raster): Promise<Buffer> {
  const left = marginOf(raster.width);
  const top = marginOf(raster.height);
  return opened(raster)
    .extract({ left, top, width: raster.width - 2 * left, height: raster.height - 2 * top })
    .png(stored)
    .toBuffer();
}

/** A side of one or two pixels has none to lose. */
function marginOf(length: number): number {
  return length < 3 ? 0 : Math.max(1, Math.round(length / 40));
}
