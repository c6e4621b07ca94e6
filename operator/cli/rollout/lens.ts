/** What `rollout get` looks at in the cluster: read once, or followed by watches. */
import type { Logger } from 'pino';
import { LABEL } from '../../api/names.ts';
import { DEPLOYMENT, MODEL_DEPLOYMENT, POD } from '../../controllers/kinds.ts';
import type { KubeClient, Reference } from '../../runtime/client.ts';
import { noDeployment } from '../errors.ts';
import { Stores } from '../stores.ts';
import { type RolloutView, viewOf } from './view.ts';

export class RolloutLens extends Stores {
  readonly #ref: Reference;
  readonly #owners;
  readonly #deployments;
  readonly #pods;

  /** `log` hears of watches that are interrupted. */
  constructor(client: KubeClient, ref: Reference, log: Logger) {
    super(client, ref.namespace, log);
    this.#ref = ref;
    const children = `${LABEL.modelDeployment}=${ref.name}`;
    this.#owners = this.of(MODEL_DEPLOYMENT);
    this.#deployments = this.of(DEPLOYMENT, true, children);
    this.#pods = this.of(POD, true, children);
  }

  /** @throws CommandError where there is none of that name */
  view(): RolloutView {
    const { name, namespace } = this.#ref;
    const deployment = this.#owners.list().find(({ metadata }) => metadata.name === name);
    if (!deployment) throw noDeployment(name, namespace);
    return viewOf({ deployment, deployments: this.#deployments.list(), pods: this.#pods.list() });
  }
}
