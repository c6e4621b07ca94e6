/** Features of frames to the logits of a clip and of windows of it. Every frame was encoded once, whatever looks at it. */
import { clipIndices, windowStarts } from '../sequences.ts';

export interface SequenceParameters {
  /** Frames that the head takes. */
  readonly sequence: number;
  /** Windows at most. */
  readonly windows: number;
}

/**
 * @param items one `[...itemShape]` each, which may share memory
 * @returns one logit per item
 */
export type Head = (
  items: readonly Float32Array[],
  itemShape: readonly number[],
) => Promise<ArrayLike<number>>;

export interface JudgedSequences {
  /** Of the whole clip. */
  readonly logit: number;
  /** In order of time; the whole clip alone where there are no more frames than the head takes. */
  readonly windows: readonly JudgedWindow[];
}

export interface JudgedWindow {
  /** Index of its first frame. */
  readonly first: number;
  /** Index of its last frame. */
  readonly last: number;
  readonly logit: number;
}

/**
 * @param features one row per frame, not empty
 * @throws Error where the rows have different lengths
 */
export async function judgeSequences(
  features: readonly Float32Array[],
  { sequence, windows }: SequenceParameters,
  head: Head,
): Promise<JudgedSequences> {
  const { rows, width } = joinedRows(features);
  const itemShape = [sequence, width];
  const frames = features.length;
  const clip = rowsAt(rows, width, clipIndices(frames, sequence));
  const starts = frames > sequence ? windowStarts(frames, sequence, windows) : [];
  const parts = starts.map((start) => rows.subarray(start * width, (start + sequence) * width));
  const logits = await head([clip, ...parts], itemShape);
  const logit = logits[0] ?? NaN;
  const judged = starts.map((first, index) => ({
    first,
    last: first + sequence - 1,
    logit: logits[index + 1] ?? NaN,
  }));
  return {
    logit,
    windows: judged.length > 0 ? judged : [{ first: 0, last: frames - 1, logit }],
  };
}

/** One array of all rows, of which windows are views. */
function joinedRows(features: readonly Float32Array[]): { rows: Float32Array; width: number } {
  const width = features[0]?.length ?? 0;
  if (features.some((row) => row.length !== width))
    throw new Error('the encoder gave frames features of different lengths');
  const rows = new Float32Array(features.length * width);
  for (const [index, row] of features.entries()) rows.set(row, index * width);
  return { rows, width };
}

function rowsAt(rows: Float32Array, width: number, indices: readonly number[]): Float32Array {
  const taken = new Float32Array(indices.length * width);
  for (const [position, index] of indices.entries())
    taken.set(rows.subarray(index * width, (index + 1) * width), position * width);
  return taken;
}
