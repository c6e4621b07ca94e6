/** Removes claims of packages that no model wants any more and no pod mounts. */
import { LABEL } from '../../api/names.ts';
import type { KubeClient } from '../../runtime/client.ts';
import { keyText, type ObjectKey } from '../../runtime/object.ts';
import type { ReconcileContext, Reconciler, Result } from '../../runtime/reconciler.ts';
import type { Store } from '../../runtime/store.ts';
import { type DeepfakeModel, type Deployment, type PersistentVolumeClaim, type Pod, PVC } from '../kinds.ts';
import { living } from '../pods.ts';
import { MODEL_APP_NAME } from './claim-plan.ts';
import { BY_CLAIM } from './indexes.ts';

export interface ClaimCollectorOptions {
  readonly client: KubeClient;
  readonly claims: Store<PersistentVolumeClaim>;
  /** These three are indexed by BY_CLAIM. */
  readonly models: Store<DeepfakeModel>;
  readonly workloads: Store<Deployment>;
  readonly pods: Store<Pod>;
}

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
    await client.delete(PVC, key, { uid, signal });
    log.info({ claim: key.name }, 'claim collected: no model wants its package any more');
    return {};
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
