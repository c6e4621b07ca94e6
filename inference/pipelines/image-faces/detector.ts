/** The faces of an image, each judged alone; the one that looks most like a fake decides. */
import { decodeImage, readImageHeader } from '../../media/image.ts';
import type { ImageFacesParameters } from '../../models/pipeline-parameters.ts';
import { type Detector, timed } from '../analysis.ts';
import { type FaceGraphs, FaceJudge, leftOutNotes } from '../faces/crops.ts';
import { type FaceScoring, faceSignals, frameLogits, framesWithFaces } from '../faces/scores.ts';
import { frameNotes, imageRequestOf } from '../images.ts';

export function imageFacesDetector(
  parameters: ImageFacesParameters,
  graphs: FaceGraphs,
  scoring: FaceScoring,
): Detector {
  return async (input, { signal, pixelBudget, observer }) => {
    const request = imageRequestOf(input, pixelBudget);
    const header = await readImageHeader(request);
    const { width, height } = header;
    const judge = new FaceJudge(parameters, graphs, { signal, observer });
    const decodeMs = await pixelBudget.within(width * height, async () => {
      signal.throwIfAborted();
      const decoded = await timed(() => decodeImage(request));
      observer?.pixels(decoded.value);
      await judge.look(decoded.value, 0, { x: 1, y: 1 });
      return decoded.ms;
    });
    await judge.finish();
    const { faces, preprocessMs, inferMs } = judge;
    const frames = framesWithFaces([0], faces, scoring);
    const [logit] = frameLogits(faces, scoring);
    return {
      logit: logit ?? null,
      inconclusiveReasons: logit === undefined ? ['no_face'] : [],
      partScores: frames.flatMap((frame) => frame.faces ?? []).map(({ score }) => score),
      frames,
      signals: faceSignals(frames, scoring.high),
      dimensions: { width, height },
      notes: [...frameNotes(header), ...leftOutNotes(judge, parameters)],
      timingsMs: { decode: decodeMs, preprocess: preprocessMs, infer: inferMs },
    };
  };
}
