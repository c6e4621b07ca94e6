/** Faces of pictures to the items of a graph, in batches. */
import { pixelWriter } from '../../dsp/frames.ts';
import { itemShapeOf } from '../../dsp/normalise.ts';
import type { Raster } from '../../dsp/tiles.ts';
import type { Classifier } from '../../engine/session.ts';
import { areaOf } from '../../faces/boxes.ts';
import { cropFace, shownOf } from '../../faces/crop.ts';
import type { Box, FaceFinder } from '../../faces/faces.ts';
import { followFaces, noTracks } from '../../faces/tracks.ts';
import type { FaceCropParameters } from '../../models/parameters/faces.ts';
import { type DetectorContext, timed } from '../analysis.ts';
import { itemsAtATime } from '../batches.ts';
import type { JudgedFace } from './scores.ts';

export interface FaceGraphs {
  readonly finder: FaceFinder;
  readonly classifier: Classifier;
}

/** Crops that are held as tensors at a time, at most. */
const maxCropsPerBatch = 8;

interface FoundFace {
  /** In pixels of the raster. */
  readonly seen: Box;
  /** In pixels of the file's own pictures. */
  readonly box: Box;
}

/** Looks at the pictures of one file, one after the other. */
export class FaceJudge {
  /** In the order in which they were found; complete after `finish`. */
  readonly faces: JudgedFace[] = [];
  preprocessMs = 0;
  inferMs = 0;
  /** Faces that the package does not judge: too small, or too many. */
  leftOut = { small: 0, many: 0 };
  readonly #parameters: FaceCropParameters;
  readonly #graphs: FaceGraphs;
  readonly #signal: AbortSignal;
  readonly #observer: DetectorContext['observer'];
  readonly #write: ReturnType<typeof pixelWriter>;
  readonly #itemLength: number;
  readonly #cropsPerBatch: number;
  /** None before there is a face. */
  #batch: Float32Array | undefined;
  #waiting: Omit<JudgedFace, 'logit'>[] = [];
  #tracks = noTracks;

  constructor(
    parameters: FaceCropParameters,
    graphs: FaceGraphs,
    { signal, observer }: Pick<DetectorContext, 'signal' | 'observer'>,
  ) {
    this.#parameters = parameters;
    this.#graphs = graphs;
    this.#signal = signal;
    this.#observer = observer;
    this.#write = pixelWriter(parameters.pixels);
    this.#itemLength = 3 * parameters.crop.width * parameters.crop.height;
    this.#cropsPerBatch = itemsAtATime(this.#itemLength, maxCropsPerBatch);
  }

  /**
   * @param frame the picture's place in the file
   * @param scale pixels of the file's own pictures for one of the raster
   */
  async look(
    raster: Raster,
    frame: number,
    scale: { readonly x: number; readonly y: number },
  ): Promise<void> {
    const found = await timed(() => this.#find(raster, scale));
    this.preprocessMs += found.ms;
    const { ids, tracks } = followFaces(
      this.#tracks,
      found.value.map(({ box }) => box),
    );
    this.#tracks = tracks;
    for (const [index, { seen, box }] of found.value.entries()) {
      this.#batch ??= new Float32Array(this.#cropsPerBatch * this.#itemLength);
      const item = this.#batch
        .subarray(this.#waiting.length * this.#itemLength)
        .subarray(0, this.#itemLength);
      const cropped = await timed(() => cropFace(raster, seen, this.#parameters.crop));
      this.preprocessMs += cropped.ms;
      if (cropped.value === undefined) continue;
      this.#write(cropped.value, item);
      this.#waiting.push({ frame, trackId: ids[index] ?? 0, box });
      if (this.#waiting.length === this.#cropsPerBatch) await this.#judge(this.#batch);
    }
  }

  /** Judges what is left of the last batch. */
  async finish(): Promise<void> {
    if (this.#batch !== undefined && this.#waiting.length > 0) await this.#judge(this.#batch);
  }

  /** Those to judge, the largest first; nothing is cropped before it is known which. */
  async #find(raster: Raster, scale: { readonly x: number; readonly y: number }): Promise<FoundFace[]> {
    const { faces, crop: shape } = this.#parameters;
    const found = (await this.#graphs.finder.find(raster, this.#signal))
      .filter(({ box }) => shownOf(raster, box, shape.margin) !== undefined)
      .map(({ box }): FoundFace => ({ seen: box, box: scaled(box, scale) }));
    const large = found.filter(({ box }) => Math.min(box.width, box.height) >= faces.minSide);
    const chosen = large.toSorted((a, b) => areaOf(b.box) - areaOf(a.box)).slice(0, faces.max);
    this.leftOut.small += found.length - large.length;
    this.leftOut.many += large.length - chosen.length;
    return chosen;
  }

  async #judge(batch: Float32Array): Promise<void> {
    const { crop, pixels } = this.#parameters;
    const waiting = this.#waiting;
    const items = batch.subarray(0, waiting.length * this.#itemLength);
    const itemShape = itemShapeOf(crop, pixels.layout);
    const logits = await timed(() =>
      this.#graphs.classifier.logits(items, itemShape, this.#signal, this.#observer),
    );
    this.inferMs += logits.ms;
    // The maximum of a frame's faces would hide it.
    if (!logits.value.every(Number.isFinite))
      throw new Error('the graph answered with a value that is not finite');
    this.faces.push(...waiting.map((face, index) => ({ ...face, logit: logits.value[index] ?? NaN })));
    this.#waiting = [];
  }
}

function scaled({ x, y, width, height }: Box, by: { readonly x: number; readonly y: number }): Box {
  return { x: x * by.x, y: y * by.y, width: width * by.x, height: height * by.y };
}

/** What a person has to know of the faces that were not judged. */
export function leftOutNotes(
  { leftOut }: Pick<FaceJudge, 'leftOut'>,
  { faces }: FaceCropParameters,
): string[] {
  return [
    ...(leftOut.small > 0 ? [`Faces of fewer than ${faces.minSide} px were not judged.`] : []),
    ...(leftOut.many > 0
      ? [
          faces.max === 1
            ? 'Only the largest face of a picture was judged.'
            : `Only the ${faces.max} largest faces of a picture were judged.`,
        ]
      : []),
  ];
}
