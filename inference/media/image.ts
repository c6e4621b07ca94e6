/** Image files to pixels, with damage found and named. */
import sharp, { type Metadata, type Sharp } from 'sharp';
import type { Raster } from '../dsp/tiles.ts';
import { messageOf, serviceError } from '../errors.ts';
import { oncePerProcess } from '../once-per-process.ts';
import { type MediaSource, withBytes } from './source.ts';

export interface ImageRequest extends MediaSource {
  readonly mime: string;
  /** Largest width times height that is decoded. */
  readonly limitPixels: number;
}

/** What the header says; nothing is decoded for it. */
export interface ImageHeader {
  /** Upright by EXIF. */
  readonly width: number;
  readonly height: number;
  /** Images in the file; more than one in an animation. */
  readonly frames: number;
  readonly hasAlpha: boolean;
  /** Printed colours; libvips converts them right only before anything else is done. */
  readonly isCmyk: boolean;
}

/** How pixels of one size become those of another. */
export interface Resizing {
  readonly width: number;
  readonly height: number;
  /**
   * `stretch` ignores the proportions, `cover-center` cuts what is left over of the longer side at both ends, `contain-pad` fills what is
   * missing of the shorter side with black at both ends.
   */
  readonly fit: 'stretch' | 'cover-center' | 'contain-pad';
  readonly kernel: 'nearest' | 'linear' | 'cubic' | 'mitchell' | 'lanczos2' | 'lanczos3';
  /** Let libjpeg decode at a lower resolution, at least twice the target's: faster, and smoother than all pixels. */
  readonly shrinkOnLoad: boolean;
}

/** The readers of libvips that a file may reach, whatever the sniffing made of it: not those that run scripts, lay out text or follow links. */
const loaders = [
  'VipsForeignLoadJpeg',
  'VipsForeignLoadPng',
  'VipsForeignLoadWebp',
  'VipsForeignLoadNsgif',
  'VipsForeignLoadHeif',
];

const apngHeadBytes = 64 * 1024;

const sharpFits = { stretch: 'fill', 'cover-center': 'cover', 'contain-pad': 'contain' } as const;

sharp.cache(false);
sharp.concurrency(1);
// For the whole process: a thread that began to work while others read would refuse their pictures for a moment.
oncePerProcess('image-loaders', () => {
  sharp.block({ operation: ['VipsForeignLoad'] });
  sharp.unblock({ operation: loaders });
});

/** @throws ServiceError image_too_large, corrupt_media */
export async function readImageHeader(request: ImageRequest): Promise<ImageHeader> {
  const metadata = await sharp(request.content ?? request.path, { limitInputPixels: false })
    .metadata()
    .catch((error: unknown) => {
      throw corrupt(request, error);
    });
  const { width, height } = metadata.autoOrient;
  if (width * height > request.limitPixels) {
    throw serviceError('image_too_large', { width, height, limitPixels: request.limitPixels });
  }
  const { hasAlpha, space } = metadata;
  return { width, height, frames: await framesOf(request, metadata), hasAlpha, isCmyk: space === 'cmyk' };
}

/** libvips knows no animated PNG: the chunk that makes it one comes before its pixels. */
async function framesOf(request: ImageRequest, { pages = 1 }: Metadata): Promise<number> {
  if (request.mime !== 'image/apng') return pages;
  const head = await withBytes(request, (reader) => reader.read(0, apngHeadBytes));
  const control = head.indexOf('acTL');
  return control < 0 || control + 8 > head.length ? pages : head.readUInt32BE(control + 4);
}

/** What else the file says beside its pixels. @throws ServiceError corrupt_media */
export async function readImageDescription(
  request: ImageRequest,
): Promise<{ readonly exif: Buffer | undefined; readonly isTurned: boolean }> {
  const { exif, orientation = 1 } = await sharp(request.content ?? request.path, { limitInputPixels: false })
    .metadata()
    .catch((error: unknown) => {
      throw corrupt(request, error);
    });
  return { exif, isTurned: orientation > 1 };
}

/**
 * All pixels as 8-bit RGB: upright by EXIF, alpha dropped, colour profile ignored, no scaling while decoding, because detectors read the
 * traces that these would smooth away. The first frame of an animation.
 * @throws ServiceError corrupt_media
 */
export async function decodeImage(request: ImageRequest): Promise<Raster> {
  return rasterOf(request, open(request).pipelineColourspace('srgb'));
}

/** As `decodeImage`, but as the pixels are stored, whatever EXIF says. @throws ServiceError corrupt_media */
export async function decodeStoredImage(request: ImageRequest): Promise<Raster> {
  return rasterOf(request, read(request).pipelineColourspace('srgb'));
}

/**
 * As `decodeImage`, then brought to another size by libvips in the same pass: the pixels at full size are never in memory together,
 * unless the image has alpha. A colour space named for the pipeline keeps sharp from shrinking on load.
 * @throws ServiceError corrupt_media
 */
export async function decodeResized(
  request: ImageRequest,
  { hasAlpha, isCmyk }: Pick<ImageHeader, 'hasAlpha' | 'isCmyk'>,
  { width, height, fit, kernel, shrinkOnLoad }: Resizing,
): Promise<Raster> {
  const source = hasAlpha ? opaque(await decodeImage(request)) : open(request);
  const resized = source.resize({
    width,
    height,
    kernel,
    fit: sharpFits[fit],
    background: '#000',
    fastShrinkOnLoad: false,
  });
  return rasterOf(request, shrinkOnLoad && !isCmyk ? resized : resized.pipelineColourspace('srgb'));
}

/** libvips weighs colours by alpha when it resizes; without alpha the colours under it count, as in every other image. */
function opaque({ data, width, height }: Raster): Sharp {
  return sharp(data, { raw: { width, height, channels: 3 } });
}

function open(request: ImageRequest): Sharp {
  return read(request).autoOrient();
}

function read({ path, content, limitPixels }: ImageRequest): Sharp {
  return sharp(content ?? path, {
    failOn: 'error',
    limitInputPixels: limitPixels,
    ignoreIcc: true,
  });
}

async function rasterOf(request: ImageRequest, image: Sharp): Promise<Raster> {
  try {
    const { data, info } = await image
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
