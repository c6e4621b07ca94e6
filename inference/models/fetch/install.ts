/** Brings one verified package to `DESTINATION/sha256-<hex>`: nobody ever sees half of one there. */
import { createHash, randomUUID } from 'node:crypto';
import { cp, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve, sep } from 'node:path';
import { listedFiles, loadPackage, type ModelPackage, PackageError, packageNames } from '../package.ts';
import { type DownloadOptions, discard, download } from './download.ts';
import { asFetchError, FetchError } from './errors.ts';
import { packageRoot, unpack } from './unpack.ts';

export type Source =
  | { readonly builtin: { readonly name: string } }
  | { readonly http: { readonly url: string } }
  | { readonly pvc: { readonly path: string } };

export interface InstallOptions {
  readonly source: Source;
  readonly destination: string;
  /** `sha256:<hex>`; only a builtin may come without. */
  readonly digest: string | undefined;
  readonly maxBytes: number;
  /** Where builtin packages are. */
  readonly modelsDirectory: string;
  readonly authorization: string | undefined;
  readonly retry: Pick<DownloadOptions, 'attempts' | 'retryMs' | 'idleMs'>;
}

const stagePrefix = '.stage-';
const downloadPrefix = '.download-';
const abandonedAfterMs = 6 * 3600 * 1000;

/** @throws FetchError; PackageError for a package that is not what it says */
export async function install(options: InstallOptions): Promise<ModelPackage> {
  const { source, destination, digest } = options;
  try {
    if ('pvc' in source)
      return await limited(await loadPackage(inside(destination, source.pvc.path), digest), options);
    await mkdir(destination, { recursive: true });
    await removeAbandoned(destination, 'http' in source ? downloadName(source.http.url, digest) : undefined);
    const present = digest === undefined ? undefined : await alreadyThere(destination, digest);
    if (present !== undefined) return await limited(present, options);
    return 'builtin' in source
      ? await installBuiltin(source.builtin.name, options)
      : await installArchive(source.http.url, options);
  } catch (error) {
    throw asFetchError(error, destination);
  }
}

async function installBuiltin(name: string, options: InstallOptions): Promise<ModelPackage> {
  const known = await packageNames(options.modelsDirectory);
  if (!known.includes(name)) {
    throw new FetchError(
      'UnknownBuiltin',
      `there is no builtin model "${name}"; this image has: ${known.join(', ') || 'none'}`,
    );
  }
  const source = limited(await loadPackage(join(options.modelsDirectory, name), options.digest), options);
  return staged(
    options.destination,
    async (stage) => {
      await Promise.all(
        packageFiles(source).map((file) =>
          cp(join(source.directory, file), join(stage, file), { dereference: true }),
        ),
      );
      return stage;
    },
    source.digest,
  );
}

async function installArchive(url: string, options: InstallOptions): Promise<ModelPackage> {
  const { destination, digest, maxBytes } = options;
  if (digest === undefined)
    throw new FetchError('InvalidPackage', 'a package from the network needs --digest');
  const archive = join(destination, downloadName(url, digest));
  const resumed = await stat(archive).then(
    ({ size }) => size > 0,
    () => false,
  );
  const attempt = async () => {
    await download({ url, path: archive, maxBytes, authorization: options.authorization, ...options.retry });
    return staged(
      destination,
      async (stage) => {
        await unpack(archive, stage, maxBytes);
        return packageRoot(stage);
      },
      digest,
    );
  };
  try {
    const installed = await attempt().catch(async (error: unknown) => {
      if (!resumed || !isBadContent(error)) throw error;
      await discard(archive);
      return attempt();
    });
    await discard(archive);
    return installed;
  } catch (error) {
    if (!(error instanceof FetchError && error.transient)) await discard(archive);
    throw error;
  }
}

/** Bytes of two versions of the source may have been joined by an earlier process: such an archive deserves one fresh try. */
function isBadContent(error: unknown): boolean {
  return error instanceof PackageError || (error instanceof FetchError && error.reason === 'InvalidPackage');
}

/** Fills a hidden folder, verifies what is in it, makes what the manifest lists durable and gives it its final name in one step. */
async function staged(
  destination: string,
  fill: (stage: string) => Promise<string>,
  digest: string,
): Promise<ModelPackage> {
  const stage = join(destination, `${stagePrefix}${randomUUID()}`);
  const filled = join(stage, 'filled');
  const listed = join(stage, 'listed');
  await mkdir(filled, { recursive: true });
  try {
    const found = await loadPackage(await fill(filled), digest);
    for (const file of packageFiles(found)) {
      await mkdir(dirname(join(listed, file)), { recursive: true });
      await rename(join(found.directory, file), join(listed, file));
      await sync(join(listed, file));
    }
    const target = finalPath(destination, digest);
    await rename(listed, target).catch(async (error: unknown) => {
      if ((await alreadyThere(destination, digest)) === undefined) throw error;
    });
    await sync(dirname(target));
    return { ...found, directory: target };
  } finally {
    await rm(stage, { recursive: true, force: true });
  }
}

/** Paths in the package of the files that its digest covers, each once. */
function packageFiles({ manifest }: ModelPackage): string[] {
  return [...new Set(['model.yaml', ...listedFiles(manifest).map(({ file }) => file)])];
}

/** The same for every attempt at the same package, so that it can be resumed. */
function downloadName(url: string, digest: string | undefined): string {
  const key = createHash('sha256').update(`${url} ${digest}`).digest('hex').slice(0, 32);
  return `${downloadPrefix}${key}.tar.gz`;
}

/**
 * What a process that was killed, or one for another version, left behind; young things may belong to a neighbour that works on the same
 * volume.
 * @param resumable name of the download that is going to be resumed
 */
async function removeAbandoned(destination: string, resumable: string | undefined): Promise<void> {
  const isOurs = (name: string) => name.startsWith(stagePrefix) || name.startsWith(downloadPrefix);
  const isKept = (name: string) => resumable !== undefined && name.startsWith(resumable);
  for (const name of (await readdir(destination)).filter((entry) => isOurs(entry) && !isKept(entry))) {
    const path = join(destination, name);
    const found = await stat(path).catch(() => undefined);
    if (found !== undefined && Date.now() - found.mtimeMs > abandonedAfterMs)
      await rm(path, { recursive: true, force: true });
  }
}

/** A damaged folder under the final name is removed, so that it can be fetched again. */
async function alreadyThere(destination: string, digest: string): Promise<ModelPackage | undefined> {
  const target = finalPath(destination, digest);
  if (!(await readdir(destination)).includes(finalName(digest))) return undefined;
  try {
    return await loadPackage(target, digest);
  } catch (error) {
    if (!(error instanceof PackageError)) throw error;
    await rm(target, { recursive: true, force: true });
    return undefined;
  }
}

function limited(found: ModelPackage, { maxBytes }: InstallOptions): ModelPackage {
  if (found.sizeBytes <= maxBytes) return found;
  throw new FetchError(
    'PackageTooLarge',
    `the package has ${found.sizeBytes} bytes; the limit is ${maxBytes} bytes`,
  );
}

function inside(destination: string, path: string): string {
  const root = resolve(destination);
  const target = resolve(root, path);
  if (target === root || target.startsWith(root + sep)) return target;
  throw new FetchError('InvalidPackage', `the path ${JSON.stringify(path)} leads out of the volume`);
}

function finalName(digest: string): string {
  return digest.replace(':', '-');
}

function finalPath(destination: string, digest: string): string {
  return join(destination, finalName(digest));
}

async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
