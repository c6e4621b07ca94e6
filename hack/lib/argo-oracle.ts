/** Argo-rollouts' own arithmetic of replicas as a program, for tests: built from the Go module in test/oracle/argo-rollouts. */
import { join } from 'node:path';
import { ensureGoPrograms } from './go-programs.ts';
import { REPOSITORY } from './paths.ts';
import type { Report } from './steps.ts';

/** The program, after building it where it is missing. It answers each line of JSON on its standard input with one. */
export async function ensureArgoOracle(report: Report): Promise<string> {
  const module = join(REPOSITORY, 'test/oracle/argo-rollouts');
  const programs = new Map([['replicas', './replicas']]);
  return join(await ensureGoPrograms({ module, folder: 'argo-rollouts', programs }, report), 'replicas');
}
