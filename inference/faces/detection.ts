/** From the numbers of a BlazeFace graph to faces. Pure functions of numbers. */
import { areaOf } from './boxes.ts';
import type { Box, Face, Point } from './faces.ts';
import { toPicture, type View } from './view.ts';

/** A group of layers of the graph that see the picture in cells of the same size. */
export interface CellLayer {
  /** Pixels of the graph's input from one cell to the next. */
  readonly stride: number;
  readonly anchorsPerCell: number;
}

export interface DetectorShape {
  /** Of the graph's square input, in pixels. */
  readonly side: number;
  readonly layers: readonly CellLayer[];
}

const keypointCount = 6;
/** Of each anchor: its box's centre and sides, then x and y of its keypoints. */
const valuesPerAnchor = 4 + 2 * keypointCount;

/** Middles of the cells, in units of the input's side, layer by layer, row by row, as often as a cell has anchors. They have no size. */
export function anchorsOf({ side, layers }: DetectorShape): Point[] {
  return layers.flatMap(({ stride, anchorsPerCell }) => {
    const cells = Math.ceil(side / stride);
    return Array.from({ length: cells * cells * anchorsPerCell }, (_, index) => {
      const cell = Math.floor(index / anchorsPerCell);
      return { x: ((cell % cells) + 0.5) / cells, y: (Math.floor(cell / cells) + 0.5) / cells };
    });
  });
}

export interface DetectorOutput {
  /** `[anchors, 16]` in pixels of the graph's input, from each anchor. */
  readonly boxes: Float32Array;
  /** `[anchors]`. */
  readonly logits: Float32Array;
}

/**
 * @param side of the graph's input, in pixels
 * @param view what of the picture the graph saw
 * @returns faces of at least the score, many for each face of the picture
 */
export function decodeFaces(
  { boxes, logits }: DetectorOutput,
  anchors: readonly Point[],
  side: number,
  view: View,
  minScore: number,
): Face[] {
  const faces: Face[] = [];
  for (const [index, anchor] of anchors.entries()) {
    const score = 1 / (1 + Math.exp(-(logits[index] ?? -Infinity)));
    if (!(score >= minScore)) continue;
    const values = boxes.subarray(index * valuesPerAnchor, (index + 1) * valuesPerAnchor);
    const pairs = Array.from({ length: valuesPerAnchor / 2 }, (_, pair) => ({
      x: (values[2 * pair] ?? 0) / side,
      y: (values[2 * pair + 1] ?? 0) / side,
    }));
    const [centre, sides, ...points] = pairs;
    if (centre === undefined || sides === undefined) continue;
    const moved = (point: Point) => toPicture(view, { x: anchor.x + point.x, y: anchor.y + point.y });
    const middle = moved(centre);
    const [width, height] = [sides.x * view.width, sides.y * view.height];
    const box = { x: middle.x - width / 2, y: middle.y - height / 2, width, height };
    if (width > 0 && height > 0) faces.push({ box, score, keypoints: points.map(moved) });
  }
  return faces;
}

/**
 * One face for each group that overlaps: the mean of the group, weighed by the scores, with the highest score.
 * @param similarity of two boxes, 0..1: those of more than `minSimilarity` are the same face
 * @returns the surest first
 */
export function mergeFaces(
  faces: readonly Face[],
  minSimilarity: number,
  similarity: (a: Box, b: Box) => number,
): Face[] {
  const merged: Face[] = [];
  let rest = faces.toSorted((a, b) => b.score - a.score);
  for (let [surest] = rest; surest !== undefined; [surest] = rest) {
    const { box, score } = surest;
    const group = rest.filter((face) => face === surest || similarity(face.box, box) > minSimilarity);
    merged.push({ ...weighedMean(group), score });
    rest = rest.filter((face) => !group.includes(face));
  }
  return merged;
}

/** The largest so many, in the order in which they came. */
export function largestFaces(faces: readonly Face[], most: number): Face[] {
  const largest = new Set(faces.toSorted((a, b) => areaOf(b.box) - areaOf(a.box)).slice(0, most));
  return faces.filter((face) => largest.has(face));
}

function weighedMean(group: readonly Face[]): Omit<Face, 'score'> {
  const total = group.reduce((sum, { score }) => sum + score, 0);
  const mean = (numberOf: (face: Face) => number) =>
    group.reduce((sum, face) => sum + face.score * numberOf(face), 0) / total;
  return {
    box: {
      x: mean(({ box }) => box.x),
      y: mean(({ box }) => box.y),
      width: mean(({ box }) => box.width),
      height: mean(({ box }) => box.height),
    },
    keypoints: Array.from({ length: group[0]?.keypoints.length ?? 0 }, (_, place) => ({
      x: mean(({ keypoints }) => keypoints[place]?.x ?? 0),
      y: mean(({ keypoints }) => keypoints[place]?.y ?? 0),
    })),
  };
}
