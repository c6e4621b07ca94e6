/** How long pods outlive their requests. Pure. */
import type { ModelDeploymentSpec } from '../api/model-deployment.ts';
import { splitOf } from './steps.ts';

const DEFAULT_SECONDS = 30;

/** Of an aborted canary, seconds; undefined: no time is set, its pods go as its requests do or stay for good. */
export function abortDelaySeconds(spec: ModelDeploymentSpec): number | undefined {
  const { canary, blueGreen } = spec.strategy ?? {};
  const { abortScaleDownDelaySeconds } = canary ?? blueGreen ?? {};
  if (splitOf(spec) === 'replicas' || abortScaleDownDelaySeconds === 0) return undefined;
  if (canary?.dynamicStableScale && abortScaleDownDelaySeconds === undefined) return undefined;
  return abortScaleDownDelaySeconds ?? DEFAULT_SECONDS;
}

/** Of a revision in whose place another was promoted, seconds. Behind one Service it would go on serving: it goes at once. */
export function scaleDownDelaySeconds(spec: ModelDeploymentSpec): number {
  const { canary, blueGreen } = spec.strategy ?? {};
  if (splitOf(spec) === 'replicas' || canary?.dynamicStableScale) return 0;
  return (canary ?? blueGreen)?.scaleDownDelaySeconds ?? DEFAULT_SECONDS;
}
