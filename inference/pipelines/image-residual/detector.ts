/** Tiles of the image at native resolution; the graph filters residuals itself; the mean logit decides. */
import { tileGrid } from '../../dsp/tiles.ts';
import type { Classifier } from '../../engine/session.ts';
import { serviceError } from '../../errors.ts';
import { decodeImage } from '../../media/image.ts';
import type { ImageResidualParameters } from '../../models/pipeline-parameters.ts';
import { type Detector, type Findings, mean, timed } from '../analysis.ts';

/** @param scoreOf calibrated P(fake) of a logit */
export function imageResidualDetector(
  parameters: ImageResidualParameters,
  classifier: Classifier,
  scoreOf: (logit: number) => number,
): Detector {
  const { crop, tiles, minSide } = parameters;
  return async ({ path, media }, { signal, limitPixels }) => {
    if (media.kind !== 'image')
      throw serviceError('unsupported_media', { found: media.kind, supported: 'images' });
    const decoded = await timed(() => decodeImage({ path, mime: media.mime, limitPixels }));
    signal.throwIfAborted();
    const { width, height } = decoded.value;
    const common = { dimensions: { width, height }, notes: [] };
    if (Math.min(width, height) < minSide) {
      return { ...common, ...tooSmall, timingsMs: { decode: decoded.ms, preprocess: 0, infer: 0 } };
    }
    const grid = await timed(() => tileGrid(decoded.value, crop, Math.sqrt(tiles)));
    const logits = await timed(() => classifier.logits(grid.value.pixels, [3, crop, crop], signal));
    const partScores = Array.from(logits.value, scoreOf);
    return {
      ...common,
      logit: mean(logits.value),
      inconclusiveReasons: [],
      partScores,
      signals: {
        tiles_analysed: partScores.length,
        max_tile_score: Math.max(...partScores),
        min_tile_score: Math.min(...partScores),
        heatmap: heatmapOf(partScores, grid.value.rows, grid.value.cols),
      },
      timingsMs: { decode: decoded.ms, preprocess: grid.ms, infer: logits.ms },
    };
  };
}

const tooSmall: Pick<Findings, 'logit' | 'inconclusiveReasons' | 'partScores' | 'signals'> = {
  logit: null,
  inconclusiveReasons: ['low_resolution'],
  partScores: [],
  signals: { tiles_analysed: 0 },
};

function heatmapOf(scores: readonly number[], rows: number, cols: number) {
  return {
    rows,
    cols,
    scores: Array.from({ length: rows }, (_, row) => scores.slice(row * cols, (row + 1) * cols)),
  };
}
