/** The whole image at the size of the graph's input; one run decides. */
import { activationHeatmap, gridArea } from '../../dsp/heatmap.ts';
import { itemShapeOf, normalise } from '../../dsp/normalise.ts';
import type { Classifier, OutputMap } from '../../engine/session.ts';
import { decodeResized, type ImageHeader, type Resizing, readImageHeader } from '../../media/image.ts';
import { release } from '../../media/release.ts';
import type { ImageClassifierParameters } from '../../models/pipeline-parameters.ts';
import { type Detector, timed } from '../analysis.ts';
import { frameNotes, imageRequestOf } from '../images.ts';

export function imageClassifierDetector(
  parameters: ImageClassifierParameters,
  classifier: Classifier,
): Detector {
  const { size, fit, kernel, decode, layout, minSide } = parameters;
  const resizing: Resizing = { ...size, fit, kernel, shrinkOnLoad: decode === 'shrink' };
  const itemShape = itemShapeOf(size, layout);
  return async (input, { signal, pixelBudget, observer }) => {
    const request = imageRequestOf(input, pixelBudget);
    const header = await readImageHeader(request);
    const { width, height } = header;
    const common = { dimensions: { width, height }, notes: frameNotes(header), partScores: [] };
    if (Math.min(width, height) < minSide) return { ...common, ...tooSmall };
    const decoded = await pixelBudget.within(width * height, () => {
      signal.throwIfAborted();
      return timed(() => decodeResized(request, header, resizing));
    });
    const item = await timed(() => normalise(decoded.value, parameters));
    const judged = await timed(() => classifier.judge(item.value, itemShape, signal, observer));
    release(item.value);
    const { logit, map } = judged.value;
    return {
      ...common,
      logit,
      inconclusiveReasons: [],
      signals: map === undefined ? {} : { heatmap: heatmapOf(map, header, resizing) },
      timingsMs: { decode: decoded.ms, preprocess: item.ms, infer: judged.ms },
    };
  };
}

const tooSmall = {
  logit: null,
  inconclusiveReasons: ['low_resolution'],
  signals: {},
  timingsMs: { decode: 0, preprocess: 0, infer: 0 },
} as const;

function heatmapOf(map: OutputMap, image: ImageHeader, { fit, ...input }: Resizing) {
  return activationHeatmap(map, gridArea(image, input, fit));
}
