/** Lets a cluster without GPUs schedule pods that ask for some: an extended resource that stands for no device. */
import type { Kubectl } from './cluster.ts';

export interface ExtendedResourceOutcome {
  /** false: nodes offer it already, nothing was changed. */
  readonly added: boolean;
  readonly node: string;
  readonly count: string;
}

/**
 * Where no node offers `resource`, gives the first node `count` of it. A kubelet keeps what it finds in the node's
 * status, also over its restart; a node that is made anew loses it, so this is called before each use.
 */
export async function ensureExtendedResource(
  kubectl: Kubectl,
  resource = 'nvidia.com/gpu',
  count = '2',
): Promise<ExtendedResourceOutcome> {
  const nodes = await nodesOf(kubectl);
  const offered = offerOf(nodes, resource);
  if (offered) return { added: false, ...offered };
  const [first] = nodes.items;
  if (!first) throw new Error(`the cluster has no node that could offer ${resource}`);
  const node = first.metadata.name;
  await kubectl([
    'patch',
    'node',
    node,
    '--subresource=status',
    '--type=json',
    `-p=${capacityPatch(resource, count)}`,
  ]);
  return { added: true, node, count };
}

/** A node that offers `resource`, or undefined. Changes nothing. */
export async function offeredResource(
  kubectl: Kubectl,
  resource = 'nvidia.com/gpu',
): Promise<Omit<ExtendedResourceOutcome, 'added'> | undefined> {
  return offerOf(await nodesOf(kubectl), resource);
}

async function nodesOf(kubectl: Kubectl): Promise<NodeList> {
  return JSON.parse(await kubectl(['get', 'nodes', '-o=json'])) as NodeList;
}

function offerOf(nodes: NodeList, resource: string): { node: string; count: string } | undefined {
  const offers = nodes.items.map(({ metadata, status }) => ({
    node: metadata.name,
    count: status.allocatable?.[resource] ?? '0',
  }));
  return offers.find(({ count }) => Number(count) > 0);
}

/** The JSON patch that sets a node's capacity; allocatable follows it. */
export function capacityPatch(resource: string, count: string): string {
  const key = resource.replaceAll('~', '~0').replaceAll('/', '~1');
  const set = (field: string) => ({ op: 'add', path: `/status/${field}/${key}`, value: count });
  return JSON.stringify([set('capacity'), set('allocatable')]);
}

interface NodeList {
  readonly items: readonly {
    readonly metadata: { readonly name: string };
    readonly status: { readonly allocatable?: Readonly<Record<string, string>> };
  }[];
}
