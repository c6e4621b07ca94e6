/** The heat map of a detection over its image. */
import { serviceError } from '../errors.ts';
import { renderOverlay } from '../media/overlay.ts';
import type { Detection } from './detections.ts';
import { heatmapOf } from './views/parts.ts';

export const defaultAlpha = 0.5;

/**
 * @param alpha how much of the heat map covers the image, 0..1
 * @returns a PNG
 * @throws ServiceError no_heatmap, those of the rendering; the signal's reason
 */
export async function overlayOf(
  { analysis, model, media, joint }: Detection,
  { alpha = defaultAlpha, signal }: { readonly alpha?: number; readonly signal: AbortSignal },
): Promise<Buffer> {
  const heatmap = heatmapOf(analysis);
  if (heatmap === undefined) {
    const none =
      joint === undefined ? `it makes none of ${model.manifest.modality}` : 'only one model has one';
    const reason = analysis.inconclusiveReasons.join(', ') || none;
    throw serviceError('no_heatmap', { model: model.name, reason });
  }
  return renderOverlay(media.file, heatmap, { alpha, signal });
}
