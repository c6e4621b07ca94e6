/**
 * Uploads while they are analysed: hashed as they come, limited, and always removed. Photographs of a usual size stay in memory, because a
 * file on disk costs them more than looking at them does; what is larger, or has no room there, goes to disk while it comes.
 */
import { createHash, randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { addAbortSignal, type Readable } from 'node:stream';
import { serviceError } from '../errors.ts';
import { release } from './release.ts';
import type { MediaSource } from './source.ts';

export interface SpooledFile extends MediaSource {
  readonly bytes: number;
  /** 64 hexadecimal digits. */
  readonly sha256: string;
}

/** How much uploads may hold in memory, in bytes. */
export interface SpoolMemory {
  readonly perFile: number;
  readonly together: number;
}

/** For files that stay long: everything goes to disk. */
export const noMemory: SpoolMemory = { perFile: 0, together: 0 };

/** Uploads together have eight times what each may have. */
export const spoolMemory = (perFile: number): SpoolMemory => ({ perFile, together: 8 * perFile });

/** What goes to disk goes in pieces of this size. */
const pieceBytes = 1024 ** 2;
const fileMode = 0o600;

const prefix = 'deepfake-uploads-';
const ownFolders = new Set<string>();

/** One folder of this process under the system's temporary folder, and some memory before it. */
export class Spool {
  readonly #directory: string;
  readonly #maxBytes: number;
  readonly #memory: SpoolMemory;
  /** Of each file, in memory or on disk. */
  readonly #bytes = new Map<string, number>();
  readonly #inMemory = new Map<string, number>();
  readonly #contents = new Map<string, Buffer>();
  readonly #writing = new Map<string, Promise<void>>();
  readonly #holders = new Map<string, number>();

  private constructor(directory: string, maxBytes: number, memory: SpoolMemory) {
    this.#directory = directory;
    this.#maxBytes = maxBytes;
    this.#memory = memory;
  }

  /**
   * Also removes what crashed predecessors left: a container that restarts keeps its volume.
   * @param maxBytes of all files together, in memory and on disk
   */
  static async open({
    maxBytes,
    memory,
    parent = tmpdir(),
  }: {
    readonly maxBytes: number;
    readonly memory: SpoolMemory;
    readonly parent?: string;
  }): Promise<Spool> {
    const names = await readdir(parent);
    const stale = names.filter((name) => name.startsWith(prefix) && !isAlive(name));
    await Promise.all(stale.map((name) => rm(join(parent, name), { recursive: true, force: true })));
    const name = `${prefix}${process.pid}-${randomUUID()}`;
    ownFolders.add(name);
    const directory = join(parent, name);
    await mkdir(directory, { mode: 0o700 });
    return new Spool(directory, maxBytes, memory);
  }

  /**
   * Takes the stream to its end. Nothing stays behind when it fails.
   * @param memory for what stays long, none
   * @throws ServiceError upload_too_large as soon as more than `limitBytes` have come; storage_failed where the
   * disk fails or all files together would have more bytes than allowed; AbortError, or the signal's reason before it began
   */
  async receive(
    source: Readable,
    limitBytes: number,
    signal: AbortSignal,
    memory = this.#memory,
  ): Promise<SpooledFile> {
    signal.throwIfAborted();
    const path = join(this.#directory, randomUUID());
    const hash = createHash('sha256');
    const held: Buffer[] = [];
    let heldBytes = 0;
    let file: FileHandle | undefined;
    this.#inMemory.set(path, 0);
    const write = async () => {
      this.#inMemory.delete(path);
      file ??= await open(path, 'wx', fileMode);
      await file.writeFile(Buffer.concat(held.splice(0)));
      heldBytes = 0;
    };
    try {
      for await (const chunk of addAbortSignal(signal, source) as AsyncIterable<Buffer>) {
        this.#count(path, chunk.length, limitBytes);
        hash.update(chunk);
        held.push(chunk);
        heldBytes += chunk.length;
        if (file === undefined && this.#hasRoom(path, heldBytes, memory)) this.#inMemory.set(path, heldBytes);
        else if (file === undefined || heldBytes >= pieceBytes) await write();
      }
      if (file !== undefined && heldBytes > 0) await write();
      const content = file === undefined ? joined(held, heldBytes) : undefined;
      if (content !== undefined) this.#contents.set(path, content);
      return { path, content, bytes: this.#bytes.get(path) ?? 0, sha256: hash.digest('hex') };
    } catch (error) {
      await this.remove(path);
      throw asStorageError(error);
    } finally {
      await file?.close();
    }
  }

  /**
   * The same file as one that other programs can read.
   * @throws ServiceError storage_failed
   */
  async onDisk({ path, content }: MediaSource): Promise<MediaSource> {
    if (content === undefined) return { path };
    const writing = this.#writing.get(path) ?? writeFile(path, content, { mode: fileMode });
    this.#writing.set(path, writing);
    try {
      await writing;
    } catch (error) {
      throw asStorageError(error);
    }
    return { path };
  }

  /** One more part of the process needs the file: it stays until each of them has removed it. */
  hold(path: string): void {
    this.#holders.set(path, (this.#holders.get(path) ?? 1) + 1);
  }

  /** The file goes with the last of those that hold it, and what is in memory of it is empty then. */
  async remove(path: string): Promise<void> {
    const others = (this.#holders.get(path) ?? 1) - 1;
    if (others > 0) {
      this.#holders.set(path, others);
      return;
    }
    this.#holders.delete(path);
    const writing = this.#writing.get(path);
    // A file that is still being written would appear again.
    await writing?.catch(() => undefined);
    this.#writing.delete(path);
    const content = this.#contents.get(path);
    this.#contents.delete(path);
    if (content !== undefined) release(content);
    const isOnlyInMemory = this.#inMemory.delete(path) && writing === undefined;
    if (!isOnlyInMemory) await rm(path, { force: true });
    this.#bytes.delete(path);
  }

  async close(): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
  }

  #count(path: string, more: number, limitBytes: number): void {
    const bytes = (this.#bytes.get(path) ?? 0) + more;
    if (bytes > limitBytes) throw serviceError('upload_too_large', { limitBytes });
    this.#bytes.set(path, bytes);
    if (sumOf(this.#bytes) > this.#maxBytes)
      throw serviceError('storage_failed', { reason: 'the space for uploads is full' });
  }

  #hasRoom(path: string, bytes: number, { perFile, together }: SpoolMemory): boolean {
    const others = sumOf(this.#inMemory) - (this.#inMemory.get(path) ?? 0);
    return bytes <= perFile && others + bytes <= together;
  }
}

function sumOf(bytes: ReadonlyMap<string, number>): number {
  let sum = 0;
  for (const size of bytes.values()) sum += size;
  return sum;
}

/** In memory of its own: a worker is given all of the memory that a piece lies in. */
function joined(chunks: readonly Buffer[], bytes: number): Buffer {
  const whole = Buffer.allocUnsafeSlow(bytes);
  let offset = 0;
  for (const chunk of chunks) offset += chunk.copy(whole, offset);
  return whole;
}

function asStorageError(error: unknown): unknown {
  return isDiskError(error)
    ? serviceError('storage_failed', { reason: error.code ?? error.message }, { cause: error })
    : error;
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
