/** What `status` looks at in the cluster: read once, or followed by watches. */
import type { Logger } from 'pino';
import { LABEL } from '../../api/names.ts';
import { DEEPFAKE_MODEL, MODEL_DEPLOYMENT, POD, REPLICA_SET } from '../../controllers/kinds.ts';
import type { KubeClient } from '../../runtime/client.ts';
import { Informer } from '../../runtime/informer.ts';
import type { Kind, KubeObject } from '../../runtime/object.ts';
import { EVENT } from '../kinds.ts';
import { buildTree, type DeploymentTree } from './tree.ts';

export interface Scope {
  /** undefined: every namespace. */
  readonly namespace: string | undefined;
  /** undefined: every ModelDeployment, by itself and without what belongs to it. */
  readonly name: string | undefined;
}

interface Part {
  read(signal: AbortSignal): Promise<void>;
  follow(changed: () => void, signal: AbortSignal): Promise<void>;
}

/** Stores of all kinds that belong to the scope, and the trees that they make. */
export class Lens {
  readonly #client: KubeClient;
  readonly #log: Logger;
  readonly #scope: Scope;
  readonly #parts: Part[] = [];
  readonly #deployments;
  readonly #models;
  readonly #replicaSets;
  readonly #pods;
  readonly #events;

  /** `log` hears of watches that are interrupted. */
  constructor(client: KubeClient, scope: Scope, log: Logger) {
    this.#client = client;
    this.#log = log;
    this.#scope = scope;
    const whole = scope.name !== undefined;
    const children = `${LABEL.modelDeployment}=${scope.name}`;
    this.#deployments = this.#part(MODEL_DEPLOYMENT);
    this.#models = this.#part(DEEPFAKE_MODEL, whole);
    this.#replicaSets = this.#part(REPLICA_SET, whole, children);
    this.#pods = this.#part(POD, whole, children);
    this.#events = this.#part(EVENT, whole);
  }

  #part<T extends KubeObject>(kind: Kind<T>, wanted = true, labelSelector?: string) {
    const { namespace } = this.#scope;
    const client = this.#client;
    const options = labelSelector === undefined ? {} : { labelSelector };
    const namespaces = namespace === undefined ? [] : [namespace];
    const informer = new Informer({ client, kind, log: this.#log, namespaces, ...options });
    const { store } = informer;
    if (wanted) {
      this.#parts.push({
        read: async (signal) => {
          const query = { ...options, ...(namespace === undefined ? {} : { namespace }) };
          store.replace((await client.list(kind, query, signal)).items);
        },
        follow: (changed, signal) => {
          informer.onChange(changed);
          return informer.run(signal);
        },
      });
    }
    return store;
  }

  /** Lists everything once. @throws what the client throws */
  async read(signal: AbortSignal): Promise<void> {
    // One after the other: the first refusal is the one that is told, whatever the order of answers.
    for (const part of this.#parts) await part.read(signal);
  }

  /** Keeps everything fresh until the signal aborts; whatever fails meanwhile is tried again. */
  async follow(changed: () => void, signal: AbortSignal): Promise<void> {
    await Promise.all(this.#parts.map((part) => part.follow(changed, signal)));
  }

  /** By namespace and name. */
  trees(): DeploymentTree[] {
    const { name } = this.#scope;
    return this.#deployments
      .list()
      .filter(({ metadata }) => name === undefined || metadata.name === name)
      .map((deployment) =>
        buildTree({
          deployment,
          models: this.#models.list(),
          replicaSets: this.#replicaSets.list(),
          pods: this.#pods.list(),
          events: this.#events.list(),
        }),
      )
      .sort((a, b) => a.namespace.localeCompare(b.namespace) || a.name.localeCompare(b.name));
  }
}
