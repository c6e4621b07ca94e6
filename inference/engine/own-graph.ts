/** Graphs that belong to the program and not to a package. For worker threads. */
import './no-telemetry.ts';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { type InferenceSession, Tensor } from 'onnxruntime-node';
import { createSession } from './session.ts';

/** One float32 tensor in, several out. */
export class OwnGraph {
  readonly #session: InferenceSession;

  private constructor(session: InferenceSession) {
    this.#session = session;
  }

  /**
   * On processors, whatever the models run on: these graphs are small.
   * @param sha256 of the file, 64 hexadecimal digits
   * @throws Error, one line: the file cannot be read, is another one or cannot be loaded
   */
  static async open(path: string, sha256: string, intraOpThreads: number): Promise<OwnGraph> {
    const bytes = await readFile(path);
    const found = createHash('sha256').update(bytes).digest('hex');
    if (found !== sha256)
      throw new Error(
        `${path}: the SHA-256 is ${found}, but the program needs ${sha256}; install the program again`,
      );
    return new OwnGraph(await createSession(path, bytes, { device: 'cpu', intraOpThreads }));
  }

  /**
   * @param shape of the values, with the number of items in front
   * @returns the outputs by name, row-major
   * @throws the signal's reason where it is aborted before the run; a run that has begun goes on to its end
   */
  async run(
    values: Float32Array,
    shape: readonly number[],
    signal: AbortSignal,
  ): Promise<(output: string) => Float32Array> {
    signal.throwIfAborted();
    const [input = ''] = this.#session.inputNames;
    const answer = await this.#session.run({ [input]: new Tensor('float32', values, shape) });
    return (output) => {
      const data = answer[output]?.data;
      if (!(data instanceof Float32Array))
        throw new Error(`the graph did not give its output "${output}" as float32`);
      return data;
    };
  }
}
