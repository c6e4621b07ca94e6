/** Rendered heat maps that wait to be fetched: each once, for a while, only so many. */
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import type { Spool } from '../media/spool.ts';

const maxKept = 256;
const limitBytes = 64 * 1024 ** 2;
export const keptSeconds = 600;

export class Visualizations {
  readonly #spool: Spool;
  readonly #kept = new Map<string, { readonly path: string; readonly timer: NodeJS.Timeout }>();

  constructor(spool: Spool) {
    this.#spool = spool;
  }

  /**
   * Keeps a PNG; the oldest goes when there are too many.
   * @returns a file name that nobody can guess
   * @throws ServiceError storage_failed; the signal's reason
   */
  async keep(png: Buffer, signal: AbortSignal): Promise<string> {
    const { path } = await this.#spool.receive(Readable.from([png]), limitBytes, signal);
    const name = `${randomUUID()}.png`;
    const timer = setTimeout(() => void this.#forget(name), keptSeconds * 1000).unref();
    this.#kept.set(name, { path, timer });
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > maxKept && oldest !== undefined) await this.#forget(oldest);
    return name;
  }

  /** The PNG, which is gone afterwards; undefined where there is none of this name. */
  async take(name: string): Promise<Buffer | undefined> {
    const found = this.#kept.get(name);
    if (found === undefined) return undefined;
    this.#kept.delete(name);
    try {
      return await readFile(found.path);
    } finally {
      clearTimeout(found.timer);
      await this.#spool.remove(found.path);
    }
  }

  async #forget(name: string): Promise<void> {
    await this.take(name);
  }
}
