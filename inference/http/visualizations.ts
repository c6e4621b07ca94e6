/** Rendered heat maps that wait to be fetched: each once, for a while, only so many. */
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { noMemory, type Spool } from '../media/spool.ts';

const maxKept = 256;
/** A small part of the space that uploads share. */
const maxKeptBytes = 64 * 1024 ** 2;
export const keptSeconds = 600;

interface Kept {
  readonly path: string;
  readonly bytes: number;
  readonly timer: NodeJS.Timeout;
}

export class Visualizations {
  readonly #spool: Spool;
  readonly #kept = new Map<string, Kept>();

  constructor(spool: Spool) {
    this.#spool = spool;
  }

  /**
   * Keeps a PNG; the oldest go when there are too many.
   * @returns a file name that nobody can guess
   * @throws ServiceError upload_too_large, storage_failed; the signal's reason
   */
  async keep(png: Buffer, signal: AbortSignal): Promise<string> {
    const source = Readable.from([png]);
    const { path, bytes } = await this.#spool.receive(source, maxKeptBytes, signal, noMemory);
    const name = `${randomUUID()}.png`;
    const timer = setTimeout(() => void this.#forget(name), keptSeconds * 1000).unref();
    this.#kept.set(name, { path, bytes, timer });
    for (const oldest of this.#surplus()) await this.#forget(oldest);
    return name;
  }

  /** The PNG, which is gone afterwards; undefined where there is none of this name. */
  async take(name: string): Promise<Buffer | undefined> {
    const found = this.#kept.get(name);
    if (found === undefined) return undefined;
    this.#kept.delete(name);
    clearTimeout(found.timer);
    try {
      return await readFile(found.path);
    } finally {
      await this.#spool.remove(found.path);
    }
  }

  /** The oldest names, without which the rest is within the limits. */
  #surplus(): string[] {
    let count = this.#kept.size;
    let total = [...this.#kept.values()].reduce((sum, { bytes }) => sum + bytes, 0);
    const surplus: string[] = [];
    for (const [name, { bytes }] of this.#kept) {
      if (count <= maxKept && total <= maxKeptBytes) break;
      surplus.push(name);
      count -= 1;
      total -= bytes;
    }
    return surplus;
  }

  async #forget(name: string): Promise<void> {
    const found = this.#kept.get(name);
    this.#kept.delete(name);
    clearTimeout(found?.timer);
    if (found !== undefined) await this.#spool.remove(found.path);
  }
}
