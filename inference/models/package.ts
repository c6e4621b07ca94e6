/** Finds model packages on disk and proves that they are what their manifests say. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { messageOf } from '../errors.ts';
import { graphsOf } from './graphs.ts';
import { type Manifest, parseManifest } from './manifest.ts';
import type { Precision } from './variants.ts';

export const maxManifestBytes = 256 * 1024;

/** A package whose every listed file has the digest that the manifest gives. */
export interface ModelPackage {
  readonly directory: string;
  readonly manifest: Manifest;
  /** `sha256:<hex>` of `model.yaml`. */
  readonly digest: string;
  /** Sum of `model.yaml` and the files that it lists. */
  readonly sizeBytes: number;
}

/** A package under the name by which clients and configuration know it: its folder's name. */
export interface NamedPackage extends ModelPackage {
  readonly name: string;
  /** Of the graph that is served: `manifest` is that of `servedManifest`. */
  readonly precision: Precision;
}

/** The package is not usable. `message` is one line: what, where and what to do. */
export class PackageError extends Error {
  override readonly name = 'PackageError';
  readonly reason: 'InvalidPackage' | 'DigestMismatch';

  constructor(reason: PackageError['reason'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

/**
 * Reads the package in `directory` and hashes every file that it lists.
 * @param expectedDigest `sha256:<hex>`; a package with another digest is refused
 * @throws PackageError; the error of the file system where that cannot be read
 */
export async function loadPackage(directory: string, expectedDigest?: string): Promise<ModelPackage> {
  const source = await readManifest(directory);
  const digest = digestOf(source);
  if (expectedDigest !== undefined && digest !== expectedDigest) {
    throw new PackageError(
      'DigestMismatch',
      `${join(directory, 'model.yaml')}: the digest is ${digest}, but ${expectedDigest} was asked for; use the package with that digest or correct the digest`,
    );
  }
  return packageWith(directory, source);
}

/**
 * The package as it is with `source` for its `model.yaml`.
 * @throws as `loadPackage`
 */
export async function packageWith(directory: string, source: Uint8Array): Promise<ModelPackage> {
  const manifest = manifestOf(directory, source);
  const sizes = await Promise.all(
    listedFiles(manifest).map((entry) => verifyFile(directory, entry.file, entry.sha256)),
  );
  return {
    directory,
    manifest,
    digest: digestOf(source),
    sizeBytes: sizes.reduce((sum, size) => sum + size, source.byteLength),
  };
}

function digestOf(source: Uint8Array): string {
  return `sha256:${createHash('sha256').update(source).digest('hex')}`;
}

/** Every file that counts, with its pinned SHA-256 (64 hexadecimal digits). */
export function listedFiles(manifest: Manifest): { file: string; sha256: string }[] {
  const graphs = graphsOf(manifest).flatMap(({ graph }) => [graph, ...(graph.variants ?? [])]);
  return [...graphs, ...manifest.golden].map(({ file, sha256 }) => ({ file, sha256 }));
}

/** Names of the folders in `modelsDirectory` that hold a `model.yaml`, sorted. */
export async function packageNames(modelsDirectory: string): Promise<string[]> {
  const entries = await readdir(modelsDirectory).catch((error: unknown) => {
    throw new PackageError(
      'InvalidPackage',
      `${modelsDirectory}: cannot be listed (${messageOf(error)}); set MODELS_DIR to the folder that holds the model packages`,
      { cause: error },
    );
  });
  const found = await Promise.all(
    entries.map(async (name) => ((await isFile(join(modelsDirectory, name, 'model.yaml'))) ? [name] : [])),
  );
  return found.flat().sort();
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (entry) => entry.isFile(),
    () => false,
  );
}

/** For a `catch`: undefined where there is no such path. @throws any other error, which says nothing of what is there */
export function unlessMissing(error: unknown): undefined {
  const { code = '' } = error as NodeJS.ErrnoException;
  if (!['ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG'].includes(code)) throw error;
}

/** The bytes of the package's `model.yaml`. @throws PackageError where there is none or it is too large */
export async function readManifest(directory: string): Promise<Buffer> {
  const path = join(directory, 'model.yaml');
  const found = await stat(path).catch(unlessMissing);
  if (!found?.isFile()) {
    throw new PackageError(
      'InvalidPackage',
      `${path}: there is no such file; a model package is a folder with a model.yaml`,
    );
  }
  if (found.size > maxManifestBytes) {
    throw new PackageError(
      'InvalidPackage',
      `${path}: ${found.size} bytes; a manifest has at most ${maxManifestBytes}`,
    );
  }
  return readFile(path);
}

function manifestOf(directory: string, source: Uint8Array): Manifest {
  try {
    return parseManifest(Buffer.from(source).toString('utf8'));
  } catch (error) {
    throw new PackageError(
      'InvalidPackage',
      `${join(directory, 'model.yaml')}: ${messageOf(error)}; correct the manifest`,
      {
        cause: error,
      },
    );
  }
}

async function verifyFile(directory: string, file: string, sha256: string): Promise<number> {
  const path = join(directory, file);
  const real = await realpath(path).catch(unlessMissing);
  if (real === undefined || !(await stat(real)).isFile()) {
    throw new PackageError(
      'InvalidPackage',
      `${path}: model.yaml lists this file but it is missing; fetch the package again`,
    );
  }
  if (!real.startsWith((await realpath(directory)) + sep)) {
    throw new PackageError(
      'InvalidPackage',
      `${path}: leads out of the package to ${real}; a package holds its own files`,
    );
  }
  const hash = createHash('sha256');
  await pipeline(createReadStream(real), hash);
  const found = hash.digest('hex');
  if (found !== sha256) {
    throw new PackageError(
      'DigestMismatch',
      `${path}: the SHA-256 is ${found}, but model.yaml says ${sha256}; the file is damaged or was exchanged: fetch the package again`,
    );
  }
  return (await stat(real)).size;
}
