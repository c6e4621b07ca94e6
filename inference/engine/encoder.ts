/** A graph whose output is no score: what other graphs of its package judge. */
import './no-telemetry.ts';
import { type InferenceSession, Tensor } from 'onnxruntime-node';
import { Batcher } from './batcher.ts';
import { graphMetadata } from './ort-tensors.ts';
import {
  type ClassifierOptions,
  computeTensors,
  type GraphEntry,
  openSession,
  rowsOf,
  type TensorGraph,
} from './session.ts';
import type { GraphMetadata, NamedTensor } from './tensors.ts';

/** Items in, one row of features per item out; concurrent callers share its runs. */
export class Encoder implements TensorGraph {
  readonly metadata: GraphMetadata | undefined;
  readonly #session: InferenceSession;
  readonly #batcher: Batcher<Float32Array>;

  private constructor(
    session: InferenceSession,
    { input, output }: GraphEntry,
    { batch = { maxItems: 1, maxElements: Infinity, maxDelayMs: 0 }, onRun }: ClassifierOptions,
  ) {
    this.#session = session;
    this.metadata = graphMetadata(session);
    this.#batcher = new Batcher(async (values, items, itemShape) => {
      const startedAt = performance.now();
      const answer = await session.run({ [input]: new Tensor('float32', values, [items, ...itemShape]) }, [
        output,
      ]);
      const rows = rowsOf(output, answer[output], items);
      onRun?.(items, performance.now() - startedAt);
      return rows;
    }, batch);
  }

  /** @throws as `openSession` */
  static async open(path: string, entry: GraphEntry, options: ClassifierOptions): Promise<Encoder> {
    const ends = { sha256: entry.sha256, inputs: [entry.input], outputs: [entry.output] };
    return new Encoder(await openSession(path, ends, options), entry, options);
  }

  /**
   * @param items `[n, ...itemShape]`, row-major; not to be changed before the answer
   * @returns all values of the output, whatever their shape, for each of n items
   * @throws the signal's reason as soon as it is aborted
   */
  features(
    items: Float32Array,
    itemShape: readonly number[],
    signal: AbortSignal,
  ): Promise<readonly Float32Array[]> {
    return this.#batcher.submit(items, itemShape, signal);
  }

  compute(
    model: string,
    inputs: readonly NamedTensor[],
    outputs: readonly string[],
  ): Promise<readonly NamedTensor[]> {
    return computeTensors(this.#session, model, inputs, outputs);
  }
}
