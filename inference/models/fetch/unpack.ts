/** Unpacks archives that nobody trusts: regular files under safe names only, limited in number and in total size. */
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Duplex, PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { extract, type Header } from 'tar-stream';
import { messageOf } from '../../errors.ts';
import { asFetchError, FetchError } from './errors.ts';

const maxEntries = 1000;
const maxNameLength = 255;
const whiteoutPrefix = '.wh.';
/** Of names that are a file and a folder at once, or too long for the volume. */
const nameErrors: readonly string[] = ['EEXIST', 'ENOTDIR', 'EISDIR', 'ERR_FS_EISDIR', 'ENAMETOOLONG'];

/** Of an archive that is no content: names, padding, blocks of zeros at its end. */
const maxFramingBytes = 16 * 1024 * 1024;

/** What all archives of one package may hold together. */
export class UnpackBudget {
  readonly #maxBytes: number;
  #bytes = 0;
  #entries = 0;
  #streamed = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** @throws FetchError InvalidPackage, PackageTooLarge */
  spend(bytes: number): void {
    this.#entries += 1;
    this.#bytes += bytes;
    if (this.#entries > maxEntries)
      throw new FetchError('InvalidPackage', `the archive holds more than ${maxEntries} entries`);
    this.#limit(this.#bytes);
  }

  /** Passes on what a decompressor gives: a few kilobytes of zeros become terabytes in which there is no entry at all. */
  async *meter(bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of bytes) {
      this.#streamed += chunk.length;
      this.#limit(this.#streamed - maxFramingBytes);
      yield chunk;
    }
  }

  #limit(bytes: number): void {
    if (bytes <= this.#maxBytes) return;
    throw new FetchError(
      'PackageTooLarge',
      `the archive unpacks to more than the limit of ${this.#maxBytes} bytes`,
    );
  }
}

/**
 * Reads a tar archive: plain, or compressed with gzip or Zstandard.
 * @param directory receives the files; one that is there from an earlier archive is replaced
 * @throws FetchError InvalidPackage, PackageTooLarge, VolumeFull
 */
export async function unpack(archive: string, directory: string, budget: UnpackBudget): Promise<void> {
  const entries = extract();
  // An entry that breaks off before its file is open would be waited for without this.
  const broken = new AbortController();
  const bytes = await decompressor(archive);
  const metered = (source: AsyncIterable<Buffer>) => budget.meter(source);
  const reading = pipeline(createReadStream(archive), bytes, metered, entries).catch((error: unknown) => {
    broken.abort(error);
    throw error;
  });
  const writing = async () => {
    const seen = new Set<string>();
    for await (const entry of entries) {
      budget.spend(entry.header.size ?? 0);
      if (entry.header.type === 'directory') entry.resume();
      else {
        const target = await targetOf(directory, entry.header, seen);
        const file = createWriteStream(target, { flags: 'wx', mode: 0o644 });
        await pipeline(entry, file, { signal: broken.signal });
      }
    }
  };
  const [read, written] = await Promise.allSettled([reading, writing()]);
  const errors = [written, read].flatMap((outcome) =>
    outcome.status === 'rejected' ? [asFetchError(outcome.reason, directory)] : [],
  );
  if (errors.length === 0) return;
  const refusal = errors.find((error) => error instanceof FetchError);
  if (refusal !== undefined) throw refusal;
  const cause = errors.at(-1);
  throw new FetchError(
    'InvalidPackage',
    `the archive is not a whole .tar.gz (${messageOf(cause)}); pack it again`,
    { cause },
  );
}

/** By the first bytes: names and media types lie. */
async function decompressor(archive: string): Promise<Duplex> {
  const file = await open(archive, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 0);
    const magic = buffer.toString('hex', 0, bytesRead);
    if (magic === '28b52ffd') return createZstdDecompress();
    return magic.startsWith('1f8b') ? createGunzip() : new PassThrough();
  } finally {
    await file.close();
  }
}

async function targetOf(directory: string, { name, type }: Header, seen: Set<string>): Promise<string> {
  if (type !== 'file' && type !== 'contiguous-file') {
    throw new FetchError(
      'InvalidPackage',
      `the archive's entry ${JSON.stringify(name)} is a ${type}; a package holds regular files only`,
    );
  }
  const target = await pathInside(directory, name);
  if (seen.has(target))
    throw new FetchError('InvalidPackage', `the archive holds ${JSON.stringify(name)} more than once`);
  seen.add(target);
  return target;
}

/** Gives a downloaded file its path in the package. @throws FetchError InvalidPackage */
export async function moveInto(directory: string, name: string, file: string): Promise<void> {
  await rename(file, await pathInside(directory, name));
}

/** The path of a package's file, its folder made and nothing there. @throws FetchError InvalidPackage for a name that leads elsewhere */
async function pathInside(directory: string, name: string): Promise<string> {
  const entry = JSON.stringify(name);
  const parts = name.replace(/^(\.\/)+/, '').split('/');
  const unsafe = parts.some((part) => part === '' || part === '.' || part === '..') || /[\\\0]/.test(name);
  if (unsafe || name.length > maxNameLength) {
    throw new FetchError('InvalidPackage', `the entry ${entry} leads out of the package`);
  }
  if (parts.at(-1)?.startsWith(whiteoutPrefix)) {
    throw new FetchError(
      'InvalidPackage',
      `the entry ${entry} deletes a file of an earlier layer; build the image from scratch with the package's files only`,
    );
  }
  const target = join(directory, ...parts);
  try {
    await mkdir(dirname(target), { recursive: true });
    await rm(target, { force: true });
  } catch (error) {
    if (!nameErrors.includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    throw new FetchError(
      'InvalidPackage',
      `the entry ${entry} cannot be a file beside what came before (${messageOf(error)}); pack the package again`,
      { cause: error },
    );
  }
  return target;
}

/** The folder that is the package: `directory` itself, or the only folder in it. @throws FetchError InvalidPackage */
export async function packageRoot(directory: string): Promise<string> {
  const entries = await readdir(directory, { withFileTypes: true });
  if (entries.some((entry) => entry.name === 'model.yaml')) return directory;
  const [only, ...others] = entries;
  if (only?.isDirectory() && others.length === 0) return join(directory, only.name);
  throw new FetchError(
    'InvalidPackage',
    'there is no model.yaml at the root of what came, or in its only folder',
  );
}
