/** Image files to pixels at native resolution, with damage found and named. */
import sharp from 'sharp';
import type { Raster } from '../dsp/tiles.ts';
import { messageOf, serviceError } from '../errors.ts';

export interface ImageRequest {
  readonly path: string;
  readonly mime: string;
  /** Largest width times height that is decoded. */
  readonly limitPixels: number;
}

sharp.cache(false);
sharp.concurrency(1);

/**
 * Width times height as the header says.
 * @throws ServiceError image_too_large, corrupt_media
 */
export async function countPixels(request: ImageRequest): Promise<number> {
  const { width, height } = await sharp(request.path, { limitInputPixels: false })
    .metadata()
    .catch((error: unknown) => {
      throw corrupt(request, error);
    });
  if (width * height > request.limitPixels) {
    throw serviceError('image_too_large', { width, height, limitPixels: request.limitPixels });
  }
  return width * height;
}

/**
 * All pixels as 8-bit RGB: upright by EXIF, alpha dropped, colour profile ignored, no scaling while decoding, because detectors read the
 * traces that these would smooth away. The first frame of an animation.
 * @throws ServiceError corrupt_media
 */
export async function decodeImage(request: ImageRequest): Promise<Raster> {
  try {
    const { data, info } = await sharp(request.path, {
      failOn: 'error',
      limitInputPixels: request.limitPixels,
      ignoreIcc: true,
    })
      .autoOrient()
      .removeAlpha()
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    return { data: info.channels === 1 ? grayToRgb(data) : data, width: info.width, height: info.height };
  } catch (error) {
    throw corrupt(request, error);
  }
}

function corrupt(request: ImageRequest, error: unknown) {
  const reason = failureReason(request.path, error);
  return serviceError('corrupt_media', { found: request.mime, reason }, { cause: error });
}

/** The first line of what libvips says, without the path of the temporary file. */
export function failureReason(path: string, error: unknown): string {
  return messageOf(error).replaceAll(path, 'the file').split('\n', 1)[0] ?? '';
}

function grayToRgb(gray: Uint8Array): Uint8Array {
  const rgb = new Uint8Array(gray.length * 3);
  for (const [index, value] of gray.entries()) rgb.fill(value, 3 * index, 3 * index + 3);
  return rgb;
}
