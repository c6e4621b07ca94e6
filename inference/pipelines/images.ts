/** What the families that judge images share. */
import { serviceError } from '../errors.ts';
import type { ImageHeader, ImageRequest } from '../media/image.ts';
import type { PixelBudget } from '../media/pixel-budget.ts';
import type { DetectorInput } from './analysis.ts';

/** @throws ServiceError unsupported_media where the file is no image */
export function imageRequestOf(
  { path, content, media }: DetectorInput,
  pixelBudget: PixelBudget,
): ImageRequest {
  if (media.kind !== 'image')
    throw serviceError('unsupported_media', { found: media.kind, supported: 'images' });
  return { path, content, mime: media.mime, limitPixels: pixelBudget.capacity };
}

/** What a person has to know of an animation. */
export function frameNotes({ frames }: Pick<ImageHeader, 'frames'>): string[] {
  return frames > 1 ? [`Only the first of ${frames} images in the file was analysed.`] : [];
}
