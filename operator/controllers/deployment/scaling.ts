/** How many pods, and who decides. Pure. */
import { DEFAULT_TARGET_CPU_PERCENT, type ModelDeploymentSpec } from '../../api/model-deployment.ts';
import { FIELD_MANAGER, LABEL } from '../../api/names.ts';
import { type Applied, isControlledBy, type ManagedFields } from '../../runtime/object.ts';
import {
  DEPLOYMENT,
  type Deployment,
  type HorizontalPodAutoscaler,
  MODEL_DEPLOYMENT,
  type ModelDeployment,
} from '../kinds.ts';
import type { Problem } from '../problems.ts';
import { childMetadata, ownerReferences, STABLE, trackName } from './names.ts';

/** Holds a Deployment's replicas between the operator and the autoscaler. */
export const SCALE_FIELD_MANAGER = 'deepfake-operator-scale';

/** What an autoscaler scales, and within which bounds. */
export interface ScaledTrack {
  readonly track: string;
  /** Name of the Deployment. */
  readonly target: string;
  readonly minReplicas: number;
  readonly maxReplicas: number;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** The autoscaler of the Deployment that rolls; undefined where the count is fixed. */
export function desiredAutoscaler(owner: ModelDeployment, spec: ModelDeploymentSpec): Applied | undefined {
  if (!spec.autoscaling) return undefined;
  const { minReplicas, maxReplicas } = spec.autoscaling;
  const target = trackName(owner.metadata.name);
  return autoscalerOf(owner, spec.autoscaling, { track: STABLE, target, minReplicas, maxReplicas });
}

export function autoscalerOf(
  owner: ModelDeployment,
  autoscaling: NonNullable<ModelDeploymentSpec['autoscaling']>,
  { track, target, minReplicas, maxReplicas, annotations }: ScaledTrack,
): Applied {
  const { metrics, behavior, targetCPUUtilizationPercentage } = autoscaling;
  const cpu = {
    type: 'Resource',
    resource: {
      name: 'cpu',
      target: {
        type: 'Utilization',
        averageUtilization: targetCPUUtilizationPercentage ?? DEFAULT_TARGET_CPU_PERCENT,
      },
    },
  };
  return {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: {
      ...childMetadata(owner, trackName(owner.metadata.name, track), { [LABEL.track]: track }),
      ...(annotations === undefined ? {} : { annotations }),
      ownerReferences: ownerReferences(owner),
    },
    spec: {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: target },
      minReplicas,
      maxReplicas,
      metrics: metrics?.length ? metrics : [cpu],
      ...(behavior === undefined ? {} : { behavior }),
    },
  } as Applied;
}

/**
 * The replicas to apply. A new autoscaled Deployment starts at the minimum, or with as many pods as serve already; so does one
 * without pods, which no autoscaler scales. Afterwards the count is the autoscaler's.
 * @param serving pods of revisions in whose place it comes
 */
export function appliedReplicas(
  { replicas, autoscaling }: ModelDeploymentSpec,
  live: Deployment | undefined,
  serving = 0,
) {
  if (!autoscaling) return replicas;
  const { minReplicas, maxReplicas } = autoscaling;
  const begins = live === undefined || live.spec?.replicas === 0;
  return begins ? Math.min(Math.max(minReplicas, serving), maxReplicas) : undefined;
}

/**
 * Taking a field out of an apply resets it to its default when nobody else owns it: replicas would drop to 1. So before the
 * operator lets go of them, this keeps the count in the name of a second manager. A count of 0 is not kept: an autoscaler leaves
 * that alone for ever. For the Deployment as seen only: since then an autoscaler may have chosen another count. undefined:
 * nothing to hand over.
 */
export function replicasHandover(
  { autoscaling }: ModelDeploymentSpec,
  live: Deployment | undefined,
): Applied | undefined {
  if (!autoscaling || !live) return undefined;
  if (!live.metadata.managedFields?.some(holdsReplicas)) return undefined;
  const { name, namespace, uid, resourceVersion } = live.metadata;
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace, uid, resourceVersion },
    spec: { replicas: live.spec?.replicas || autoscaling.minReplicas },
  } as Applied;
}

function holdsReplicas({ manager, operation, fieldsV1 }: ManagedFields): boolean {
  const fields = fieldsV1 as { 'f:spec'?: { 'f:replicas'?: unknown } } | undefined;
  const owned = fields?.['f:spec']?.['f:replicas'] !== undefined;
  return owned && manager === FIELD_MANAGER && operation === 'Apply';
}

/** What `replicasHandover` has to know of who owns which fields, for a store. */
export const keepReplicasOwner = (fields: ManagedFields): ManagedFields[] =>
  holdsReplicas(fields) ? [{ ...fields, fieldsV1: { 'f:spec': { 'f:replicas': {} } } }] : [];

/** The one that rolls, and those of revisions. */
const DEPLOYMENT_NAMES = new RegExp(`^(.+)-(?:${STABLE}|[0-9a-f]{10})$`);

/** Name of the ModelDeployment that an autoscaler scales, itself or through a Deployment of it. */
export function scaledDeployment({ spec }: HorizontalPodAutoscaler): string | undefined {
  const { kind, name = '' } = spec?.scaleTargetRef ?? {};
  if (kind === MODEL_DEPLOYMENT.kind) return name;
  return kind === DEPLOYMENT.kind ? DEPLOYMENT_NAMES.exec(name)?.[1] : undefined;
}

/**
 * An autoscaler of somebody else that works against ours or against the fixed count. One that scales the ModelDeployment
 * itself is welcome where nothing else does.
 */
export function autoscalerConflict(
  owner: ModelDeployment,
  { autoscaling }: ModelDeploymentSpec,
  autoscalers: readonly HorizontalPodAutoscaler[],
): Problem | undefined {
  const reason = 'AutoscalerConflict';
  const { name } = owner.metadata;
  const others = autoscalers.filter(
    (autoscaler) => !isControlledBy(autoscaler, owner) && scaledDeployment(autoscaler) === name,
  );
  for (const other of others) {
    const who = `HorizontalPodAutoscaler ${other.metadata.name} scales`;
    if (other.spec?.scaleTargetRef?.kind === DEPLOYMENT.kind) {
      const message = `${who} Deployment ${other.spec.scaleTargetRef.name}, whose count is decided here: let it scale ModelDeployment ${name}`;
      return { reason, message };
    }
    if (autoscaling) {
      const message = `${who} ModelDeployment ${name}, as spec.autoscaling does: take one of them away`;
      return { reason, message };
    }
  }
  return undefined;
}
