/** On a cluster of the user's: what the demo put there, told apart from what was there before. */
import { join } from 'node:path';
import type { Cluster } from './cluster.ts';
import { apply, type KubeObject } from './kubectl.ts';
import { CommandError, run } from './process.ts';

/** On namespaces and on the Helm release that the demo makes. */
const KEY = 'deepfake-operator.io/made-by';
const VALUE = 'hack-demo';
export const MARK = { [KEY]: VALUE };
export const MARK_LABEL = `${KEY}=${VALUE}`;

export interface Release {
  /** As Helm names it: `deployed`, `failed`, `pending-install`, ... */
  readonly status: string;
  readonly labels?: Readonly<Record<string, string>> | null;
}

type Marked = { readonly labels?: Readonly<Record<string, string>> | null };

export function isOurs(object: Marked | undefined): boolean {
  return object?.labels?.[KEY] === VALUE;
}

export interface Found {
  readonly release: Release | undefined;
  /** Names of the operator's definitions that are there. */
  readonly definitions: readonly string[];
  /** The demo's namespace, if there is one of its name. */
  readonly namespace: KubeObject['metadata'] | undefined;
}

/** Why the demo must not install over what it found: it would change, and later remove, what is not its own. */
export function refusal({ release, definitions, namespace }: Found): string | undefined {
  if (release && !isOurs(release))
    return 'the operator is installed there already, by somebody else than the demo';
  if (!release && definitions.length > 0)
    return `the definitions ${definitions.join(', ')} are there already, and not the demo's to replace or remove`;
  if (namespace && !isOurs(namespace))
    return `namespace ${namespace.name} is there already, and not the demo's`;
  return undefined;
}

/** The Helm command that ends what a killed Helm left half done, where it refuses to go on; undefined where it does not. */
export function recovery(status: string | undefined): 'uninstall' | 'rollback' | undefined {
  if (status === 'pending-install' || status === 'uninstalling') return 'uninstall';
  return status?.startsWith('pending-') ? 'rollback' : undefined;
}

/** The latest revision of a release, or undefined where there is none. */
export async function findRelease(
  cluster: Cluster,
  name: string,
  namespace: string,
): Promise<Release | undefined> {
  const args = ['--kubeconfig', cluster.kubeconfig, 'get', 'metadata', name, '-n', namespace, '-o', 'json'];
  try {
    return JSON.parse(await run(join(cluster.binaries, 'helm'), args)) as Release;
  } catch (error) {
    if (error instanceof CommandError && /release: not found/.test(error.output)) return undefined;
    throw error;
  }
}

export async function findNamespace(
  cluster: Cluster,
  name: string,
): Promise<KubeObject['metadata'] | undefined> {
  const text = await cluster.kubectl(['get', 'namespace', name, '-o', 'json', '--ignore-not-found']);
  return text.trim() === '' ? undefined : (JSON.parse(text) as KubeObject).metadata;
}

/** Makes a namespace that carries the mark, or leaves the one that is there as it is. */
export async function ensureMarkedNamespace(cluster: Cluster, name: string): Promise<void> {
  if (await findNamespace(cluster, name)) return;
  const metadata = { name, labels: MARK };
  await apply(cluster, name, JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata }));
}

/** Deletes a namespace that carries the mark, with all that is in it. */
export async function removeMarkedNamespace(cluster: Cluster, name: string): Promise<void> {
  if (!isOurs(await findNamespace(cluster, name))) return;
  await cluster.kubectl(['delete', 'namespace', name, '--ignore-not-found', '--timeout=120s']);
}
