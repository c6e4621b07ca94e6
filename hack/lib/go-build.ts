/** Builds programs of a Go module, and says while it does how far it is. */
import { mkdtempSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { findProgram, run } from './process.ts';
import type { Report } from './steps.ts';

const PROGRESS_EVERY_MS = 15_000;

export interface GoBuild {
  /** The folder of the module's go.mod. */
  readonly module: string;
  /** Name of the program in `directory` and the package that it is built from. */
  readonly programs: ReadonlyMap<string, string>;
  /** Receives the programs, each whole or not at all, and `build.log`. */
  readonly directory: string;
  readonly tags: string;
  /** Arguments of `go` that build `packages` into the folder `output`. */
  readonly arguments: (packages: readonly string[], output: string) => readonly string[];
  readonly report: Report;
  readonly signal?: AbortSignal | undefined;
}

/** @throws Error without Go, CommandError where the build fails */
export async function goBuild(build: GoBuild): Promise<void> {
  const { directory, tags, report, signal } = build;
  const names = [...build.programs.keys()].join(', ');
  const packages = [...build.programs.values()];
  const go = ['go', '/usr/local/go/bin/go'].map(findProgram).find((path) => path !== undefined);
  if (go === undefined) {
    throw new Error(`${names}: neither downloaded nor built, as Go is missing: install Go 1.26 or newer`);
  }
  const logFile = join(directory, 'build.log');
  const env = { ...process.env, CGO_ENABLED: '0', GOWORK: 'off', GOFLAGS: '-buildvcs=false' };
  const options = { cwd: build.module, env, logFile, ...(signal ? { signal } : {}) };
  report(`building ${names} from source; log: ${logFile}`);
  const needed = await run(go, ['list', '-deps', '-tags', tags, ...packages], options);
  const output = mkdtempSync(join(directory, '.build-'));
  // `go build -v` names each package that it compiles, on a line of its own: that is the progress.
  let compiled = 0;
  const onOutput = (text: string) => {
    compiled += text.match(/^[\w./-]+$/gm)?.length ?? 0;
  };
  const total = needed.split('\n').length;
  const say = () => report(`${compiled} of at most ${total} packages compiled`);
  const progress = setInterval(say, PROGRESS_EVERY_MS);
  try {
    await run(go, build.arguments(packages, output), { ...options, onOutput });
    for (const [name, path] of build.programs) {
      renameSync(join(output, outputName(path)), join(directory, name));
    }
  } finally {
    clearInterval(progress);
    rmSync(output, { recursive: true, force: true });
  }
}

/** The name of this machine's processor in Go's words. */
export function goArch(): string {
  const known: Record<string, string> = { x64: 'amd64', arm64: 'arm64' };
  const arch = known[process.arch];
  if (arch === undefined) throw new Error(`the programs run on x64 and arm64, not on ${process.arch}`);
  return arch;
}

function outputName(path: string): string {
  return basename(path.replace(/\/v\d+$/, ''));
}
