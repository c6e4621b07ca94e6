/** Completes a package by golden files, or leaves it as it was. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { copyFile, mkdir, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { messageOf, StartupError } from '../../errors.ts';
import {
  type ModelPackage,
  type NamedPackage,
  packageWith,
  readManifest,
  unlessMissing,
} from '../../models/package.ts';
import { servedManifest } from '../../models/variants.ts';
import { type Verdict, verdictOf } from '../../models/verdict.ts';
import { type GoldenFile, withGoldenFiles } from './document.ts';
import { scoresOf } from './scores.ts';

export interface GoldenArguments {
  /** Of the package. */
  readonly directory: string;
  /** Paths of the files to add. */
  readonly files: readonly string[];
  readonly tolerance: number;
}

export interface Completed {
  /** `sha256:<hex>` of the new `model.yaml`. */
  readonly digest: string;
  /** Those that were added. */
  readonly files: readonly (GoldenFile & { readonly verdict: Verdict })[];
}

/** Any score: stands in `model.yaml` while all else is checked. */
const unmeasured = 0.5;
const digitsOfScores = 5;

/**
 * Copies the files into the package, scores them through the code that requests take, and lists them in `model.yaml`, whose other text
 * stays. `golden` may be empty before.
 * @throws StartupError, PackageError, one line
 */
export async function addGoldenFiles({ directory, files, tolerance }: GoldenArguments): Promise<Completed> {
  const source = (await readManifest(directory)).toString('utf8');
  await using undone = new AsyncDisposableStack();
  const drafts: GoldenFile[] = [];
  for (const path of files) {
    const sha256 = await digestOf(path);
    const file = await placed(directory, path, sha256, undone);
    drafts.push({ file, sha256, score: unmeasured, tolerance });
  }
  const draft = await packageWith(directory, edited(directory, source, drafts));
  refuseTwins(draft);
  const scores = await scoresOf(servedAs(draft, 'fp32'), files);
  const added = drafts.map((entry, at) => ({ ...entry, score: rounded(scores[at] ?? NaN) }));
  const text = edited(directory, source, added);
  const completed = await packageWith(directory, text);
  await refuseOtherScores(completed, files);
  await writeManifest(directory, text);
  undone.move();
  const { thresholds } = completed.manifest;
  return {
    digest: completed.digest,
    files: added.map((entry) => ({ ...entry, verdict: verdictOf(entry.score, thresholds) })),
  };
}

function edited(directory: string, source: string, added: readonly GoldenFile[]): Buffer {
  try {
    return Buffer.from(withGoldenFiles(source, added));
  } catch (error) {
    throw new StartupError(`golden: ${join(directory, 'model.yaml')}: ${messageOf(error)}`, 1, {
      cause: error,
    });
  }
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash).catch((error: unknown) => {
    throw new StartupError(`golden: ${path}: cannot be read (${messageOf(error)})`, 1, { cause: error });
  });
  return hash.digest('hex');
}

/** @returns where the file is in the package now; `undone` takes away what was put there */
async function placed(
  directory: string,
  path: string,
  sha256: string,
  undone: AsyncDisposableStack,
): Promise<string> {
  const file = `golden/${basename(path)
    .replace(/^[.-]+/, '')
    .replaceAll(/[^A-Za-z0-9._-]/g, '-')}`;
  const target = join(directory, file);
  if (resolve(path) === resolve(target)) return file;
  try {
    const folder = join(directory, 'golden');
    if ((await mkdir(folder, { recursive: true })) !== undefined) undone.defer(() => rmdir(folder));
    if ((await stat(target).catch(unlessMissing)) !== undefined) {
      if ((await digestOf(target)) === sha256) return file;
      throw new Error('another file has this name already; rename one of them');
    }
    undone.defer(() => rm(target, { force: true }));
    await copyFile(path, target);
  } catch (error) {
    throw new StartupError(`golden: ${target}: cannot be written (${messageOf(error)})`, 1, { cause: error });
  }
  return file;
}

/** Every start of a pod judges each of them. */
function refuseTwins({ directory, manifest: { golden } }: ModelPackage): void {
  for (const [at, { file, sha256 }] of golden.entries()) {
    const twin = golden.slice(0, at).find((other) => other.sha256 === sha256);
    if (twin === undefined) continue;
    const where = join(directory, 'model.yaml');
    throw new StartupError(
      `golden: ${where}: ${file} is the same as ${twin.file}, which is listed already`,
      1,
    );
  }
}

function servedAs(found: ModelPackage, precision: 'fp32' | 'auto'): NamedPackage {
  const name = basename(resolve(found.directory));
  return { ...found, ...servedManifest(found.manifest, 'cpu', precision), name };
}

/** A pod on processors serves smaller numbers where there are some, and has to come as near to the scores as the variant says. */
async function refuseOtherScores(completed: ModelPackage, files: readonly string[]): Promise<void> {
  const served = servedAs(completed, 'auto');
  if (served.precision === 'fp32') return;
  const scores = await scoresOf(served, files);
  const expected = served.manifest.golden.slice(-files.length);
  for (const [at, { score, tolerance }] of expected.entries()) {
    const found = scores[at] ?? NaN;
    if (Math.abs(found - score) <= tolerance) continue;
    throw new StartupError(
      `golden: ${files[at]}: ${score} in fp32 and ${rounded(found)} in ${served.precision}, more than ${tolerance} apart; give the variant a larger goldenTolerance, or leave it out`,
      1,
    );
  }
}

function rounded(score: number): number {
  return Number(score.toFixed(digitsOfScores));
}

/** Whole or not at all. */
async function writeManifest(directory: string, text: Uint8Array): Promise<void> {
  const path = join(directory, 'model.yaml');
  const temporary = join(directory, `.model.yaml.${process.pid}`);
  try {
    await writeFile(temporary, text);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw new StartupError(`golden: ${path}: cannot be written (${messageOf(error)})`, 1, { cause: error });
  }
}
