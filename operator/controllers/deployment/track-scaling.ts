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

/** On the stable autoscaler during a rollout: how many pods served when it began. */
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
  const tracks: ScaledTrack[] = [];
  const ofStable = floor(traffic.stable);
  if (ofStable > 0) {
    tracks.push({
      track: STABLE,
      target,
      minReplicas: ofStable,
      maxReplicas: most(ofStable, shares ? 100 - traffic.canaryWeight : 100),
      annotations: { [WANTED_ANNOTATION]: String(input.wantedReplicas) },
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
    });
  }
  return tracks;
}

export interface ScaleChange {
  readonly deployment: Deployment;
  readonly replicas: number;
}

/**
 * The counts to write, more pods first.
 * @param autoscalers as they were before this pass
 * @param mayShrink false: requests may still go to pods that are no longer wanted
 */
export function scaleChanges(
  { replicas, byRevision }: Pick<TrackScalingInput, 'replicas' | 'byRevision'>,
  tracks: readonly ScaledTrack[],
  autoscalers: readonly HorizontalPodAutoscaler[],
  mayShrink: boolean,
): readonly ScaleChange[] {
  const changes = [...replicas].flatMap(([revision, decided]): ScaleChange[] => {
    const deployment = byRevision.get(revision);
    const has = deployment?.spec?.replicas ?? 1;
    if (!deployment || has === decided || (decided < has && !mayShrink)) return [];
    const { name } = deployment.metadata;
    const track = tracks.find(({ target }) => target === name);
    // Above its floor the count is the autoscaler's, unless the floor has just fallen.
    if (track && has > decided && has > 0 && decided > 0) {
      const before = autoscalers.find(({ spec }) => spec?.scaleTargetRef.name === name)?.spec?.minReplicas;
      const fell = track.annotations !== undefined && before !== undefined && before > track.minReplicas;
      if (has <= track.maxReplicas && !fell) return [];
    }
    if (track?.track === STABLE && track.annotations === undefined && has > 0) return [];
    return [{ deployment, replicas: decided }];
  });
  return changes.sort((a, b) => grows(b) - grows(a));
}

const grows = ({ deployment, replicas }: ScaleChange) =>
  replicas > (deployment.spec?.replicas ?? 1) ? 1 : 0;
