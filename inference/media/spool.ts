/** Uploads on disk while they are analysed: streamed, hashed on the way, limited, and always removed. */
import { createHash, randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { serviceError } from '../errors.ts';

export interface SpooledFile {
  readonly path: string;
  readonly bytes: number;
  /** 64 hexadecimal digits. */
  readonly sha256: string;
}

const prefix = 'deepfake-uploads-';
const ownFolders = new Set<string>();

/** One folder of this process under the system's temporary folder. */
export class Spool {
  readonly #directory: string;
  readonly #maxBytes: number;
  readonly #bytes = new Map<string, number>();
  readonly #holders = new Map<string, number>();

  private constructor(directory: string, maxBytes: number) {
    this.#directory = directory;
    this.#maxBytes = maxBytes;
  }

  /**
   * Also removes what crashed predecessors left: a container that restarts keeps its volume.
   * @param maxBytes of all files together
   */
  static async open(maxBytes: number, parent = tmpdir()): Promise<Spool> {
    const names = await readdir(parent);
    const stale = names.filter((name) => name.startsWith(prefix) && !isAlive(name));
    await Promise.all(stale.map((name) => rm(join(parent, name), { recursive: true, force: true })));
    const name = `${prefix}${process.pid}-${randomUUID()}`;
    ownFolders.add(name);
    const directory = join(parent, name);
    await mkdir(directory, { mode: 0o700 });
    return new Spool(directory, maxBytes);
  }

  /**
   * Writes the stream to a new file. Nothing stays behind when it fails.
   * @throws ServiceError upload_too_large as soon as more than `limitBytes` have come; storage_failed where the
   * disk fails or all files together would have more bytes than allowed; AbortError, or the signal's reason before it began
   */
  async receive(source: Readable, limitBytes: number, signal: AbortSignal): Promise<SpooledFile> {
    signal.throwIfAborted();
    const path = join(this.#directory, randomUUID());
    const hash = createHash('sha256');
    const count = (chunk: Buffer) => {
      const bytes = (this.#bytes.get(path) ?? 0) + chunk.length;
      if (bytes > limitBytes) throw serviceError('upload_too_large', { limitBytes });
      this.#bytes.set(path, bytes);
      const all = [...this.#bytes.values()].reduce((sum, size) => sum + size, 0);
      if (all > this.#maxBytes)
        throw serviceError('storage_failed', { reason: 'the space for uploads is full' });
    };
    try {
      await pipeline(
        source,
        async function* measure(chunks: AsyncIterable<Buffer>) {
          for await (const chunk of chunks) {
            count(chunk);
            hash.update(chunk);
            yield chunk;
          }
        },
        createWriteStream(path, { mode: 0o600 }),
        { signal },
      );
      return { path, bytes: this.#bytes.get(path) ?? 0, sha256: hash.digest('hex') };
    } catch (error) {
      await this.remove(path);
      throw isDiskError(error)
        ? serviceError('storage_failed', { reason: error.code ?? error.message }, { cause: error })
        : error;
    }
  }

  /** One more part of the process needs the file: it stays until each of them has removed it. */
  hold(path: string): void {
    this.#holders.set(path, (this.#holders.get(path) ?? 1) + 1);
  }

  /** The file goes with the last of those that hold it. */
  async remove(path: string): Promise<void> {
    const others = (this.#holders.get(path) ?? 1) - 1;
    if (others > 0) {
      this.#holders.set(path, others);
      return;
    }
    this.#holders.delete(path);
    await rm(path, { force: true });
    this.#bytes.delete(path);
  }

  async close(): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
  }
}

/** By the call that failed: sockets fail in other calls. */
function isDiskError(error: unknown): error is NodeJS.ErrnoException {
  const { syscall } = error as NodeJS.ErrnoException;
  return syscall !== undefined && ['open', 'write', 'writev', 'close'].includes(syscall);
}

/** A process with the same number as this one is a predecessor in a container, unless this process opened the folder itself. */
function isAlive(name: string): boolean {
  const pid = Number(name.split('-')[2]);
  if (pid === process.pid) return ownFolders.has(name);
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
