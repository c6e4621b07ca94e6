/** Brings the files of a remote package together in one folder: downloads that can go on, then unpacking and moving. */
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../errors.ts';
import { type Manifest, parseManifest } from '../manifest.ts';
import { listedFiles, maxManifestBytes } from '../package.ts';
import { download } from './download.ts';
import { FetchError } from './errors.ts';
import { type Patience, persist } from './persistence.ts';
import type { Progress } from './progress.ts';
import type { Layer, Remote, Resource } from './resource.ts';
import { freeBytesOf, refuseOversize, sizeOf } from './room.ts';
import { byteCount, drop, type Transport } from './transport.ts';
import { moveInto, packageRoot, UnpackBudget, unpack } from './unpack.ts';

export interface GatherOptions {
  /** Keeps unfinished downloads; on the same volume as the folder that is filled. */
  readonly workFolder: string;
  /** `sha256:<hex>` of the package. */
  readonly digest: string;
  readonly maxBytes: number;
  readonly transport: Transport;
  readonly patience: Patience;
  readonly progress: Progress;
}

/**
 * @param folder empty; receives the files
 * @returns the package's folder in it, unverified
 * @throws FetchError, PackageError
 */
export async function gather(remote: Remote, options: GatherOptions, folder: string): Promise<string> {
  await mkdir(options.workFolder, { recursive: true });
  const layers = remote.kind === 'layers' ? remote.layers : await filesOf(remote, options);
  const parts = layers.map((layer, index) => ({
    ...layer,
    file: join(options.workFolder, nameOf(layer, index)),
  }));
  await refuseEarly(parts, options);
  // Not every source says the sizes of all beforehand.
  let maxBytes = options.maxBytes;
  for (const part of parts) {
    await bring(part, parts.length === 1, { ...options, maxBytes });
    maxBytes -= await sizeOf(part.file);
  }
  const fileBytes = await sum(parts.filter(({ path }) => path !== undefined).map(({ file }) => sizeOf(file)));
  const budget = new UnpackBudget(options.maxBytes - fileBytes);
  for (const { path, file } of parts) {
    if (path === undefined) await unpack(file, folder, budget);
    else await moveInto(folder, path, file);
  }
  return packageRoot(folder);
}

async function sum(numbers: readonly Promise<number>[]): Promise<number> {
  return (await Promise.all(numbers)).reduce((total, number) => total + number, 0);
}

interface Part extends Layer {
  /** Where it is downloaded to. */
  readonly file: string;
}

/** The manifest comes first, because only it says what else there is. */
async function filesOf(
  remote: Extract<Remote, { kind: 'folder' }>,
  options: GatherOptions,
): Promise<readonly Layer[]> {
  const resource = { ...remote.locate('model.yaml'), sha256: options.digest.replace('sha256:', '') };
  const layer = { resource, path: 'model.yaml' };
  const file = join(options.workFolder, nameOf(layer, 0));
  await bring({ ...layer, file }, false, { ...options, maxBytes: maxManifestBytes });
  const listed = new Map(listedFiles(await manifestIn(file)).map((entry) => [entry.file, entry.sha256]));
  const files: Layer[] = [{ ...layer, resource: { ...resource, sizeBytes: await sizeOf(file) } }];
  for (const [path, sha256] of listed) {
    files.push({ path, resource: { ...(await sized(remote.locate(path), options)), sha256 } });
  }
  return files;
}

async function manifestIn(file: string): Promise<Manifest> {
  try {
    return parseManifest(await readFile(file, 'utf8'));
  } catch (error) {
    throw new FetchError('InvalidPackage', `model.yaml: ${messageOf(error)}; correct the manifest`, {
      cause: error,
    });
  }
}

/** With its size, where the source tells it without sending the file. */
async function sized(resource: Resource, { transport, patience }: GatherOptions): Promise<Resource> {
  const ask = async (leaves: boolean) => {
    const answer = await transport.send({ ...resource, method: 'HEAD', accepts: [405, 501], leaves });
    drop(answer);
    return answer;
  };
  const { status, headers } = await persist(resource.url, patience, async () => {
    const first = await ask(false);
    const unsaid = first.status >= 300 && first.status < 400 && first.headers['x-linked-size'] === undefined;
    return unsaid ? ask(true) : first;
  });
  const said = headers['x-linked-size'] ?? (status === 200 ? headers['content-length'] : undefined);
  const sizeBytes = byteCount(said);
  return sizeBytes === undefined ? resource : { ...resource, sizeBytes };
}

/** The same for every attempt, and another one for other content. */
function nameOf({ resource }: Layer, index: number): string {
  return `${index}-${resource.sha256?.slice(0, 16) ?? 'archive'}`;
}

async function refuseEarly(parts: readonly Part[], options: GatherOptions): Promise<void> {
  const sizes = parts.map(({ resource }) => resource.sizeBytes ?? Number.NaN);
  const totalBytes = sizes.reduce((sum, size) => sum + size, 0);
  if (!Number.isFinite(totalBytes)) return;
  options.progress.expect(totalBytes);
  const present = await Promise.all(parts.map(({ file }) => sizeOf(file)));
  const written = parts.map(({ path }, index) => yetWritten(path, sizes[index] ?? 0, present[index] ?? 0));
  await refuse(
    totalBytes,
    written.reduce((sum, bytes) => sum + bytes, 0),
    options,
  );
}

/** An archive also needs room for what comes out of it, which is no less than what went in. */
function yetWritten(path: string | undefined, size: number, present: number): number {
  return Math.max(size - present, 0) + (path === undefined ? size : 0);
}

async function refuse(totalBytes: number, writtenBytes: number, options: GatherOptions): Promise<void> {
  const { maxBytes, workFolder } = options;
  refuseOversize({ totalBytes, writtenBytes }, { maxBytes, freeBytes: await freeBytesOf(workFolder) });
}

async function bring({ resource, path, file }: Part, isAll: boolean, options: GatherOptions): Promise<void> {
  const { maxBytes, transport, patience, progress } = options;
  await download({
    resource,
    path: file,
    maxBytes,
    transport,
    patience,
    admit: async (totalBytes, presentBytes) => {
      if (isAll) progress.expect(totalBytes);
      await refuse(totalBytes, yetWritten(path, totalBytes, presentBytes), options);
    },
    onSize: (bytes) => progress.received(file, bytes),
  });
}
