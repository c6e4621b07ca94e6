/** ONNX Runtime sessions. Only worker threads open them, because `run()` blocks its thread. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { env, InferenceSession, Tensor } from 'onnxruntime-node';
import { messageOf } from '../errors.ts';

export type Device = 'cpu' | 'cuda' | 'tensorrt';

export interface SessionOptions {
  readonly device: Device;
  readonly intraOpThreads: number;
}

export interface GraphEntry {
  /** Of the file, 64 hexadecimal digits. */
  readonly sha256: string;
  readonly input: string;
  readonly output: string;
  /** Another output, for `judge`. */
  readonly heatmap?: string | undefined;
}

/** One plane of values, row by row: `rows * cols` of them. */
export interface OutputMap {
  readonly values: Float32Array;
  readonly rows: number;
  readonly cols: number;
}

/**
 * Items that one call computes. On processors more bring no speed and cost memory (90 MB for four tiles of 256 px), and a cancelled request
 * frees the worker after the call it is in.
 */
const batchSizes: Readonly<Record<Device, number>> = { cpu: 1, cuda: 8, tensorrt: 8 };

/** Where graphs may look for tensors outside their file: nowhere, because the manifest's digest covers no such file. */
const externalTensorsFolder = '/dev/null';

env.logLevel = 'fatal';

/** One classifier graph: a batch of items in, one logit per item out. */
export class Classifier {
  readonly #session: InferenceSession;
  readonly #names: GraphEntry;
  readonly #batchSize: number;
  readonly #logitOf: (row: Float32Array) => number;

  private constructor(
    session: InferenceSession,
    names: GraphEntry,
    batchSize: number,
    logitOf: (row: Float32Array) => number,
  ) {
    this.#session = session;
    this.#names = names;
    this.#batchSize = batchSize;
    this.#logitOf = logitOf;
  }

  /**
   * Loads the very bytes that were hashed; a graph that keeps tensors in other files is refused.
   * @param logitOf what the output values of one item say
   * @throws Error, one line: the file is not the one of the digest, the graph cannot be loaded or lacks a named end, or the device is not
   * available in this build
   */
  static async open(
    path: string,
    names: GraphEntry,
    options: SessionOptions,
    logitOf: (row: Float32Array) => number = ([first = NaN]) => first,
  ): Promise<Classifier> {
    const session = await createSession(path, await pinnedBytes(path, names.sha256), options);
    const outputs = outputsOf(names);
    if (
      !session.inputNames.includes(names.input) ||
      !outputs.every((name) => session.outputNames.includes(name))
    ) {
      throw new Error(
        `${path}: the graph has inputs [${session.inputNames}] and outputs [${session.outputNames}], but model.yaml names the input "${names.input}" and the output "${outputs.join('" and "')}"; correct the manifest`,
      );
    }
    return new Classifier(session, names, batchSizes[options.device], logitOf);
  }

  /**
   * @param items `[n, ...itemShape]`, row-major
   * @returns n logits
   * @throws the signal's reason between batches
   */
  async logits(
    items: Float32Array,
    itemShape: readonly number[],
    signal: AbortSignal,
  ): Promise<Float32Array> {
    const itemLength = itemShape.reduce((product, side) => product * side, 1);
    const count = items.length / itemLength;
    const logits = new Float32Array(count);
    for (let start = 0; start < count; start += this.#batchSize) {
      signal.throwIfAborted();
      const size = Math.min(this.#batchSize, count - start);
      const batch = items.subarray(start * itemLength, (start + size) * itemLength);
      const answer = await this.#session.run(
        { [this.#names.input]: new Tensor('float32', batch, [size, ...itemShape]) },
        [this.#names.output],
      );
      const values = this.#rowsOf(answer, size);
      const width = values.length / size;
      for (let index = 0; index < size; index += 1)
        logits[start + index] = this.#logitOf(values.subarray(index * width, (index + 1) * width));
    }
    return logits;
  }

  /**
   * One item with everything that the graph says of it.
   * @param item `[...itemShape]`, row-major
   * @returns `map` where the entry names a heat map
   */
  async judge(
    item: Float32Array,
    itemShape: readonly number[],
    signal: AbortSignal,
  ): Promise<{ logit: number; map: OutputMap | undefined }> {
    signal.throwIfAborted();
    const tensor = new Tensor('float32', item, [1, ...itemShape]);
    const answer = await this.#session.run({ [this.#names.input]: tensor }, outputsOf(this.#names));
    const { heatmap } = this.#names;
    return {
      logit: this.#logitOf(this.#rowsOf(answer, 1)),
      map: heatmap === undefined ? undefined : mapOf(heatmap, answer[heatmap]),
    };
  }

  #rowsOf(answer: InferenceSession.OnnxValueMapType, size: number): Float32Array {
    const values = answer[this.#names.output]?.data;
    if (!(values instanceof Float32Array) || values.length < size || values.length % size !== 0) {
      throw new Error(`the graph's output "${this.#names.output}" is not float32 with one row per item`);
    }
    return values;
  }
}

function outputsOf({ output, heatmap }: GraphEntry): string[] {
  return heatmap === undefined ? [output] : [output, heatmap];
}

/** `[1, rows, cols]` or `[1, 1, rows, cols]` as one plane. */
function mapOf(name: string, tensor: Tensor | undefined): OutputMap {
  const [rows = 0, cols = 0] = tensor?.dims.slice(-2) ?? [];
  const values = tensor?.data;
  if (!(values instanceof Float32Array) || values.length === 0 || values.length !== rows * cols)
    throw new Error(`the graph's output "${name}" is not float32 with one plane per item`);
  return { values, rows, cols };
}

async function pinnedBytes(path: string, sha256: string): Promise<Buffer> {
  const bytes = await readFile(path);
  const found = createHash('sha256').update(bytes).digest('hex');
  if (found === sha256) return bytes;
  throw new Error(
    `${path}: the SHA-256 is ${found}, but model.yaml says ${sha256}; the file was exchanged: fetch the package again`,
  );
}

async function createSession(
  path: string,
  bytes: Buffer,
  options: SessionOptions,
): Promise<InferenceSession> {
  try {
    return await InferenceSession.create(bytes, {
      executionProviders: options.device === 'cpu' ? ['cpu'] : [options.device, 'cpu'],
      intraOpNumThreads: options.intraOpThreads,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      graphOptimizationLevel: 'all',
      extra: {
        session: {
          intra_op: { allow_spinning: '0' },
          model_external_initializers_file_folder_path: externalTensorsFolder,
        },
      },
    });
  } catch (error) {
    const reason = messageOf(error).split('\n', 1)[0];
    if (options.device !== 'cpu' && /provider|shared library/i.test(reason ?? '')) {
      throw new Error(
        `DEVICE=${options.device}: this build of onnxruntime cannot use it (${reason}); use DEVICE=cpu or an image with the provider's libraries`,
        { cause: error },
      );
    }
    throw new Error(`${path}: ONNX Runtime cannot load the graph (${reason}); export it again, as one file`, {
      cause: error,
    });
  }
}
