/** Which revisions have proved themselves. Pure. */
import type { ModelDeploymentStatus } from '../api/model-deployment.ts';
import { timestamp } from '../runtime/conditions.ts';

const entryOf = (status: ModelDeploymentStatus | undefined, revision: string) =>
  status?.revisions?.find((kept) => kept.revision === revision);

/** One that was never stable, an aborted one for example, is as unknown as a new one, however old it is. */
export const wasStable = (status: ModelDeploymentStatus | undefined, revision: string): boolean =>
  entryOf(status, revision)?.promotedAt !== undefined;

/**
 * When a revision last became stable, for status.
 * @param before status as it was
 * @param stable the revision that is stable now
 */
export function promotedAt(
  before: ModelDeploymentStatus | undefined,
  stable: string | undefined,
  revision: string,
  nowMs: number,
): string | undefined {
  const known = entryOf(before, revision)?.promotedAt;
  const isNews = revision === stable && (before?.stableRevision !== stable || known === undefined);
  return isNews ? timestamp(nowMs) : known;
}
