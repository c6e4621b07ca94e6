/** What an operator of the cluster is told once, as events. Pure. */
import type { ModelDeploymentStatus } from '../../api/model-deployment.ts';
import { findCondition } from '../../runtime/conditions.ts';
import type { EventNote } from '../../runtime/events.ts';

/** The conditions whose turning bad is news. */
const WARNED = ['Degraded', 'MonitoringActive'] as const;
const BAD = { Degraded: 'True', MonitoringActive: 'False' } as const;

/** What happened between two states of a status. */
export function newsOf(
  before: ModelDeploymentStatus | undefined,
  now: ModelDeploymentStatus,
): readonly EventNote[] {
  const warnings = WARNED.flatMap((type) => {
    const condition = findCondition(now.conditions, type);
    const known = findCondition(before?.conditions, type);
    if (condition?.status !== BAD[type]) return [];
    if (known?.status === condition.status && known.reason === condition.reason) return [];
    const { reason, message } = condition;
    return [{ type: 'Warning', reason, action: 'Reconcile', note: message } as const];
  });
  const rollout = (reason: string, note: string) =>
    ({ type: 'Normal', reason, action: 'Rollout', note }) as const;
  const models = now.models?.map(({ name, version }) => `${name}@${version}`).join(', ');
  const { name, renewedAt } = now.authSecret ?? {};
  const note = `Secret ${name} was gone: it has a new key, with which all pods are started again`;
  return [
    ...warnings,
    ...(renewedAt === undefined || renewedAt === before?.authSecret?.renewedAt
      ? []
      : [{ type: 'Warning', reason: 'ApiKeyRenewed', action: 'Reconcile', note } as const]),
    ...(now.currentRevision === before?.currentRevision
      ? []
      : [rollout('RevisionCreated', `revision ${now.currentRevision}: ${models}`)]),
    ...(now.stableRevision === before?.stableRevision
      ? []
      : [rollout('RevisionAvailable', now.message ?? '')]),
  ];
}
