/**
 * How many pods each revision gets, and between which bounds autoscalers may choose. Pure. While a rollout is under way the
 * counts that it decides are a floor: an autoscaler adds pods to its own track for the load that it sees, and takes none away.
 */
import type { ModelDeploymentSpec } from '../../api/model-deployment.ts';
import { GROUP } from '../../api/names.ts';
import type { WantedTraffic } from '../../rollout/contract.ts';
import type { Deployment, HorizontalPodAutoscaler } from '../kinds.ts';
import { CANARY, STABLE } from './names.ts';
import type { ScaledTrack } from './scaling.ts';
import { splitsByPods } from './strategy.ts';

/** On autoscalers during a rollout: how many pods served when it began. */
export const WANTED_ANNOTATION = `${GROUP}/wanted-replicas`;

/** Pods that the spec or the autoscaler asks for in all. */
export function wantedReplicas(
  { replicas, autoscaling }: ModelDeploymentSpec,
  stable: Deployment | undefined,
  autoscaler: HorizontalPodAutoscaler | undefined,
): number {
  if (!autoscaling) return replicas;
  const { minReplicas, maxReplicas } = autoscaling;
  const remembered = Number(autoscaler?.metadata.annotations?.[WANTED_ANNOTATION] ?? Number.NaN);
  const count = Number.isInteger(remembered) ? remembered : (stable?.spec?.replicas ?? minReplicas);
  return Math.min(Math.max(count, minReplicas), maxReplicas);
}

export interface TrackScalingInput {
  readonly spec: ModelDeploymentSpec;
  readonly traffic: WantedTraffic | undefined;
  /** As decided, by revision. */
  readonly replicas: ReadonlyMap<string, number>;
  readonly byRevision: ReadonlyMap<string, Deployment>;
  readonly wantedReplicas: number;
  /** An aborted canary keeps the pods that it has until they go. */
  readonly aborted: boolean;
}

/** The autoscalers that there should be. */
export function scaledTracks(input: TrackScalingInput): readonly ScaledTrack[] {
  const { spec, traffic, replicas, byRevision, aborted } = input;
  const { autoscaling } = spec;
  const stable = traffic && byRevision.get(traffic.stable);
  if (!autoscaling || !traffic || !stable) return [];
  const { minReplicas, maxReplicas } = autoscaling;
  const target = stable.metadata.name;
  const canary = traffic.canary === traffic.stable ? undefined : traffic.canary;
  if (canary === undefined) return [{ track: STABLE, target, minReplicas, maxReplicas }];
  const floor = (revision: string) => replicas.get(revision) ?? 0;
  const shares = splitsByPods(spec) || spec.strategy?.canary?.dynamicStableScale === true;
  const most = (least: number, percent: number) => Math.max(least, Math.ceil((maxReplicas * percent) / 100));
  const annotations = { [WANTED_ANNOTATION]: String(input.wantedReplicas) };
  const tracks: ScaledTrack[] = [];
  const ofStable = floor(traffic.stable);
  if (ofStable > 0) {
    tracks.push({
      track: STABLE,
      target,
      minReplicas: ofStable,
      maxReplicas: most(ofStable, shares ? 100 - traffic.canaryWeight : 100),
      annotations,
    });
  }
  const ofCanary = floor(canary);
  const scaled = byRevision.get(canary);
  if (scaled && ofCanary > 0 && !aborted) {
    tracks.push({
      track: CANARY,
      target: scaled.metadata.name,
      minReplicas: ofCanary,
      maxReplicas: most(ofCanary, traffic.canaryWeight),
      annotations,
    });
  }
  return tracks;
}

export interface ScaleChange {
  readonly deployment: Deployment;
  readonly replicas: number;
}

/**
 * The counts to write, more pods first. What an autoscaler has added to a floor stays when the floor changes.
 * @param autoscalers as they were before this pass
 * @param mayShrink false: requests may still go to pods that are no longer wanted
 */
export function scaleChanges(
  input: Pick<TrackScalingInput, 'replicas' | 'byRevision' | 'wantedReplicas'>,
  tracks: readonly ScaledTrack[],
  autoscalers: readonly HorizontalPodAutoscaler[],
  mayShrink: boolean,
): readonly ScaleChange[] {
  const changes = [...input.replicas].flatMap(([revision, decided]): ScaleChange[] => {
    const deployment = input.byRevision.get(revision);
    if (!deployment) return [];
    const has = deployment.spec?.replicas ?? 1;
    const track = tracks.find(({ target }) => target === deployment.metadata.name);
    const replicas = track ? autoscaled(input, track, autoscalers, { has, decided }) : decided;
    return has === replicas || (replicas < has && !mayShrink) ? [] : [{ deployment, replicas }];
  });
  return changes.sort((a, b) => grows(b) - grows(a));
}

/** The count of a Deployment that an autoscaler scales as well. It scales none from 0. */
function autoscaled(
  { wantedReplicas: wanted }: Pick<TrackScalingInput, 'wantedReplicas'>,
  { target, annotations, maxReplicas }: ScaledTrack,
  autoscalers: readonly HorizontalPodAutoscaler[],
  { has, decided }: { readonly has: number; readonly decided: number },
): number {
  if (has === 0) return decided;
  // At rest the count is the autoscaler's.
  if (annotations === undefined) return has;
  const before = autoscalers.find(({ spec }) => spec?.scaleTargetRef.name === target);
  if (before?.spec === undefined) return decided;
  const resting = before.metadata.annotations?.[WANTED_ANNOTATION] === undefined;
  const floor = resting ? wanted : (before.spec.minReplicas ?? 1);
  const added = Math.max(has - floor, 0);
  return Math.max(decided, Math.min(decided + added, maxReplicas));
}

const grows = ({ deployment, replicas }: ScaleChange) =>
  replicas > (deployment.spec?.replicas ?? 1) ? 1 : 0;
