/** Tiles of the image at native resolution; the graph filters residuals itself; the mean logit decides. */
import { tileGrid } from '../../dsp/tiles.ts';
import type { Classifier } from '../../engine/session.ts';
import { decodeImage, readImageHeader } from '../../media/image.ts';
import { release } from '../../media/release.ts';
import type { ImageResidualParameters } from '../../models/pipeline-parameters.ts';
import { type Detector, type Findings, mean, timed } from '../analysis.ts';
import { frameNotes, imageRequestOf } from '../images.ts';

/** @param scoreOf calibrated P(fake) of a logit */
export function imageResidualDetector(
  parameters: ImageResidualParameters,
  classifier: Classifier,
  scoreOf: (logit: number) => number,
): Detector {
  const { crop, tiles, minSide } = parameters;
  return async (input, { signal, pixelBudget, observer }) => {
    const request = imageRequestOf(input, pixelBudget);
    const header = await readImageHeader(request);
    const { dimensions, decodeMs, grid } = await pixelBudget.within(
      header.width * header.height,
      async () => {
        signal.throwIfAborted();
        const decoded = await timed(() => decodeImage(request));
        observer?.pixels(decoded.value);
        const { width, height } = decoded.value;
        const judged = Math.min(width, height) >= minSide;
        const cut = judged ? await timed(() => tileGrid(decoded.value, crop, Math.sqrt(tiles))) : undefined;
        return { dimensions: { width, height }, decodeMs: decoded.ms, grid: cut };
      },
    );
    const common = { dimensions, notes: frameNotes(header) };
    if (grid === undefined)
      return { ...common, ...tooSmall, timingsMs: { decode: decodeMs, preprocess: 0, infer: 0 } };
    const logits = await timed(() => classifier.logits(grid.value.pixels, [3, crop, crop], signal, observer));
    release(grid.value.pixels);
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
      timingsMs: { decode: decodeMs, preprocess: grid.ms, infer: logits.ms },
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
