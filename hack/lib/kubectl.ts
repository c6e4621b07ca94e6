/** kubectl as the demo and the end-to-end tests use it. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster } from './cluster.ts';

/** The part of any object that is read here. */
export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid: string;
    readonly generation?: number;
    readonly labels?: Readonly<Record<string, string>>;
    readonly creationTimestamp?: string;
    readonly deletionTimestamp?: string;
  };
  // biome-ignore lint/suspicious/noExplicitAny: objects of many kinds, read by tests and reports
  readonly spec: any;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  readonly status?: any;
  readonly data?: Readonly<Record<string, string>>;
}

/** Server-side apply of YAML or JSON text into a namespace. */
export function apply(cluster: Cluster, namespace: string, manifests: string): Promise<string> {
  return cluster.kubectl(['-n', namespace, 'apply', '--server-side', '-f', '-'], manifests);
}

/** One object, or undefined where there is none of that name. */
export async function get(
  cluster: Cluster,
  namespace: string,
  kind: string,
  name: string,
): Promise<KubeObject | undefined> {
  const text = await cluster.kubectl([
    '-n',
    namespace,
    'get',
    kind,
    name,
    '-o',
    'json',
    '--ignore-not-found',
  ]);
  return text.trim() === '' ? undefined : (JSON.parse(text) as KubeObject);
}

/** All objects of the given kinds (comma-separated) in a namespace. */
export async function list(
  cluster: Cluster,
  namespace: string,
  kinds: string,
  selector?: string,
): Promise<KubeObject[]> {
  const labels = selector === undefined ? [] : ['-l', selector];
  const text = await cluster.kubectl(['-n', namespace, 'get', kinds, ...labels, '-o', 'json']);
  return (JSON.parse(text) as { items: KubeObject[] }).items;
}

/** Creates the namespace, or leaves it as it is, with the `restricted` Pod Security Standard enforced. */
export async function ensureNamespace(
  cluster: Cluster,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<void> {
  await cluster.kubectl(
    ['apply', '--server-side', '-f', '-'],
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name, labels: { ...labels, 'pod-security.kubernetes.io/enforce': 'restricted' } },
    }),
  );
}

/** The value of one key of a Secret. @throws Error when there is no such key */
export async function readSecret(
  cluster: Cluster,
  namespace: string,
  name: string,
  key: string,
): Promise<string> {
  const value = (await get(cluster, namespace, 'secret', name))?.data?.[key];
  if (value === undefined) throw new Error(`Secret ${namespace}/${name} has no key ${key}`);
  return Buffer.from(value, 'base64').toString();
}

/** The condition of a type, if the object has it. */
export function condition(
  object: KubeObject | undefined,
  type: string,
): { status: string; reason: string; message: string; observedGeneration?: number } | undefined {
  return object?.status?.conditions?.find((entry: { type: string }) => entry.type === type);
}

/**
 * Asks `probe` until it returns a value; undefined means not yet.
 * @param describe what to say of the last state when time runs out
 * @throws Error after `timeoutMs`
 */
export async function waitFor<T>(
  what: string,
  timeoutMs: number,
  probe: () => Promise<T | undefined>,
  describe: () => Promise<string> = async () => '',
  signal?: AbortSignal,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    signal?.throwIfAborted();
    const value = await probe();
    if (value !== undefined) return value;
    if (Date.now() > deadline) {
      throw new Error(`${what} did not happen in ${timeoutMs / 1000} s\n${await describe()}`.trimEnd());
    }
    await sleep(500, undefined, signal ? { signal } : {});
  }
}

/** A forwarded port; `url` answers until `close`. */
export interface Forward {
  readonly url: string;
  close(): void;
}

/** Forwards a free local port to a Service's port 80. @throws Error with kubectl's message when it ends early */
export function portForward(cluster: Cluster, namespace: string, service: string): Promise<Forward> {
  const child = spawn(
    join(cluster.binaries, 'kubectl'),
    [
      '--kubeconfig',
      cluster.kubeconfig,
      '-n',
      namespace,
      'port-forward',
      '--address',
      '127.0.0.1',
      `service/${service}`,
      ':80',
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  return new Promise((resolve, reject) => {
    let output = '';
    const collect = (chunk: Buffer) => {
      output += chunk.toString();
      const port = /Forwarding from 127\.0\.0\.1:(\d+)/.exec(output)?.[1];
      if (port !== undefined) resolve({ url: `http://127.0.0.1:${port}`, close: () => child.kill() });
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    child.on('error', reject);
    child.on('exit', (code) => reject(new Error(`port-forward to ${service} ended with ${code}: ${output}`)));
  });
}
