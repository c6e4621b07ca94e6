/** A step of a canary in a few words. Pure. */
import type { CanaryStep } from '../../api/rollout/strategy.ts';

export function stepText(step: CanaryStep): string {
  const { setWeight, pause, analysis, setCanaryScale, setHeaderRoute, setMirrorRoute } = step;
  if (setWeight !== undefined) return `setWeight ${setWeight}`;
  if (pause) return pause.duration === undefined ? 'pause until promoted' : `pause ${pause.duration}`;
  if (analysis) return `analysis ${analysis.metrics.map(({ name }) => name).join(', ')}`;
  if (setCanaryScale) return `setCanaryScale ${scaleText(setCanaryScale)}`;
  if (setHeaderRoute) return setHeaderRoute.match?.length ? header(setHeaderRoute) : without(setHeaderRoute);
  if (setMirrorRoute) {
    const { name, percentage = 100 } = setMirrorRoute;
    return percentage === 0 ? `setMirrorRoute without ${name}` : `setMirrorRoute ${name} ${percentage} %`;
  }
  // A newer operator may know more steps.
  return Object.keys(step).join(', ') || 'empty step';
}

type HeaderRoute = NonNullable<CanaryStep['setHeaderRoute']>;
const header = ({ name, match = [] }: HeaderRoute) =>
  `setHeaderRoute ${name} for ${match.map(({ headerName }) => headerName).join(' and ')}`;
const without = ({ name }: HeaderRoute) => `setHeaderRoute without ${name}`;

function scaleText({ replicas, weight }: NonNullable<CanaryStep['setCanaryScale']>): string {
  if (replicas !== undefined) return `${replicas} ${replicas === 1 ? 'pod' : 'pods'}`;
  return weight === undefined ? 'as the weight asks for' : `${weight} %`;
}
