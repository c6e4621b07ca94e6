/** The resources of docs/examples/quickstart.yaml on a cluster: applied, waited for, reached. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments, stringify } from 'yaml';
import type { Cluster } from '../cluster.ts';
import { condition, get, type KubeObject, list, portForward, readSecret, waitFor } from '../kubectl.ts';
import { REPOSITORY } from '../paths.ts';
import type { Report } from '../steps.ts';
import type { Endpoint, Sample } from './analyze.ts';

export const QUICKSTART = 'docs/examples/quickstart.yaml';

/** Which ModelDeployment of the quickstart serves a modality. */
export const SERVED_BY: Readonly<Record<Sample['modality'], string>> = {
  image: 'image-detector',
  audio: 'audio-detector',
};

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: Record<string, unknown>;
}

/** A failure may be what an older operator or spec left: this long it has to stay before it counts. */
const SETTLE_MS = 15_000;

/** The quickstart's YAML, with one GPU asked for by the named ModelDeployment if there is one to ask for. */
export function quickstartManifests(gpuFor?: string): string {
  const documents = parseAllDocuments(readFileSync(join(REPOSITORY, QUICKSTART), 'utf8'));
  return documents
    .map((document) => document.toJS() as Manifest)
    .map((manifest) =>
      manifest.kind === 'ModelDeployment' && manifest.metadata.name === gpuFor
        ? { ...manifest, spec: { ...manifest.spec, gpu: { resourceName: 'nvidia.com/gpu', count: 1 } } }
        : manifest,
    )
    .map((manifest) => stringify(manifest))
    .join('---\n');
}

/** The serving pods of a namespace that are not on their way out. */
export async function servingPods(cluster: Cluster, namespace: string): Promise<KubeObject[]> {
  const pods = await list(cluster, namespace, 'pods', 'app.kubernetes.io/name=deepfake-inference');
  return pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
}

/**
 * Waits until every ModelDeployment of a namespace serves what its spec asks for, by pods of `image` alone, and reports
 * each change of message.
 * @throws Error with the last messages of both kinds
 */
export async function waitUntilServing(
  cluster: Cluster,
  namespace: string,
  image: string,
  report: Report,
  signal?: AbortSignal,
  timeoutMs = 300_000,
): Promise<string> {
  const kinds = 'deepfakemodels,modeldeployments';
  const said = new Map<string, string>();
  let hopelessSince: number | undefined;
  const describe = (object: KubeObject) =>
    `${object.kind} ${object.metadata.name}: ${object.status?.phase ?? 'not seen yet'}${object.status?.message ? `, ${object.status.message}` : ''}`;
  await waitFor(
    `serving in namespace ${namespace}`,
    timeoutMs,
    async () => {
      const objects = await list(cluster, namespace, kinds);
      for (const object of objects) {
        const line = describe(object);
        if (said.get(object.metadata.uid) !== line) report(line);
        said.set(object.metadata.uid, line);
      }
      const hopeless = objects.find(isHopeless);
      hopelessSince = hopeless ? (hopelessSince ?? performance.now()) : undefined;
      if (hopeless && performance.now() - (hopelessSince ?? 0) > SETTLE_MS)
        throw new Error(describe(hopeless));
      const deployments = objects.filter(({ kind }) => kind === 'ModelDeployment');
      if (deployments.length === 0 || !deployments.every(isServing)) return undefined;
      const pods = await servingPods(cluster, namespace);
      return pods.every(({ spec }) => spec.containers[0].image === image) ? true : undefined;
    },
    async () => (await list(cluster, namespace, kinds)).map(describe).join('\n'),
    signal,
  );
  return `${said.size} resources`;
}

/** A model whose fetch failed and is not tried again. */
function isHopeless({ kind, status }: KubeObject): boolean {
  return kind === 'DeepfakeModel' && status?.phase === 'Failed' && status.fetch?.nextRetryAt === undefined;
}

function isServing(object: KubeObject): boolean {
  const available = condition(object, 'Available');
  return (
    available?.status === 'True' &&
    object.status.observedGeneration === object.metadata.generation &&
    object.status.updatedReplicas === object.status.replicas &&
    object.status.phase === 'Healthy'
  );
}

export interface OpenEndpoint extends Endpoint {
  close(): void;
}

/** A forwarded port to a ModelDeployment's Service, with the key that its Secret holds. */
export async function openEndpoint(cluster: Cluster, namespace: string, name: string): Promise<OpenEndpoint> {
  const deployment = await get(cluster, namespace, 'modeldeployment', name);
  const secret = deployment?.status?.authSecret as { name: string; key: string } | undefined;
  if (secret === undefined) throw new Error(`ModelDeployment ${namespace}/${name} names no authSecret`);
  const keys = await readSecret(cluster, namespace, secret.name, secret.key);
  const { url, close } = await portForward(cluster, namespace, name);
  return { url, apiKey: keys.split(',')[0]?.trim() ?? '', close };
}
