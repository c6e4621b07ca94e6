/** Programs of a Go module of ours, cached per version of their sources. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { goArch, goBuild } from './go-build.ts';
import { withLock } from './lock.ts';
import { cacheDir } from './paths.ts';
import type { Report } from './steps.ts';

export interface GoPrograms {
  /** The folder of the module's go.mod. */
  readonly module: string;
  /** Of the cache. */
  readonly folder: string;
  /** By name of the program, the package that it is built from: a folder with a main.go alone. */
  readonly programs: ReadonlyMap<string, string>;
}

/** The folder of the programs, after building those that are missing. Two processes never build at once. */
export async function ensureGoPrograms(wanted: GoPrograms, report: Report): Promise<string> {
  const { module, programs } = wanted;
  const directory = cacheDir(wanted.folder, versionKey(wanted));
  const missing = () => [...programs].filter(([name]) => !existsSync(join(directory, name)));
  if (missing().length === 0) return directory;
  mkdirSync(directory, { recursive: true });
  await withLock(join(directory, '.lock'), report, async () => {
    if (missing().length === 0) return;
    await goBuild({
      module,
      programs: new Map(missing()),
      directory,
      tags: '',
      arguments: (packages, output) => [
        ...['build', '-v', '-trimpath', '-ldflags', '-s -w', '-o', `${output}/`],
        ...packages,
      ],
      report,
    });
  });
  return directory;
}

/** Changes with anything that changes a program. */
function versionKey({ module, programs }: GoPrograms): string {
  const sources = [...programs.values()].map((path) => join(path, 'main.go'));
  const hash = createHash('sha256');
  for (const file of ['go.mod', 'go.sum', ...sources])
    hash.update('\0').update(readFileSync(join(module, file)));
  return `${goArch()}-${hash.digest('hex').slice(0, 12)}`;
}
