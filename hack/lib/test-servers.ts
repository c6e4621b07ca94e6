/** Servers that speak the protocols of model sources, for tests: built from the Go module in hack/test-servers, cached per version. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { goArch, goBuild } from './go-build.ts';
import { withLock } from './lock.ts';
import { cacheDir, REPOSITORY } from './paths.ts';
import type { Report } from './steps.ts';

const MODULE = join(REPOSITORY, 'hack/test-servers');
/** An S3 server that checks signatures, and a registry with passwords and tokens. */
const SERVERS = ['s3', 'registry'] as const;

/** The folder of the servers, after building those that are missing. Two processes never build at once. */
export async function ensureTestServers(report: Report): Promise<string> {
  const directory = cacheDir('test-servers', versionKey());
  const missing = () => SERVERS.filter((name) => !existsSync(join(directory, name)));
  if (missing().length === 0) return directory;
  mkdirSync(directory, { recursive: true });
  await withLock(join(directory, '.lock'), report, async () => {
    if (missing().length === 0) return;
    await goBuild({
      module: MODULE,
      programs: new Map(missing().map((name) => [name, `./${name}`])),
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

/** Changes with anything that changes a server. */
function versionKey(): string {
  const files = ['go.mod', 'go.sum', ...SERVERS.map((name) => `${name}/main.go`)];
  const hash = createHash('sha256');
  for (const file of files) hash.update('\0').update(readFileSync(join(MODULE, file)));
  return `${goArch()}-${hash.digest('hex').slice(0, 12)}`;
}
