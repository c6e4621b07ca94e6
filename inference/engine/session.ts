/** ONNX Runtime sessions. Only worker threads open them, because `run()` blocks its thread. */
import './no-telemetry.ts';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { env, InferenceSession, Tensor } from 'onnxruntime-node';
import { messageOf, serviceError } from '../errors.ts';
import { Batcher, type BatchLimits } from './batcher.ts';
import { type JoinedInput, joinedInputs, splitItems } from './joined-inputs.ts';
import { fromOrtTensor, graphMetadata, toOrtTensor } from './ort-tensors.ts';
import type { GraphMetadata, NamedTensor } from './tensors.ts';

export type Device = 'cpu' | 'cuda' | 'tensorrt';

export interface SessionOptions {
  readonly device: Device;
  readonly intraOpThreads: number;
}

export interface ClassifierOptions extends SessionOptions {
  /** Default: one item a run. */
  readonly batch?: BatchLimits;
  /** Told of every run that succeeded, but not of those of `compute`. */
  readonly onRun?: (items: number, ms: number) => void;
}

export interface GraphEntry {
  /** Of the file, 64 hexadecimal digits. */
  readonly sha256: string;
  readonly input: string;
  readonly output: string;
  /** Another output, for `judge`. */
  readonly heatmap?: string | undefined;
  /** Further inputs, whose items lie behind that of `input` in one row of numbers. */
  readonly joint?: { readonly sound: string; readonly presence: string } | undefined;
}

/** Tensors in, tensors out. */
export interface TensorGraph {
  /** Undefined for a graph whose ends are not all tensors of known types. */
  readonly metadata: GraphMetadata | undefined;
  /**
   * The named outputs, in that order, in a run of its own.
   * @throws ServiceError graph_refused where ONNX Runtime cannot compute the inputs, with the first line of what it says
   */
  compute(
    model: string,
    inputs: readonly NamedTensor[],
    outputs: readonly string[],
  ): Promise<readonly NamedTensor[]>;
}

/** One plane of values, row by row: `rows * cols` of them. */
export interface OutputMap {
  readonly values: Float32Array;
  readonly rows: number;
  readonly cols: number;
}

/** Where graphs may look for tensors outside their file: nowhere, because the manifest's digest covers no such file. */
const externalTensorsFolder = '/dev/null';

const oneItem: BatchLimits = { maxItems: 1, maxElements: Infinity, maxDelayMs: 0 };

env.logLevel = 'fatal';

/** What a graph says of one item. */
interface Row {
  readonly logit: number;
  readonly map: OutputMap | undefined;
}

/** One classifier graph: items in, one logit per item out, where concurrent callers share its runs; or tensors in, tensors out. */
export class Classifier implements TensorGraph {
  readonly metadata: GraphMetadata | undefined;
  /** Of one item of each input, in order; only of a graph that has several. */
  readonly joined: readonly JoinedInput[];
  readonly #session: InferenceSession;
  readonly #names: GraphEntry;
  readonly #batcher: Batcher<Row>;
  readonly #onRun: ClassifierOptions['onRun'];
  readonly #logitOf: (row: Float32Array) => number;

