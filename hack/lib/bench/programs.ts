/** The programs that only the bench needs: kwok and the reference controller, built from hack/kubernetes/bench and cached. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { withLock } from '../lock.ts';
import { cacheDir, REPOSITORY } from '../paths.ts';
import { findProgram, run } from '../process.ts';
import type { Report } from '../steps.ts';

const MODULE = join(REPOSITORY, 'hack/kubernetes/bench');
const PACKAGES = { kwok: 'sigs.k8s.io/kwok/cmd/kwok', reference: './reference' } as const;

export type BenchProgram = keyof typeof PACKAGES;

/** The folder of both programs, after building what is missing. Two processes never build at once. */
export async function ensureBenchPrograms(report: Report): Promise<string> {
  const directory = cacheDir('bench', 'bin', sourceHash());
  const missing = () =>
    (Object.keys(PACKAGES) as BenchProgram[]).filter((name) => !existsSync(join(directory, name)));
  if (missing().length === 0) return directory;
  mkdirSync(directory, { recursive: true });
  await withLock(join(directory, '.lock'), report, async () => {
    for (const name of missing()) await build(name, directory, report);
  });
  return directory;
}

async function build(name: BenchProgram, directory: string, report: Report): Promise<void> {
  const go = ['go', '/usr/local/go/bin/go'].map(findProgram).find((path) => path !== undefined);
  if (go === undefined) throw new Error(`${name} is built from source: install Go 1.26 or newer`);
  const logFile = join(directory, 'build.log');
  report(`building ${name} from source; log: ${logFile}`);
  const output = mkdtempSync(join(directory, '.build-'));
  const env = { ...process.env, CGO_ENABLED: '0', GOWORK: 'off', GOFLAGS: '-buildvcs=false' };
  const heartbeat = setInterval(() => report(`still building ${name}`), 30_000);
  try {
    await run(go, ['build', '-trimpath', '-ldflags', '-s -w', '-o', `${output}/`, PACKAGES[name]], {
      cwd: MODULE,
      env,
      logFile,
    });
    renameSync(join(output, name), join(directory, name));
  } finally {
    clearInterval(heartbeat);
    rmSync(output, { recursive: true, force: true });
  }
}

function sourceHash(): string {
  const own = readdirSync(join(MODULE, 'reference'))
    .filter((name) => name.endsWith('.go'))
    .sort()
    .map((name) => join('reference', name));
  const hash = createHash('sha256').update(process.arch);
  for (const name of ['go.mod', 'go.sum', ...own]) {
    hash.update('\0').update(readFileSync(join(MODULE, name), 'utf8'));
  }
  return hash.digest('hex').slice(0, 12);
}
