/** What a fetch keeps on the volume: `sha256-<hex>` for a verified package, hidden names for everything else. */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, rmdir, stat } from 'node:fs/promises';
import { dirname, join, resolve, sep } from 'node:path';
import { listedFiles, loadPackage, type ModelPackage, unlessMissing } from '../package.ts';
import { FetchError } from './errors.ts';

const stagePrefix = '.stage-';
const downloadPrefix = '.download-';
const lockPrefix = '.lock-';
const abandonedAfterMs = 6 * 3600 * 1000;

function packagePath(destination: string, digest: string): string {
  return join(destination, digest.replace(':', '-'));
}

export function lockPath(destination: string, digest: string): string {
  return join(destination, `${lockPrefix}${digest.replace(':', '-')}`);
}

/** The folder for unfinished downloads: the same for every attempt at the same package from the same source. */
export function downloadPath(destination: string, source: unknown, digest: string): string {
  const key = createHash('sha256')
    .update(`${JSON.stringify(source)} ${digest}`)
    .digest('hex')
    .slice(0, 32);
  return join(destination, `${downloadPrefix}${key}`);
}

/** The package under its final name, or undefined where there is nothing. @throws PackageError for a damaged one */
export async function presentPackage(destination: string, digest: string): Promise<ModelPackage | undefined> {
  const target = packagePath(destination, digest);
  const found = await stat(target).catch(unlessMissing);
  return found === undefined ? undefined : loadPackage(target, digest);
}

/**
 * Call it while holding the lock. Fills a hidden folder, verifies what is in it, makes what the manifest lists durable and gives it its final name in one step.
 * @param fill fills the empty folder that it receives and returns the package's folder in it
 */
export async function staged(
  destination: string,
  fill: (folder: string) => Promise<string>,
  digest: string,
): Promise<ModelPackage> {
  const own = `${stagePrefix}${digest.replace(':', '-')}-`;
  for (const name of await readdir(destination)) {
    if (name.startsWith(own)) await removeAtOnce(join(destination, name));
  }
  // A process that has lost the lock without knowing it finds nothing here, and nothing of its own there.
  const stage = join(destination, `${own}${randomUUID()}`);
  const filled = join(stage, 'filled');
  const listed = join(stage, 'listed');
  await mkdir(filled, { recursive: true });
  try {
    const found = await loadPackage(await fill(filled), digest);
    const paths = packageFiles(found).map((file) => join(listed, file));
    for (const file of packageFiles(found)) {
      await mkdir(dirname(join(listed, file)), { recursive: true });
      await rename(join(found.directory, file), join(listed, file));
    }
    for (const path of new Set([...paths, ...foldersOf(paths, listed)])) await sync(path);
    const target = packagePath(destination, digest);
    await rename(listed, target);
    await sync(dirname(target));
    return { ...found, directory: target };
  } finally {
    await rm(stage, { recursive: true, force: true });
  }
}

/** The folders of the paths up to `root`, the inner ones before the outer. */
function foldersOf(paths: readonly string[], root: string): string[] {
  const folders = new Set<string>();
  for (const path of paths) {
    for (let folder = dirname(path); folder.startsWith(root); folder = dirname(folder)) folders.add(folder);
  }
  return [...folders].sort((one, other) => other.length - one.length);
}

/** Paths in the package of the files that its digest covers, each once. */
export function packageFiles({ manifest }: Pick<ModelPackage, 'manifest'>): string[] {
  return [...new Set(['model.yaml', ...listedFiles(manifest).map(({ file }) => file)])];
}

/**
 * What a process that was killed, or one for another version, left behind; young things may belong to a neighbour that works on the same
 * volume.
 * @param resumable path of the download that is going to be resumed
 */
export async function removeAbandoned(destination: string, resumable: string | undefined): Promise<void> {
  const isOurs = (name: string) =>
    [stagePrefix, downloadPrefix, lockPrefix].some((prefix) => name.startsWith(prefix));
  const paths = (await readdir(destination)).filter(isOurs).map((name) => join(destination, name));
  for (const path of paths.filter((candidate) => candidate !== resumable)) {
    if (Date.now() - (await lastChange(path)) > abandonedAfterMs)
      await rm(path, { recursive: true, force: true });
  }
}

/** Of the path or anything below it, in milliseconds since 1970; now where it has just gone. */
async function lastChange(path: string): Promise<number> {
  const below = await readdir(path, { recursive: true }).catch(() => []);
  const times = await Promise.all(
    [path, ...below.map((name) => join(path, name))].map((entry) =>
      stat(entry).then(
        ({ mtimeMs }) => mtimeMs,
        () => Number.NaN,
      ),
    ),
  );
  const known = times.filter(Number.isFinite);
  return known.length === 0 ? Date.now() : Math.max(...known);
}

export async function removePackage(destination: string, digest: string): Promise<void> {
  await removeAtOnce(packagePath(destination, digest));
}

/** Nobody sees half of the folder under its name, and who works in it by that name finds nothing any more. */
async function removeAtOnce(path: string): Promise<void> {
  const aside = join(dirname(path), `${stagePrefix}removed-${randomUUID()}`);
  await rename(path, aside);
  await rm(aside, { recursive: true, force: true });
}

/** Removes a folder that holds nothing. */
export async function removeEmpty(directory: string): Promise<void> {
  await rmdir(directory).catch(() => undefined);
}

/** A path on the volume. @throws FetchError InvalidPackage where it leads out of it */
export function inside(destination: string, path: string): string {
  const root = resolve(destination);
  const target = resolve(root, path);
  if (target === root || target.startsWith(root + sep)) return target;
  throw new FetchError('InvalidPackage', `the path ${JSON.stringify(path)} leads out of the volume`);
}

async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
