/** How many further pods with an accelerator a cluster could take now. */
import { DEFAULT_GPU_RESOURCE, type ModelDeploymentSpec } from '../../api/model-deployment.ts';
import type { KubeClient } from '../../runtime/client.ts';
import { ApiError } from '../../runtime/errors.ts';
import type { Kind, KubeObject } from '../../runtime/object.ts';
import { type Deployment, NODE, type Node, POD, type Pod } from '../kinds.ts';
import { living } from '../pods.ts';
import { deviceClaim } from './devices.ts';

type PodSpec = NonNullable<Pod['spec']>;

export interface AcceleratorDemand {
  readonly resource: string;
  readonly perPod: number;
  /** Of the pods that would be placed. */
  readonly placement: Pick<PodSpec, 'nodeSelector' | 'tolerations'>;
}

/** undefined: pods want no accelerator, or one that is not counted (a claim of dynamic resource allocation). */
export function acceleratorDemand(
  spec: ModelDeploymentSpec,
  template: NonNullable<Deployment['spec']>['template'] | undefined,
): AcceleratorDemand | undefined {
  if (!spec.gpu || deviceClaim(spec)) return undefined;
  const { nodeSelector, tolerations } = template?.spec ?? {};
  return {
    resource: spec.gpu.resourceName ?? DEFAULT_GPU_RESOURCE,
    perPod: spec.gpu.count ?? 1,
    placement: {
      ...(nodeSelector === undefined ? {} : { nodeSelector }),
      ...(tolerations === undefined ? {} : { tolerations }),
    },
  };
}

/** Whether such pods give an accelerator back when they go. */
export const holdsAccelerators = ({ resource }: AcceleratorDemand, spec: PodSpec | undefined): boolean =>
  countOf(spec, resource) > 0;

/** Of nodes that would take the pods; what waits for a node has a claim on what is free. */
export function freeAccelerators(
  { resource, perPod, placement }: AcceleratorDemand,
  nodes: readonly Node[],
  pods: readonly Pod[],
): number {
  const wanting = living(pods).map((pod) => ({
    node: pod.spec?.nodeName,
    count: countOf(pod.spec, resource),
  }));
  const used = new Map<string, number>();
  for (const { node, count } of wanting) if (node) used.set(node, (used.get(node) ?? 0) + count);
  const room = nodes
    .filter((node) => takes(node, placement, resource))
    .map(({ metadata, status }) => {
      const allocatable = Number(status?.allocatable?.[resource] ?? 0);
      return Math.max(0, Math.floor((allocatable - (used.get(metadata.name) ?? 0)) / perPod));
    })
    .reduce((sum, pods) => sum + pods, 0);
  const waiting = wanting.filter(({ node, count }) => !node && count > 0).length;
  return Math.max(0, room - waiting);
}

/** An extended resource is requested by its limit. Init containers run one after the other, before the others. */
function countOf(spec: PodSpec | undefined, resource: string): number {
  const of = (containers: PodSpec['initContainers'] = []) =>
    containers.map(({ resources }) =>
      Number(resources?.requests?.[resource] ?? resources?.limits?.[resource] ?? 0),
    );
  const together = of(spec?.containers).reduce((sum, count) => sum + count, 0);
  return Math.max(together, ...of(spec?.initContainers));
}

function takes(
  { metadata, spec, status }: Node,
  { nodeSelector = {}, tolerations = [] }: AcceleratorDemand['placement'],
  resource: string,
): boolean {
  const ready = status?.conditions?.some(
    (condition) => condition.type === 'Ready' && condition.status === 'True',
  );
  const selected = Object.entries(nodeSelector).every(([label, value]) => metadata.labels?.[label] === value);
  const tolerated = (spec?.taints ?? [])
    // An admission plugin may let pods that ask for a resource tolerate the taint that is named after it.
    .filter(({ effect, key }) => effect !== 'PreferNoSchedule' && key !== resource)
    .every((taint) =>
      tolerations.some(({ key, operator, value, effect }) => {
        if (effect && effect !== taint.effect) return false;
        if (key && key !== taint.key) return false;
        return operator === 'Exists' || (key !== undefined && (value ?? '') === (taint.value ?? ''));
      }),
    );
  return ready === true && spec?.unschedulable !== true && selected && tolerated;
}

/** undefined where the operator may not look: it is confined to namespaces. */
export async function askFreeAccelerators(
  client: KubeClient,
  demand: AcceleratorDemand,
  signal: AbortSignal,
): Promise<number | undefined> {
  try {
    const [nodes, pods] = await Promise.all([all(client, NODE, signal), all(client, POD, signal)]);
    return freeAccelerators(demand, nodes, pods);
  } catch (error) {
    if (error instanceof ApiError && error.status === 403) return undefined;
    throw error;
  }
}

/** In pages: clusters have many pods. */
async function all<T extends KubeObject>(
  client: KubeClient,
  kind: Kind<T>,
  signal: AbortSignal,
): Promise<readonly T[]> {
  const items: T[] = [];
  let next: string | undefined;
  do {
    const page = await client.list(kind, { limit: 500, ...(next ? { continue: next } : {}) }, signal);
    items.push(...page.items);
    next = page.metadata.continue;
  } while (next);
  return items;
}
