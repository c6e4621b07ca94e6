/** A namespace of its own on the real cluster, and what tests do in it. */
import { type Cluster, currentCluster } from '../../hack/lib/cluster.ts';
import { keepEvidence } from '../../hack/lib/cluster-evidence.ts';
import {
  apply,
  condition,
  ensureNamespace,
  get,
  type KubeObject,
  list,
  waitFor,
} from '../../hack/lib/kubectl.ts';
import { cacheDir } from '../../hack/lib/paths.ts';

const API_VERSION = 'deepfake-operator.io/v1alpha1';

/** Satisfies the Pod Security Standard `restricted`, as the user of the inference image. */
const POD_SECURITY = {
  runAsNonRoot: true,
  runAsUser: 65532,
  runAsGroup: 65532,
  fsGroup: 65532,
  seccompProfile: { type: 'RuntimeDefault' },
};
export const CONTAINER_SECURITY = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } };

export interface Stage {
  readonly cluster: Cluster;
  readonly namespace: string;
  kubectl(args: readonly string[], input?: string): Promise<string>;
  /** Server-side apply of objects, in their order. */
  apply(...objects: readonly object[]): Promise<void>;
  model(name: string, spec: object): Promise<void>;
  deployment(name: string, spec: object): Promise<void>;
  get(kind: string, name: string): Promise<KubeObject | undefined>;
  list(kinds: string, selector?: string): Promise<KubeObject[]>;
  /** The serving pods of a ModelDeployment that are not on their way out. */
  pods(deployment: string): Promise<KubeObject[]>;
  /** Deletes objects and waits until they are gone. */
  remove(kind: string, ...names: readonly string[]): Promise<void>;
  /** Waits until `is` holds for an object, and returns it. @throws Error with its status when it does not in time */
  until(
    kind: string,
    name: string,
    what: string,
    is: (object: KubeObject) => boolean,
    timeoutMs?: number,
  ): Promise<KubeObject>;
  /** Waits until an object is gone. */
  untilGone(kind: string, name: string, timeoutMs?: number): Promise<void>;
  close(): Promise<void>;
}

/**
 * Removes a namespace and what is in it. Serving pods go first: Kubernetes lets a namespace with pods wait for half of their grace
 * period, a minute, before it looks again.
 */
export async function clearNamespace(cluster: Cluster, namespace: string): Promise<void> {
  const remove = (...words: readonly string[]) =>
    cluster.kubectl(['delete', ...words, '--ignore-not-found', '--timeout=120s']);
  await remove('modeldeployments', '--all', '-n', namespace, '--cascade=foreground');
  await remove('namespace', namespace);
}

export async function openStage(namespace: string): Promise<Stage> {
  const cluster = currentCluster();
  const kubectl = (args: readonly string[], input?: string) =>
    cluster.kubectl(['-n', namespace, ...args], input);
  await clearNamespace(cluster, namespace);
  await ensureNamespace(cluster, namespace);
  const applyAll = async (...objects: readonly object[]) => {
    await apply(cluster, namespace, objects.map((object) => JSON.stringify(object)).join('\n---\n'));
  };
  const find = (kind: string, name: string) => get(cluster, namespace, kind, name);
  return {
    cluster,
    namespace,
    kubectl,
    apply: applyAll,
    model: (name, spec) => applyAll(resource('DeepfakeModel', name, spec)),
    deployment: (name, spec) => applyAll(resource('ModelDeployment', name, spec)),
    get: find,
    list: (kinds, selector) => list(cluster, namespace, kinds, selector),
    pods: async (deployment) => {
      const selector = `deepfake-operator.io/model-deployment=${deployment}`;
      const pods = await list(cluster, namespace, 'pods', selector);
      return pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    },
    remove: async (kind, ...names) => {
      await kubectl(['delete', kind, ...names, '--ignore-not-found', '--timeout=120s']);
    },
    until: (kind, name, what, is, timeoutMs = 90_000) =>
      waitFor(
        `${kind} ${name}: ${what}`,
        timeoutMs,
        async () => {
          const object = await find(kind, name);
          return object && is(object) ? object : undefined;
        },
        async () => JSON.stringify((await find(kind, name))?.status),
      ),
    untilGone: async (kind, name, timeoutMs = 60_000) => {
      await waitFor(`${kind} ${name} goes`, timeoutMs, async () =>
        (await find(kind, name)) === undefined ? true : undefined,
      );
    },
    close: async () => {
      await keepEvidence(cluster, cacheDir('log', 'test', `evidence-${namespace}`));
      await clearNamespace(cluster, namespace);
    },
  };
}

const resource = (kind: string, name: string, spec: object) => ({
  apiVersion: API_VERSION,
  kind,
  metadata: { name },
  spec,
});

/** A pod of one container that runs `command` in an image; `extra` adds to the pod's spec, `container` to the container. */
export const pod = (
  name: string,
  image: string,
  command: readonly string[],
  { labels = {}, container = {}, ...extra }: { labels?: object; container?: object; volumes?: object[] } = {},
) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, labels },
  spec: {
    restartPolicy: 'Never',
    terminationGracePeriodSeconds: 0,
    securityContext: POD_SECURITY,
    ...extra,
    containers: [
      {
        name: 'main',
        image,
        imagePullPolicy: 'Never',
        command,
        securityContext: CONTAINER_SECURITY,
        ...container,
      },
    ],
  },
});

/** Whether a condition has a status and, where it is given, a reason. */
export const has =
  (type: string, status: 'True' | 'False', reason?: string) =>
  (object: KubeObject): boolean => {
    const found = condition(object, type);
    return found?.status === status && (reason === undefined || found.reason === reason);
  };

/** Every pod of the newest spec serves and nothing is wrong. */
export const isHealthy = ({ metadata, status }: KubeObject): boolean =>
  status?.phase === 'Healthy' && status.observedGeneration === metadata.generation;
