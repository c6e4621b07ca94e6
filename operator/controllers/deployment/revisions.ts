/** The revisions that are kept, as their Deployments and pods show them. Pure. */

import type { ModelDeploymentStatus } from '../../api/model-deployment.ts';
import { LABEL } from '../../api/names.ts';
import type { RevisionObservation } from '../../rollout/contract.ts';
import { promotedAt } from '../../rollout/history.ts';
import { findCondition } from '../../runtime/conditions.ts';
import { isControlledBy } from '../../runtime/object.ts';
import type { Deployment, ModelDeployment, Pod } from '../kinds.ts';
import type { Problem } from '../problems.ts';
import { revisionName } from './names.ts';
import { packagesIn, revisionIn } from './revision.ts';
import { podsRefused } from './status.ts';

export interface KeptRevisions {
  /** The Deployment that serves a revision, by revision. */
  readonly byRevision: ReadonlyMap<string, Deployment>;
  /** Another Deployment of a revision that has one: it goes once that one is available. */
  readonly surplus: readonly Deployment[];
}

/**
 * The Deployment of a rolling update is that of its revision, unless a Deployment of the revision's own has pods: then a change of
 * the strategy was taken back half-way.
 */
export function keptRevisions(owner: ModelDeployment, deployments: readonly Deployment[]): KeptRevisions {
  const ours = deployments.filter(
    (each) => isControlledBy(each, owner) && each.metadata.deletionTimestamp === undefined,
  );
  const groups = Map.groupBy(ours, (deployment) => revisionIn(deployment) ?? '');
  groups.delete('');
  const isOwn = (revision: string, { metadata }: Deployment) =>
    metadata.name === revisionName(owner.metadata.name, revision);
  const chosen = [...groups].map(([revision, group]) => {
    const own = group.find((each) => isOwn(revision, each));
    const rolling = group.find((each) => !isOwn(revision, each));
    const serving = own && (!rolling || own.spec?.replicas !== 0) ? own : (rolling ?? own);
    return [revision, serving as Deployment] as const;
  });
  const byRevision = new Map(chosen);
  const served = new Set<Deployment>(byRevision.values());
  return { byRevision, surplus: ours.filter((each) => revisionIn(each) !== undefined && !served.has(each)) };
}

/** Pods of one revision. */
export const podsOf = (revision: string, pods: readonly Pod[]) =>
  pods.filter(({ metadata }) => metadata.labels?.[LABEL.revision] === revision);

export interface ObservedRevision extends RevisionObservation {
  /** When to look again, ms from now: its trouble will have lasted for the deadline. undefined: no time is known. */
  readonly deadlineInMs: number | undefined;
}

/** @param told what is wrong with its pods */
export function observeRevision(
  revision: string,
  deployment: Deployment,
  pods: readonly Pod[],
  nowMs: number,
  told: Problem | undefined,
): ObservedRevision {
  const { metadata, spec, status } = deployment;
  const problem = told ?? podsRefused(deployment);
  const progressing = findCondition(status?.conditions as never, 'Progressing');
  const stuck = progressing?.status === 'False' && progressing.reason === 'ProgressDeadlineExceeded';
  const sinceMs = problem && troubleSince(pods);
  const leftMs =
    sinceMs === undefined ? undefined : sinceMs + (spec?.progressDeadlineSeconds ?? 600) * 1000 - nowMs;
  return {
    revision,
    desired: spec?.replicas ?? 1,
    replicas: status?.replicas ?? 0,
    ready: status?.readyReplicas ?? 0,
    available: status?.availableReplicas ?? 0,
    observed: (status?.observedGeneration ?? 0) >= (metadata.generation ?? 0),
    createdAt: Date.parse(metadata.creationTimestamp ?? '') || 0,
    problem,
    deadlineExceeded: stuck || (leftMs !== undefined && leftMs <= 0),
    deadlineInMs: leftMs !== undefined && leftMs > 0 ? leftMs : undefined,
  };
}

/** Since when the pod that has not been ready for longest is not, ms. */
function troubleSince(pods: readonly Pod[]): number | undefined {
  const since = pods.flatMap(({ metadata, status }) => {
    const ready = status?.conditions?.find(({ type }) => type === 'Ready');
    if (ready?.status === 'True' || metadata.deletionTimestamp !== undefined) return [];
    const at = Date.parse(ready?.lastTransitionTime ?? metadata.creationTimestamp ?? '');
    return Number.isNaN(at) ? [] : [at];
  });
  return since.length === 0 ? undefined : Math.min(...since);
}

/**
 * For status: what can be gone back to, the newest first.
 * @param before status as it was, which remembers which of them have been stable
 */
export function revisionsStatus(
  { byRevision }: KeptRevisions,
  before: ModelDeploymentStatus | undefined,
  stable: string | undefined,
  nowMs: number,
): NonNullable<ModelDeploymentStatus['revisions']> {
  return [...byRevision]
    .map(([revision, deployment]) => {
      const models = packagesIn(deployment);
      const promoted = promotedAt(before, stable, revision, nowMs);
      return {
        revision,
        createdAt: deployment.metadata.creationTimestamp ?? '',
        ...(promoted === undefined ? {} : { promotedAt: promoted }),
        replicas: deployment.status?.replicas ?? 0,
        ready: deployment.status?.readyReplicas ?? 0,
        ...(models === undefined ? {} : { models }),
      };
    })
    .sort((a, b) => b.createdAt.localeCompare(a.createdAt) || a.revision.localeCompare(b.revision))
    .slice(0, 102);
}
