/** Unpacks a `.tar.gz` that nobody trusts: regular files under safe names only, limited in number and in total size. */
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { extract } from 'tar-stream';
import { messageOf } from '../../errors.ts';
import { asFetchError, FetchError } from './errors.ts';

const maxEntries = 1000;
const maxNameLength = 255;

/**
 * @param directory empty folder that receives the files
 * @throws FetchError InvalidPackage, PackageTooLarge, NoSpace
 */
export async function unpack(archive: string, directory: string, maxBytes: number): Promise<void> {
  const entries = extract();
  const reading = pipeline(createReadStream(archive), createGunzip(), entries);
  const writing = async () => {
    let count = 0;
    let total = 0;
    for await (const entry of entries) {
      const { name, type, size = 0 } = entry.header;
      count += 1;
      total += size;
      if (count > maxEntries)
        throw new FetchError('InvalidPackage', `the archive holds more than ${maxEntries} entries`);
      if (total > maxBytes) {
        throw new FetchError(
          'PackageTooLarge',
          `the archive unpacks to more than the limit of ${maxBytes} bytes`,
        );
      }
      if (type === 'directory') entry.resume();
      else
        await pipeline(
          entry,
          createWriteStream(await targetOf(directory, name, type), { flags: 'wx', mode: 0o644 }),
        );
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

async function targetOf(directory: string, name: string, type: string | null | undefined): Promise<string> {
  const entry = JSON.stringify(name);
  if (type !== 'file' && type !== 'contiguous-file') {
    throw new FetchError(
      'InvalidPackage',
      `the archive's entry ${entry} is a ${type}; a package holds regular files only`,
    );
  }
  const parts = name.replace(/^(\.\/)+/, '').split('/');
  const unsafe = parts.some((part) => part === '' || part === '.' || part === '..') || /[\\\0]/.test(name);
  if (unsafe || name.length > maxNameLength) {
    throw new FetchError('InvalidPackage', `the archive's entry ${entry} leads out of the package`);
  }
  const target = join(directory, ...parts);
  await mkdir(dirname(target), { recursive: true });
  return target;
}

/** The folder that is the package: `directory` itself, or the only folder in it. @throws FetchError InvalidPackage */
export async function packageRoot(directory: string): Promise<string> {
  const entries = await readdir(directory, { withFileTypes: true });
  if (entries.some((entry) => entry.name === 'model.yaml')) return directory;
  const [only, ...others] = entries;
  if (only?.isDirectory() && others.length === 0) return join(directory, only.name);
  throw new FetchError('InvalidPackage', 'the archive has no model.yaml at its root or in its only folder');
}
