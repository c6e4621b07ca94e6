/** Removes claims of packages that no model wants any more and no pod mounts. */
import { LABEL, MANAGED_SELECTOR } from '../../api/names.ts';
import type { KubeClient } from '../../runtime/client.ts';
import { keyText, type ObjectKey } from '../../runtime/object.ts';
import type { ReconcileContext, Reconciler, Result } from '../../runtime/reconciler.ts';
import type { Store } from '../../runtime/store.ts';
import {
  type DeepfakeModel,
  type Deployment,
  type PersistentVolumeClaim,
  type Pod,
  PVC,
  REPLICA_SET,
} from '../kinds.ts';
import { living } from '../pods.ts';
import { MODEL_APP_NAME } from './claim-plan.ts';
import { BY_CLAIM, claimsIn } from './indexes.ts';

export interface ClaimCollectorOptions {
  readonly client: KubeClient;
  readonly claims: Store<PersistentVolumeClaim>;
  /** These three are indexed by BY_CLAIM. */
  readonly models: Store<DeepfakeModel>;
  readonly workloads: Store<Deployment>;
  readonly pods: Store<Pod>;
}

/** ReplicaSets are not watched: while one may make pods that mount the claim, it is looked at again after this long, ms. */
const HELD_MS = 30_000;

/**
 * Owner references take a claim away with its models; this takes it away when its models want another one. It has to outlast the
 * pods and the pod templates that mount it: a rollout that is not over may make such a pod again.
 */
export class ClaimCollector implements Reconciler {
  readonly #options: ClaimCollectorOptions;

  constructor(options: ClaimCollectorOptions) {
    this.#options = options;
  }

  async reconcile(key: ObjectKey, { signal, log }: ReconcileContext): Promise<Result> {
    const { client, claims, models, workloads, pods } = this.#options;
    const claim = claims.get(key);
    const uid = claim?.metadata.uid;
    if (!claim || uid === undefined) return {};
    const index = keyText(key);
    const wanted = models.byIndex(BY_CLAIM, index).length > 0;
    const mounted =
      workloads.byIndex(BY_CLAIM, index).length > 0 || living(pods.byIndex(BY_CLAIM, index)).length > 0;
    if (!isCollectable(claim, { wanted, mounted })) return {};
    if (await this.#mayBeMountedAgain(key, signal)) return { requeueAfterMs: HELD_MS };
    await client.delete(PVC, key, { uid, signal });
    log.info({ claim: key.name }, 'claim collected: no model wants its package any more');
    return {};
  }

  /** An older ReplicaSet of a rollout makes another pod at once for one that ended: between the two nothing mounts the claim. */
  async #mayBeMountedAgain({ namespace, name }: ObjectKey, signal: AbortSignal): Promise<boolean> {
    const query = { namespace, labelSelector: MANAGED_SELECTOR };
    const { items } = await this.#options.client.list(REPLICA_SET, query, signal);
    return items.some(
      ({ spec }) => spec?.replicas !== 0 && claimsIn(spec?.template?.spec?.volumes).has(name),
    );
  }
}

export function isCollectable(
  { metadata: { labels, deletionTimestamp } }: PersistentVolumeClaim,
  { wanted, mounted }: { readonly wanted: boolean; readonly mounted: boolean },
): boolean {
  const ours = labels?.[LABEL.name] === MODEL_APP_NAME;
  const retained = labels?.[LABEL.retain] === 'true';
  return ours && !retained && deletionTimestamp === undefined && !wanted && !mounted;
}
