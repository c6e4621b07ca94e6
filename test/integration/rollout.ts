/** What tests of rollouts have in common: pods that come up where nothing is said against it, and words for what is seen. */
import { setTimeout as sleep } from 'node:timers/promises';
import { LABEL } from '../../operator/api/names.ts';
import { revisionIn } from '../../operator/controllers/deployment/revision.ts';
import {
  DEEPFAKE_MODEL,
  DEPLOYMENT,
  type Deployment,
  MODEL_DEPLOYMENT,
  type ModelDeployment,
  POD,
  type Pod,
  SERVICE,
} from '../../operator/controllers/kinds.ts';
import { DIGEST_A, eventually, fetched, type Namespace } from './environment.ts';

type Status = NonNullable<ModelDeployment['status']>;

/** Plays the Deployment controller and kubelet of one namespace, for one ModelDeployment. */
export class Pods {
  readonly #namespace: Namespace;
  /** Revisions whose pods crash. */
  readonly crashing = new Set<string>();
  /** Pods become ready no more until this is false again. */
  stalled = false;
  readonly #ending = new AbortController();
  readonly #running: Promise<void>;

  constructor(namespace: Namespace) {
    this.#namespace = namespace;
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending;
    while (!signal.aborted) {
      await this.#act().catch(() => undefined);
      await sleep(50, undefined, { signal }).catch(() => undefined);
    }
  }

  async #act(): Promise<void> {
    for (const deployment of await this.#namespace.list(DEPLOYMENT)) {
      if (this.crashing.has(revisionIn(deployment) ?? '')) await this.#crash(deployment);
      else if (!this.stalled) await this.#comeUp(deployment);
    }
  }

  async #comeUp({ metadata, spec, status }: Deployment): Promise<void> {
    const replicas = spec?.replicas ?? 1;
    const known = status?.observedGeneration === metadata.generation;
    if (!known || (status?.availableReplicas ?? 0) !== replicas) {
      await this.#namespace.runPods(metadata.name, replicas);
    }
  }

  /** One pod that ended again and again, for longer than the deadline. */
  async #crash({ metadata, spec, status }: Deployment): Promise<void> {
    const replicas = spec?.replicas ?? 1;
    const known = status?.observedGeneration === metadata.generation;
    const stuck = {
      type: 'Progressing',
      status: 'False',
      reason: 'ProgressDeadlineExceeded',
      message: `ReplicaSet of ${metadata.name} has timed out progressing.`,
    };
    if (known && status?.replicas === replicas) return;
    // It is there before anybody hears that the deadline is over.
    if (replicas > 0) await this.#crashedPod(metadata.name, spec);
    await sleep(300);
    const counts = { replicas, updatedReplicas: replicas, unavailableReplicas: replicas };
    const none = { readyReplicas: null, availableReplicas: null };
    const conditions = replicas > 0 ? [stuck] : [];
    await this.#namespace.patch(
      DEPLOYMENT,
      metadata.name,
      { status: { observedGeneration: metadata.generation, ...counts, ...none, conditions } },
      'status',
    );
  }

  async #crashedPod(name: string, spec: Deployment['spec']): Promise<void> {
    if (await this.#namespace.find(POD, `${name}-x`)) return;
    const metadata = {
      name: `${name}-x`,
      namespace: this.#namespace.name,
      labels: spec?.template.metadata?.labels ?? {},
    };
    await this.#namespace.create(POD, { metadata, spec: spec?.template.spec } as Pod);
    const state = { waiting: { reason: 'CrashLoopBackOff', message: 'back-off' } };
    const lastState = { terminated: { exitCode: 1, reason: 'Error', message: 'no such graph' } };
    const container = { name: 'inference', image: 'i', imageID: '', ready: false, restartCount: 5 };
    const status = { phase: 'Running', containerStatuses: [{ ...container, state, lastState }] };
    await this.#namespace.patch(POD, metadata.name, { status }, 'status');
  }
}

/** The digest of another version of a package. */
export const digestOf = (letter: string) => `sha256:${letter.repeat(64)}`;

/** Another version of the model: a new revision of whoever serves it. */
export async function updateModel(namespace: Namespace, name: string, digest: string, version: string) {
  await namespace.patch(DEEPFAKE_MODEL, name, { spec: { digest } });
  await namespace.endFetch(name, fetched({ digest, version }));
  await namespace.until(
    DEEPFAKE_MODEL,
    name,
    ({ status }) => status?.phase === 'Ready' && status.digest === digest,
    `is ${version}`,
  );
}

export function untilStatus(
  namespace: Namespace,
  name: string,
  accept: (status: Status, object: ModelDeployment) => unknown,
  what: string,
) {
  return namespace.until(
    MODEL_DEPLOYMENT,
    name,
    (object) => Boolean(object.status && accept(object.status, object)),
    what,
  );
}

/** What the CLI does: a merge patch of the status subresource. */
export const say = (namespace: Namespace, name: string, status: object) =>
  namespace.patch(MODEL_DEPLOYMENT, name, { status }, 'status');

export const deploymentOf = async (namespace: Namespace, revision: string): Promise<Deployment> =>
  eventually(`a Deployment of revision ${revision}`, async () =>
    (await namespace.list(DEPLOYMENT)).find((each) => revisionIn(each) === revision),
  );

export const replicasOf = async (namespace: Namespace, revision: string) =>
  (await deploymentOf(namespace, revision)).spec?.replicas;

/** What a Service selects: a revision, or `all`. */
export async function selected(namespace: Namespace, service: string): Promise<string | undefined> {
  const found = await namespace.find(SERVICE, service);
  return found && (found.spec?.selector?.[LABEL.revision] ?? 'all');
}

/** A model and a deployment of it that serves its first revision, without having taken a step. */
export async function served(namespace: Namespace, spec: object, name = 'd') {
  await namespace.model('m', { source: { builtin: { name: 'm' } }, digest: DIGEST_A });
  await namespace.endFetch('m', fetched({ digest: DIGEST_A }));
  await namespace.untilModel('m', 'Ready');
  await namespace.deployment(name, { models: [{ name: 'm' }], ...spec });
  const healthy = await namespace.untilDeployment(name, 'Healthy');
  return healthy.status?.stableRevision ?? '';
}
