/** Faces that a table places, for tests of what is done with them: no graph looks at any picture. */
import type { Raster } from '../dsp/tiles.ts';
import { centreOf, containment } from '../faces/boxes.ts';
import { eyePoints } from '../faces/eyes.ts';
import { type Box, type Face, type FaceFinder, type FaceLandmarks, landmarkCount } from '../faces/faces.ts';

export interface ScriptedFace {
  readonly box: Box;
  /** Eye aspect ratio of the right eye, and of the left one where that is another; default 0.3. */
  readonly ear?: number | readonly [right: number, left: number];
  /** Of the right eye and of the left one, from corner to corner; default: a fifth of the box's width. */
  readonly eyeWidths?: readonly [right: number, left: number];
}

/** `FaceLandmarks.points` of a face: the eyes a third from the box's top, all others at its middle and two corners. */
export function meshPoints({ box, ear = 0.3, eyeWidths }: ScriptedFace): Float32Array {
  const points = new Float32Array(3 * landmarkCount);
  const put = (index: number, x: number, y: number) => points.set([x, y], 3 * index);
  const middle = centreOf(box);
  for (let index = 0; index < landmarkCount; index += 1) put(index, middle.x, middle.y);
  // No eye has one of these.
  put(10, box.x, box.y);
  put(152, box.x + box.width, box.y + box.height);
  const ears = typeof ear === 'number' ? [ear, ear] : ear;
  for (const [side, indices] of [eyePoints.right, eyePoints.left].entries()) {
    const width = eyeWidths?.[side] ?? box.width / 5;
    const half = ((ears[side] ?? 0) * width) / 2;
    const outwards = side === 0 ? -1 : 1;
    const [x, y] = [middle.x + (outwards * box.width) / 4, box.y + box.height / 3];
    const [p1, p2, p3, p4, p5, p6] = indices;
    put(p1, x + (outwards * width) / 2, y);
    put(p4, x - (outwards * width) / 2, y);
    put(p2, x + (outwards * width) / 6, y - half);
    put(p3, x - (outwards * width) / 6, y - half);
    put(p5, x - (outwards * width) / 6, y + half);
    put(p6, x + (outwards * width) / 6, y + half);
  }
  return points;
}

/** Takes each new raster for the next picture, unless it is told the picture's number. */
export class ScriptedFinder implements FaceFinder {
  /** Pictures in which faces were searched. */
  readonly searched: number[] = [];
  readonly #script: (picture: number) => readonly ScriptedFace[];
  readonly #pictures = new Map<Raster, number>();

  constructor(script: (picture: number) => readonly ScriptedFace[], pictures: readonly Raster[] = []) {
    this.#script = script;
    for (const [number, raster] of pictures.entries()) this.#pictures.set(raster, number);
  }

  async find(raster: Raster, signal: AbortSignal): Promise<readonly Face[]> {
    signal.throwIfAborted();
    this.searched.push(this.#pictureOf(raster));
    return this.#script(this.#pictureOf(raster)).map(({ box }) => ({ box, score: 1, keypoints: [] }));
  }

  /** Of the face at that place; no face is present where none is. */
  async landmarks(raster: Raster, { box }: Face, signal: AbortSignal): Promise<FaceLandmarks> {
    signal.throwIfAborted();
    const face = this.#script(this.#pictureOf(raster)).find((other) => containment(other.box, box) > 0.3);
    if (face === undefined) return { points: new Float32Array(3 * landmarkCount), presence: 0 };
    return { points: meshPoints(face), presence: 1 };
  }

  #pictureOf(raster: Raster): number {
    const picture = this.#pictures.get(raster) ?? this.#pictures.size;
    this.#pictures.set(raster, picture);
    return picture;
  }
}
