/** What a rollout will do to the pods, step by step. Pure: the counts are the operator's own. */
import { DEFAULT_GPU_RESOURCE, type ModelDeploymentSpec } from '../../api/model-deployment.ts';
import { type Split, type StepPlanRow, splitOf, stepPlan } from '../../rollout/steps.ts';
import { type Drawing, table } from '../text.ts';
import { type Strategy, strategyOf } from './situation.ts';

export interface RolloutPlan {
  readonly name: string;
  readonly strategy: Strategy;
  readonly split: Split | undefined;
  /** Pods that the plan is for. */
  readonly replicas: number;
  /** Where that number comes from. */
  readonly counted: 'given' | 'replicas' | 'minReplicas';
  /** Empty for a strategy without steps. */
  readonly rows: readonly StepPlanRow[];
  /** Pods at once, at most. */
  readonly mostPods: number;
  /** What these pods take of an accelerator; undefined where they need none, or claim it. */
  readonly accelerators: { readonly resource: string; readonly count: number } | undefined;
}

/** An autoscaler chooses later; its fewest pods are where steps are coarsest. */
export const countOf = ({ autoscaling, replicas }: ModelDeploymentSpec) =>
  autoscaling
    ? ({ replicas: autoscaling.minReplicas, counted: 'minReplicas' } as const)
    : ({ replicas, counted: 'replicas' } as const);

export function planOf(name: string, spec: ModelDeploymentSpec, given?: number): RolloutPlan {
  const strategy = strategyOf({ spec });
  const { replicas, counted } =
    given === undefined ? countOf(spec) : ({ replicas: given, counted: 'given' } as const);
  const rows = strategy === 'rollingUpdate' ? [] : stepPlan(spec, replicas);
  const mostPods = Math.max(replicas, ...rows.map(({ maxPods }) => maxPods));
  const { gpu } = spec;
  const claimed = gpu?.resourceClaimName !== undefined || gpu?.resourceClaimTemplateName !== undefined;
  return {
    name,
    strategy,
    split: strategy === 'rollingUpdate' ? undefined : splitOf(spec),
    replicas,
    counted,
    rows,
    mostPods,
    accelerators:
      gpu && !claimed
        ? { resource: gpu.resourceName ?? DEFAULT_GPU_RESOURCE, count: mostPods * (gpu.count ?? 1) }
        : undefined,
  };
}

/**
 * Percent of the requests that the canary gets where nothing but the pods splits them: their share, as soon as the service of the
 * clients selects both revisions.
 */
export const shareOf = ({ weight, canaryPods, stablePods }: StepPlanRow) =>
  weight === 0 || canaryPods === 0 ? 0 : (100 * canaryPods) / (canaryPods + stablePods);

export function renderPlan(plan: RolloutPlan, { paint }: Drawing): string {
  const { name, strategy, split, replicas, counted, rows, mostPods, accelerators } = plan;
  const pods = (count: number) => `${count} ${count === 1 ? 'pod' : 'pods'}`;
  const source = { given: '', replicas: '', minReplicas: ' (the fewest of the autoscaler)' }[counted];
  const how = split === 'blueGreen' || split === undefined ? '' : `, split by ${split}`;
  const head = `${paint('bold', name)}: ${strategy}${how}, ${pods(replicas)}${source}`;
  if (rows.length === 0) return `${head}\nno steps: pods are exchanged a few at a time`;
  const byPods = split === 'replicas';
  const titles = ['STEP', 'WHAT', 'WEIGHT', ...(byPods ? ['ACTUAL'] : []), 'CANARY', 'STABLE', 'MOST'];
  const cells = rows.map((row, at) => [
    at === rows.length - 1 ? 'end' : String(row.index + 1),
    row.description,
    `${row.weight} %`,
    ...(byPods ? [`${Math.round(shareOf(row))} %`] : []),
    String(row.canaryPods),
    String(row.stablePods),
    String(row.maxPods),
  ]);
  const taken = accelerators ? `, with ${accelerators.count} ${accelerators.resource}` : '';
  return [
    head,
    table([titles.map((title) => paint('bold', title)), ...cells]),
    `at most ${pods(mostPods)} at once${taken}`,
  ].join('\n');
}
