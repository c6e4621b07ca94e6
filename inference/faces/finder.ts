/** Finds faces with the graphs in `graphs/`. For worker threads: a search takes milliseconds to hundreds of them. */
import { fileURLToPath } from 'node:url';
import type { Raster } from '../dsp/tiles.ts';
import { OwnGraph } from '../engine/own-graph.ts';
import { containment } from './boxes.ts';
import { anchorsOf, decodeFaces, type DetectorShape, mergeFaces } from './detection.ts';
import type { Box, Face, FaceFinder } from './faces.ts';
import { meshToPicture, meshView } from './mesh.ts';
import { squaresOf } from './search.ts';
import { letterbox, look } from './view.ts';

/** What models/faces/run convert made. */
const graphs = {
  detector: { file: 'face-detection-full-range.onnx', sha256: '01bc3cbba9cc6c7f7e1aac7206a81e24a6a2e3b1d891a595bbfe1bb615823515' },
  mesh: { file: 'face-mesh.onnx', sha256: 'b476d5f8a26085e5608dfa3ae2bd3c7783ff46e2c890d8c18ca26255d7668fd8' },
} as const;

const detectorShape: DetectorShape = { side: 192, layers: [{ stride: 4, anchorsPerCell: 1 }] };
const meshSide = 192;

const minScore = 0.5;
const minOverlap = 0.3;
/** A face that one square shows cut off lies mostly in the whole one that another square shows. */
const minContainment = 0.6;

/**
 * The whole picture first; only where it shows no face, squares of this part of its longer side.
 */
const squareShare = 1 / 3;

export async function openFaceFinder({ intraOpThreads }: { readonly intraOpThreads: number }): Promise<FaceFinder> {
  const open = ({ file, sha256 }: { file: string; sha256: string }) =>
    OwnGraph.open(fileURLToPath(new URL(`graphs/${file}`, import.meta.url)), sha256, intraOpThreads);
  const [detector, mesh] = await Promise.all([open(graphs.detector), open(graphs.mesh)]);
  const anchors = anchorsOf(detectorShape);

  const detect = async (raster: Raster, part: Box, signal: AbortSignal): Promise<Face[]> => {
    const { side } = detectorShape;
    const view = letterbox(part);
    const input = look(raster, view, { width: side, height: side }, 'black');
    for (let index = 0; index < input.length; index += 1) input[index] = (input[index] ?? 0) / 127.5 - 1;
    const output = await detector.run(input, [1, side, side, 3], signal);
    const faces = decodeFaces(output('boxes'), output('logits'), anchors, detectorShape, view, minScore);
    return mergeFaces(faces, minOverlap);
  };

  return {
    find: async (raster, signal) => {
      const { width, height } = raster;
      const whole = await detect(raster, { x: 0, y: 0, width, height }, signal);
      if (whole.length > 0) return whole;
      const found: Face[] = [];
      for (const part of squaresOf(raster, Math.max(width, height) * squareShare))
        found.push(...(await detect(raster, part, signal)));
      return mergeFaces(found, minContainment, containment);
    },
    landmarks: async (raster, face, signal) => {
      const view = meshView(face);
      const input = look(raster, view, { width: meshSide, height: meshSide }, 'edge');
      for (let index = 0; index < input.length; index += 1) input[index] = (input[index] ?? 0) / 255;
      const output = await mesh.run(input, [1, meshSide, meshSide, 3], signal);
      const [logit = -Infinity] = output('presence');
      return { points: meshToPicture(output('points'), meshSide, view), presence: 1 / (1 + Math.exp(-logit)) };
    },
  };
}
