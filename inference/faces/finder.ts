/** Finds faces with the graphs in `graphs/`. For worker threads: a search takes tens of milliseconds, and it blocks. */
import { fileURLToPath } from 'node:url';
import type { Raster } from '../dsp/tiles.ts';
import { OwnGraph } from '../engine/own-graph.ts';
import { containment, grown, overlap } from './boxes.ts';
import { anchorsOf, type DetectorShape, decodeFaces, largestFaces, mergeFaces } from './detection.ts';
import type { Box, Face, FaceFinder, FaceLandmarks } from './faces.ts';
import { meshToPicture, meshView } from './mesh.ts';
import { squaresOf } from './search.ts';
import { letterbox, look } from './view.ts';

/** What `models/faces/run convert` made. Others change answers: `answerVersion` in `cache/judgement.ts` rises with them. */
const graphs = {
  detector: {
    file: 'face-detection-full-range.onnx',
    sha256: '01bc3cbba9cc6c7f7e1aac7206a81e24a6a2e3b1d891a595bbfe1bb615823515',
  },
  mesh: {
    file: 'face-mesh.onnx',
    sha256: 'b476d5f8a26085e5608dfa3ae2bd3c7783ff46e2c890d8c18ca26255d7668fd8',
  },
} as const;

const detectorShape: DetectorShape = { side: 192, layers: [{ stride: 4, anchorsPerCell: 1 }] };
const anchors = anchorsOf(detectorShape);
const meshSide = 192;

const minScore = 0.5;
/** The detector alone takes parts of toys and shadows for faces where it looks at small squares; the mesh almost never does. */
const minPresence = 0.5;
const minOverlap = 0.3;
/** A face that one square shows cut off lies mostly in the whole one that another square shows. */
const minContainment = 0.6;
/** Of the picture's longer side: the first look makes smaller boxes up to twice too large, or of nothing. */
const smallShare = 1 / 10;
/** Sides of a box that a closer look takes in. */
const closerSides = 4;
/** Of the picture's longer side: the squares that are searched where the whole picture shows no face. */
const squareShare = 1 / 3;

/** Detections of a picture that are looked at closer, and to which the mesh is fitted: each costs a run of a graph, and no package judges more faces. */
const maxFaces = 32;

/**
 * Opens the graphs. Of the detections in a picture the finder follows up the `maxFaces` largest, and no others.
 * @throws Error, one line: a graph is missing or not the one that the program was made with
 */
export async function openFaceFinder(options: { readonly intraOpThreads: number }): Promise<FaceFinder> {
  const open = ({ file, sha256 }: { file: string; sha256: string }) =>
    OwnGraph.open(fileURLToPath(new URL(`graphs/${file}`, import.meta.url)), sha256, options.intraOpThreads);
  const [detector, mesh] = await Promise.all([open(graphs.detector), open(graphs.mesh)]);
  return new GraphFaceFinder(detector, mesh);
}

function isSmall({ box }: Face, { width, height }: Raster): boolean {
  return Math.max(box.width, box.height) < smallShare * Math.max(width, height);
}

class GraphFaceFinder implements FaceFinder {
  readonly #detector: OwnGraph;
  readonly #mesh: OwnGraph;
  /** What the mesh said when it confirmed a face, so that nobody computes it again. */
  readonly #confirmed = new WeakMap<Face, { readonly raster: Raster; readonly landmarks: FaceLandmarks }>();

  constructor(detector: OwnGraph, mesh: OwnGraph) {
    this.#detector = detector;
    this.#mesh = mesh;
  }

  async find(raster: Raster, signal: AbortSignal): Promise<readonly Face[]> {
    const { width, height } = raster;
    const detected = await this.#detect(raster, { x: 0, y: 0, width, height }, signal);
    const seen = largestFaces(mergeFaces(detected, minOverlap, overlap), maxFaces);
    const sharp: Face[] = [];
    for (const face of seen)
      sharp.push(...(isSmall(face, raster) ? await this.#lookCloser(raster, face, signal) : [face]));
    const whole = await this.#confirm(raster, mergeFaces(sharp, minOverlap, overlap), signal);
    return whole.length > 0 ? whole : this.#findSmall(raster, signal);
  }

  async landmarks(raster: Raster, face: Face, signal: AbortSignal): Promise<FaceLandmarks> {
    const known = this.#confirmed.get(face);
    return known?.raster === raster ? known.landmarks : this.#fitMesh(raster, face, signal);
  }

  /** The same face, and nothing where the closer look does not show it. */
  async #lookCloser(raster: Raster, { box }: Face, signal: AbortSignal): Promise<Face[]> {
    const around = grown(box, (closerSides - 1) / 2);
    const seen = mergeFaces(await this.#detect(raster, around, signal), minOverlap, overlap);
    return seen.filter((face) => containment(face.box, box) > minContainment).slice(0, 1);
  }

  async #findSmall(raster: Raster, signal: AbortSignal): Promise<Face[]> {
    const found: Face[] = [];
    for (const square of squaresOf(raster, Math.max(raster.width, raster.height) * squareShare))
      found.push(...mergeFaces(await this.#detect(raster, square, signal), minOverlap, overlap));
    const distinct = largestFaces(mergeFaces(found, minContainment, containment), maxFaces);
    return this.#confirm(raster, distinct, signal);
  }

  /** Many for each face. */
  async #detect(raster: Raster, part: Box, signal: AbortSignal): Promise<Face[]> {
    const { side } = detectorShape;
    const view = letterbox(part);
    const levels = look(raster, view, { width: side, height: side }, 'black');
    const input = levels.map((level) => level / 127.5 - 1);
    const output = await this.#detector.run(input, [1, side, side, 3], signal);
    return decodeFaces({ boxes: output('boxes'), logits: output('logits') }, anchors, side, view, minScore);
  }

  async #confirm(raster: Raster, faces: readonly Face[], signal: AbortSignal): Promise<Face[]> {
    const confirmed: Face[] = [];
    for (const face of faces) {
      const landmarks = await this.#fitMesh(raster, face, signal);
      if (landmarks.presence < minPresence) continue;
      this.#confirmed.set(face, { raster, landmarks });
      confirmed.push(face);
    }
    return confirmed;
  }

  async #fitMesh(raster: Raster, face: Face, signal: AbortSignal): Promise<FaceLandmarks> {
    const view = meshView(face);
    const levels = look(raster, view, { width: meshSide, height: meshSide }, 'edge');
    const input = levels.map((level) => level / 255);
    const output = await this.#mesh.run(input, [1, meshSide, meshSide, 3], signal);
    const [logit = -Infinity] = output('presence');
    return {
      points: meshToPicture(output('points'), meshSide, view),
      presence: 1 / (1 + Math.exp(-logit)),
    };
  }
}
