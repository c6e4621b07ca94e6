/** Servers that speak the protocols of model sources, for tests: built from the Go module in hack/test-servers, cached per version. */
import { join } from 'node:path';
import { ensureGoPrograms } from './go-programs.ts';
import { REPOSITORY } from './paths.ts';
import type { Report } from './steps.ts';

/** An S3 server that checks signatures, and a registry with passwords and tokens. */
const SERVERS = ['s3', 'registry'] as const;

/** The folder of the servers, after building those that are missing. Two processes never build at once. */
export function ensureTestServers(report: Report): Promise<string> {
  const programs = new Map(SERVERS.map((name) => [name, `./${name}`]));
  return ensureGoPrograms(
    { module: join(REPOSITORY, 'hack/test-servers'), folder: 'test-servers', programs },
    report,
  );
}
