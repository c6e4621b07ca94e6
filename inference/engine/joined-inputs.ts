/** Several inputs of one graph as one row of numbers for each item, so that they share runs as single inputs do. Pure. */
import { elementCount, type GraphMetadata } from './tensors.ts';

export interface JoinedInput {
  readonly name: string;
  /** Without the batch axis. */
  readonly itemShape: readonly number[];
}

/**
 * The shapes of the named inputs, in that order.
 * @throws Error, one line, where one of them is not float32 with known sides behind the batch axis
 */
export function joinedInputs(
  path: string,
  names: readonly string[],
  metadata: GraphMetadata | undefined,
): JoinedInput[] {
  return names.map((name) => {
    const found = metadata?.inputs.find((input) => input.name === name);
    const itemShape = found?.shape.slice(1) ?? [];
    if (found?.type === 'float32' && itemShape.length > 0 && itemShape.every((side) => side > 0))
      return { name, itemShape };
    throw new Error(
      `${path}: the input "${name}" is [${found?.shape.join(', ') ?? 'unknown'}], but must be float32 with known sides behind the first; export the graph again`,
    );
  });
}

/** How many numbers an item has over all inputs. */
export function joinedLength(inputs: readonly JoinedInput[]): number {
  return inputs.reduce((sum, { itemShape }) => sum + elementCount(itemShape), 0);
}

/**
 * @param values `[items, joinedLength]`
 * @returns `[items, ...itemShape]` of each input
 */
export function splitItems(values: Float32Array, inputs: readonly JoinedInput[]): Float32Array[] {
  const length = joinedLength(inputs);
  const items = values.length / length;
  let offset = 0;
  return inputs.map(({ itemShape }) => {
    const size = elementCount(itemShape);
    const part = new Float32Array(items * size);
    for (let item = 0; item < items; item += 1) {
      const start = item * length + offset;
      part.set(values.subarray(start, start + size), item * size);
    }
    offset += size;
    return part;
  });
}
