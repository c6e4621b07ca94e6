/** The one item that a head of pictures and sound takes. Pure. */
import type { JoinedInput } from '../../engine/joined-inputs.ts';

/** Numbers of each input of an item. */
export interface HeadShapes {
  readonly frames: { readonly count: number; readonly width: number };
  readonly sound: { readonly count: number; readonly width: number };
}

/**
 * @param joined the inputs of the head for frames, sound and presence, in that order
 * @throws Error, one line, where their shapes are not `[frames, D]`, `[windows, E]` and `[2]`
 */
export function headShapes(joined: readonly JoinedInput[], frames: number, windows: number): HeadShapes {
  const [ofFrames, ofSound, presence] = joined;
  if (presence?.itemShape.length !== 1 || presence.itemShape[0] !== 2)
    throw new Error(
      `the head's input "${presence?.name}" is [n, ${presence?.itemShape.join(', ')}], but must be [n, 2]: pictures, sound`,
    );
  return {
    frames: { count: frames, width: widthOf(ofFrames, frames) },
    sound: { count: windows, width: widthOf(ofSound, windows) },
  };
}

function widthOf(input: JoinedInput | undefined, count: number): number {
  const [found, width, ...more] = input?.itemShape ?? [];
  if (found === count && width !== undefined && more.length === 0) return width;
  throw new Error(
    `the head's input "${input?.name}" is [n, ${input?.itemShape.join(', ')}], but the pipeline in model.yaml gives it [n, ${count}, features]; correct one of them`,
  );
}

/**
 * Features of all frames, of all windows of the sound, and 1 or 0 for whether there are any. What is missing is zeros.
 * @param parts as many rows as the shapes say, or none
 * @throws Error where a row has another length than the head takes
 */
export function jointItem(
  { frames, sound }: HeadShapes,
  parts: { readonly frames: readonly Float32Array[]; readonly sound: readonly Float32Array[] },
): Float32Array {
  const ofFrames = frames.count * frames.width;
  const ofSound = sound.count * sound.width;
  const item = new Float32Array(ofFrames + ofSound + 2);
  place(item, 0, parts.frames, frames);
  place(item, ofFrames, parts.sound, sound);
  item.set([parts.frames.length > 0 ? 1 : 0, parts.sound.length > 0 ? 1 : 0], ofFrames + ofSound);
  return item;
}

function place(
  item: Float32Array,
  offset: number,
  rows: readonly Float32Array[],
  { count, width }: HeadShapes['frames'],
): void {
  if (rows.length === 0) return;
  if (rows.length !== count || rows.some((row) => row.length !== width))
    throw new Error(`the head takes ${count} rows of ${width} features, but a graph gave others`);
  for (const [index, row] of rows.entries()) item.set(row, offset + index * width);
}
