/** The revisions that can be gone back to. Pure. */
import type { ModelDeployment } from '../../controllers/kinds.ts';
import { age, type Drawing, shortDigest, table } from '../text.ts';
import { modelsText } from './render.ts';
import { type Revision, situationOf } from './situation.ts';

export interface Kept extends Revision {
  readonly roles: readonly Role[];
}
/** `failed`: its rollout was the last one to be aborted. `held`: an undo keeps it. */
export type Role = 'current' | 'stable' | 'last good' | 'failed' | 'held';

/** The newest first. */
export function historyOf(deployment: ModelDeployment): Kept[] {
  const { current, stable, rollbackTo, failed, revisions } = situationOf(deployment);
  const holders: readonly (readonly [Role, string | undefined])[] = [
    ['current', current],
    ['stable', stable],
    ['last good', deployment.status?.lastGoodRevision],
    ['failed', failed],
    ['held', rollbackTo],
  ];
  return revisions.map((kept) => ({
    ...kept,
    roles: holders.flatMap(([role, holder]) => (holder === kept.revision ? [role] : [])),
  }));
}

/** One a line; `wide` with whole digests. */
export function renderHistory(history: readonly Kept[], { now, paint }: Drawing, wide = false): string {
  const titles = ['REVISION', 'ROLE', 'MODELS', 'DIGESTS', 'READY', 'AGE'];
  const rows = history.map(({ revision, roles, models = [], ready, replicas, createdAt }) => [
    revision,
    roles.join(', ') || '-',
    modelsText(models) || '-',
    models.map(({ digest }) => (wide ? digest : shortDigest(digest))).join(', ') || '-',
    `${ready}/${replicas}`,
    age(createdAt, now),
  ]);
  return table([titles.map((title) => paint('bold', title)), ...rows]);
}