  private constructor(
    session: InferenceSession,
    names: GraphEntry,
    { batch = oneItem, onRun }: ClassifierOptions,
    logitOf: (row: Float32Array) => number,
    joined: readonly JoinedInput[],
  ) {
    this.joined = joined;
    this.#session = session;
    this.#names = names;
    this.#onRun = onRun;
    this.#logitOf = logitOf;
    this.metadata = graphMetadata(session);
    this.#batcher = new Batcher(
      (values, items, itemShape) => this.#run(this.#feeds(values, items, itemShape), items),
      batch,
    );
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
    options: ClassifierOptions,
    logitOf: (row: Float32Array) => number = ([first = NaN]) => first,
  ): Promise<Classifier> {
    const inputs = inputsOf(names);
    const session = await openSession(path, { ...names, inputs, outputs: outputsOf(names) }, options);
    const joined = inputs.length === 1 ? [] : joinedInputs(path, inputs, graphMetadata(session));
    return new Classifier(session, names, options, logitOf, joined);
  }

  /**
   * @param items `[n, ...itemShape]`, row-major, or item by item, which may share memory; not to be changed before the answer
   * @returns n logits
   * @throws the signal's reason as soon as it is aborted
   */
  async logits(
    items: Float32Array | readonly Float32Array[],
    itemShape: readonly number[],
    signal: AbortSignal,
  ): Promise<Float32Array> {
    const rows = await this.#batcher.submit(items, itemShape, signal);
    return Float32Array.from(rows, ({ logit }) => logit);
  }

  /**
   * One item with everything that the graph says of it.
   * @param item `[...itemShape]`, row-major; not to be changed before the answer
   * @returns `map` where the entry names a heat map
   * @throws the signal's reason as soon as it is aborted
   */
  async judge(
    item: Float32Array,
    itemShape: readonly number[],
    signal: AbortSignal,
  ): Promise<{ logit: number; map: OutputMap | undefined }> {
    const [row = { logit: NaN, map: undefined }] = await this.#batcher.submit(item, itemShape, signal);
    return row;
  }

  compute(
    model: string,
    inputs: readonly NamedTensor[],
    outputs: readonly string[],
  ): Promise<readonly NamedTensor[]> {
    return computeTensors(this.#session, model, inputs, outputs);
  }

  #feeds(values: Float32Array, items: number, itemShape: readonly number[]): Record<string, Tensor> {
    if (this.joined.length === 0)
      return { [this.#names.input]: new Tensor('float32', values, [items, ...itemShape]) };
    const parts = splitItems(values, this.joined);
    return Object.fromEntries(
      this.joined.map(({ name, itemShape: shape }, index) => [
        name,
        new Tensor('float32', parts[index] ?? new Float32Array(), [items, ...shape]),
      ]),
    );
  }

  async #run(feeds: Record<string, Tensor>, items: number): Promise<Row[]> {
    const startedAt = performance.now();
    const answer = await this.#session.run(feeds, outputsOf(this.#names));
    const { output, heatmap } = this.#names;
    const rows = rowsOf(output, answer[output], items);
    const maps = heatmap === undefined ? [] : mapsOf(heatmap, answer[heatmap], items);
    this.#onRun?.(items, performance.now() - startedAt);
    return rows.map((row, index) => ({ logit: this.#logitOf(row), map: maps[index] }));
  }
}

function outputsOf({ output, heatmap }: GraphEntry): string[] {
  return heatmap === undefined ? [output] : [output, heatmap];
}

function inputsOf({ input, joint }: GraphEntry): string[] {
  return joint === undefined ? [input] : [input, joint.sound, joint.presence];
}

/** @throws ServiceError graph_refused */
export async function computeTensors(
  session: InferenceSession,
  model: string,
  inputs: readonly NamedTensor[],
  outputs: readonly string[],
): Promise<readonly NamedTensor[]> {
  const feeds = Object.fromEntries(inputs.map((tensor) => [tensor.name, toOrtTensor(tensor)]));
  const answer = await session.run(feeds, outputs).catch((error: unknown) => {
    const reason = messageOf(error).split('\n', 1)[0] ?? '';
    throw serviceError('graph_refused', { model, reason }, { cause: error });
  });
  return outputs.map((name) => {
    const tensor = answer[name];
    if (tensor === undefined) throw new Error(`the graph did not give its output "${name}"`);
    return fromOrtTensor(name, tensor);
  });
}

/** The values of each item, whatever their shape. */
export function rowsOf(name: string, tensor: Tensor | undefined, items: number): Float32Array[] {
  const values = tensor?.data;
  if (!(values instanceof Float32Array) || values.length < items || values.length % items !== 0)
    throw new Error(`the graph's output "${name}" is not float32 with one row per item`);
  const width = values.length / items;
  return Array.from({ length: items }, (_, index) => values.subarray(index * width, (index + 1) * width));
}

/** `[items, rows, cols]` or `[items, 1, rows, cols]` as one plane for each item. */
function mapsOf(name: string, tensor: Tensor | undefined, items: number): OutputMap[] {
  const [rows = 0, cols = 0] = tensor?.dims.slice(-2) ?? [];
  return rowsOf(name, tensor, items).map((values) => {
    if (values.length !== rows * cols)
      throw new Error(`the graph's output "${name}" is not float32 with one plane per item`);
    return { values, rows, cols };
  });
}

/** What a manifest says of a graph's file and ends. */
interface NamedEnds {
  readonly sha256: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

/**
 * Loads the very bytes that were hashed; a graph that keeps tensors in other files is refused.
 * @throws Error, one line: the file is not the one of the digest, the graph cannot be loaded or lacks a named end, or the device is not
 * available in this build
 */
export async function openSession(
  path: string,
  { sha256, inputs, outputs }: NamedEnds,
  options: SessionOptions,
): Promise<InferenceSession> {
  const session = await createSession(path, await pinnedBytes(path, sha256), options);
  const hasAll =
    inputs.every((name) => session.inputNames.includes(name)) &&
    outputs.every((name) => session.outputNames.includes(name));
  if (hasAll) return session;
  const named = `the input "${inputs.join('" and "')}" and the output "${outputs.join('" and "')}"`;
  throw new Error(
    `${path}: the graph has inputs [${session.inputNames}] and outputs [${session.outputNames}], but model.yaml names ${named}; correct the manifest`,
  );
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
