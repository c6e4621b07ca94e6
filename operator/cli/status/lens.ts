/** What `status` looks at in the cluster: read once, or followed by watches. */
import type { Logger } from 'pino';
import { LABEL } from '../../api/names.ts';
import { DEEPFAKE_MODEL, MODEL_DEPLOYMENT, POD, REPLICA_SET } from '../../controllers/kinds.ts';
import type { KubeClient } from '../../runtime/client.ts';
import { EVENT } from '../kinds.ts';
import { Stores } from '../stores.ts';
import { buildTree, type DeploymentTree } from './tree.ts';

export interface Scope {
  /** undefined: every namespace. */
  readonly namespace: string | undefined;
  /** undefined: every ModelDeployment, by itself and without what belongs to it. */
  readonly name: string | undefined;
}

/** Stores of all kinds that belong to the scope, and the trees that they make. */
export class Lens {
  readonly #scope: Scope;
  readonly #stores: Stores;
  readonly #deployments;
  readonly #models;
  readonly #replicaSets;
  readonly #pods;
  readonly #events;

  /** `log` hears of watches that are interrupted. */
  constructor(client: KubeClient, scope: Scope, log: Logger) {
    this.#scope = scope;
    this.#stores = new Stores(client, scope.namespace, log);
    const whole = scope.name !== undefined;
    const children = `${LABEL.modelDeployment}=${scope.name}`;
    this.#deployments = this.#stores.of(MODEL_DEPLOYMENT);
    this.#models = this.#stores.of(DEEPFAKE_MODEL, whole);
    this.#replicaSets = this.#stores.of(REPLICA_SET, whole, children);
    this.#pods = this.#stores.of(POD, whole, children);
    this.#events = this.#stores.of(EVENT, whole);
  }

  /** Lists everything once. @throws what the client throws */
  read(signal: AbortSignal): Promise<void> {
    return this.#stores.read(signal);
  }

  /** Keeps everything fresh until the signal aborts; whatever fails meanwhile is tried again. */
  follow(changed: () => void, signal: AbortSignal): Promise<void> {
    return this.#stores.follow(changed, signal);
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
