/** Brings one verified package to `DESTINATION/sha256-<hex>`: nobody ever sees half of one there. */
import { cp, mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { loadPackage, type ModelPackage, PackageError, packageNames } from '../package.ts';
import { asFetchError, FetchError } from './errors.ts';
import { gather } from './gather.ts';
import type { Patience } from './persistence.ts';
import type { Progress } from './progress.ts';
import { freeBytesOf, refuseOversize } from './room.ts';
import type { Source } from './source.ts';
import { type Credentials, type RemoteSource, remoteOf } from './sources/remote.ts';
import { Transport } from './transport.ts';
import { packageRoot, UnpackBudget, unpack } from './unpack.ts';
import {
  downloadPath,
  inside,
  lockPath,
  packageFiles,
  presentPackage,
  removeAbandoned,
  removeEmpty,
  removePackage,
  staged,
} from './volume.ts';
import { type LockTimes, withVolumeLock } from './volume-lock.ts';

export interface InstallOptions {
  readonly source: Source;
  readonly destination: string;
  /** `sha256:<hex>`; only a builtin and a package that stays where it is may come without. */
  readonly digest: string | undefined;
  readonly maxBytes: number;
  /** True: a damaged package under the final name is replaced. False: it is reported. */
  readonly repair: boolean;
  /** Where builtin packages are. */
  readonly modelsDirectory: string;
  readonly credentials: Credentials;
  readonly patience: Patience & LockTimes;
  readonly progress: Progress;
}

const badContent: readonly string[] = ['InvalidPackage', 'DigestMismatch', 'PackageTooLarge'];

/** @throws FetchError; PackageError for a package that is not what it says */
export async function install(options: InstallOptions): Promise<ModelPackage> {
  const { source, destination, digest } = options;
  try {
    if ('pvc' in source) return await findPlaced(source.pvc.path, options);
    await mkdir(destination, { recursive: true });
    if ('builtin' in source) return await installBuiltin(source.builtin.name, options);
    if (digest === undefined)
      throw new FetchError('InvalidPackage', 'a package from outside the image needs --digest');
    return 'configMap' in source
      ? await installFile(source.configMap.path, digest, options)
      : await installRemote(source, digest, options);
  } catch (error) {
    throw asFetchError(error, destination);
  }
}

/** The package that somebody else has put onto the volume. */
async function findPlaced(path: string, options: InstallOptions): Promise<ModelPackage> {
  const folder = inside(options.destination, path);
  const isThere = await stat(folder).then(
    (found) => found.isDirectory(),
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return false;
      throw error;
    },
  );
  if (!isThere) {
    throw new FetchError(
      'SourceNotFound',
      `the volume has no folder ${path}; correct the path, or put the package there`,
    );
  }
  return limited(await loadPackage(folder, options.digest), options);
}

async function installBuiltin(name: string, options: InstallOptions): Promise<ModelPackage> {
  const known = await packageNames(options.modelsDirectory);
  if (!known.includes(name)) {
    throw new FetchError(
      'UnknownBuiltin',
      `there is no builtin model "${name}"; this image has: ${known.join(', ') || 'none'}`,
    );
  }
  const source = await loadPackage(join(options.modelsDirectory, name), options.digest);
  const { directory, digest, sizeBytes } = source;
  return unlessPresent(digest, options, undefined, async () => {
    await admit(sizeBytes, sizeBytes, options);
    return staged(
      options.destination,
      async (folder) => {
        for (const file of packageFiles(source)) {
          await cp(join(directory, file), join(folder, file), { dereference: true });
          options.progress.received(file, (await stat(join(folder, file))).size);
        }
        return folder;
      },
      digest,
    );
  });
}

/** Installs from an archive that is mounted here. */
async function installFile(path: string, digest: string, options: InstallOptions): Promise<ModelPackage> {
  const found = await stat(path).catch(() => undefined);
  if (!found?.isFile())
    throw new FetchError('SourceNotFound', `${path}: there is no such file; check the ConfigMap and its key`);
  return unlessPresent(digest, options, undefined, async () => {
    await admit(found.size, found.size, options);
    options.progress.received(path, found.size);
    return staged(
      options.destination,
      async (folder) => {
        await unpack(path, folder, new UnpackBudget(options.maxBytes));
        return packageRoot(folder);
      },
      digest,
    );
  });
}

async function installRemote(
  source: RemoteSource,
  digest: string,
  options: InstallOptions,
): Promise<ModelPackage> {
  const workFolder = downloadPath(options.destination, source, digest);
  return unlessPresent(digest, options, workFolder, async () => {
    const transport = new Transport(options.patience.idleMs);
    const attempt = async () => {
      const remote = await remoteOf(source, options.credentials, transport, options.patience);
      const fill = (folder: string) => gather(remote, { ...options, workFolder, digest, transport }, folder);
      return staged(options.destination, fill, digest);
    };
    try {
      const resumes = (await readdir(workFolder).catch(() => [])).length > 0;
      const installed = await attempt().catch(async (error: unknown) => {
        if (!resumes || !isBadContent(error)) throw error;
        await rm(workFolder, { recursive: true, force: true });
        return attempt();
      });
      await rm(workFolder, { recursive: true, force: true });
      return installed;
    } catch (error) {
      if (isBadContent(error)) await rm(workFolder, { recursive: true, force: true });
      await removeEmpty(workFolder);
      throw error;
    } finally {
      await transport.close();
    }
  });
}

/** One process at a time looks for the package, and makes it where it is not there. */
async function unlessPresent(
  digest: string,
  options: InstallOptions,
  workFolder: string | undefined,
  make: () => Promise<ModelPackage>,
): Promise<ModelPackage> {
  const { destination, patience, repair } = options;
  return withVolumeLock(lockPath(destination, digest), patience, async () => {
    await removeAbandoned(destination, workFolder);
    const present = await presentPackage(destination, digest).catch(async (error: unknown) => {
      if (!(error instanceof PackageError && repair)) throw error;
      await removePackage(destination, digest);
      return undefined;
    });
    return present === undefined ? make() : limited(present, options);
  });
}

/** No next attempt can go on from it; and where an earlier process has joined two versions of the source, it deserves one fresh try. */
function isBadContent(error: unknown): boolean {
  return error instanceof PackageError || (error instanceof FetchError && badContent.includes(error.reason));
}

async function admit(totalBytes: number, writtenBytes: number, options: InstallOptions): Promise<void> {
  options.progress.expect(totalBytes);
  const freeBytes = await freeBytesOf(options.destination);
  refuseOversize({ totalBytes, writtenBytes }, { maxBytes: options.maxBytes, freeBytes });
}

function limited(found: ModelPackage, { maxBytes }: InstallOptions): ModelPackage {
  refuseOversize({ totalBytes: found.sizeBytes, writtenBytes: 0 }, { maxBytes, freeBytes: 0 });
  return found;
}
