/** DeepfakeModel: a claim, a fetch Job, and the verified package's description in status. */
import { isDeepStrictEqual } from 'node:util';
import { type DeepfakeModelSpec, deepfakeModelSpec } from '../../api/deepfake-model.ts';
import { IN_USE_FINALIZER } from '../../api/names.ts';
import type { KubeClient } from '../../runtime/client.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { EventRecorder } from '../../runtime/events.ts';
import { addFinalizer, removeFinalizer } from '../../runtime/finalizers.ts';
import { keyOf, keyText, type ObjectKey } from '../../runtime/object.ts';
import type { ReconcileContext, Reconciler, Result } from '../../runtime/reconciler.ts';
import type { Store } from '../../runtime/store.ts';
import {
  DEEPFAKE_MODEL,
  type DeepfakeModel,
  type Job,
  type ModelDeployment,
  type PersistentVolumeClaim,
  type Pod,
} from '../kinds.ts';
import type { InferenceImage } from '../pods.ts';
import { invalidSpec, type Problem, parseSpec } from '../problems.ts';
import { Attempts, type UsableClaim } from './attempts.ts';
import { ClaimKeeper } from './claim-keeper.ts';
import { claimOf, type ModelClaim, type Sharer } from './claim-plan.ts';
import { DEFAULT_RETRY, dueNow, type FetchStep, type RetryPolicy } from './fetch-state.ts';
import { BY_CLAIM, BY_MODEL } from './indexes.ts';
import { isEdited, type ModelPass } from './pass.ts';
import { type ReadProgress, readProgress } from './progress.ts';
import { Reporter } from './reporter.ts';
import { type Artifact, artifactOf } from './status.ts';

export interface ModelReconcilerOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly events: EventRecorder;
  readonly image: InferenceImage;
  /** Indexed by BY_CLAIM. */
  readonly models: Store<DeepfakeModel>;
  /** Indexed by BY_MODEL. */
  readonly deployments: Store<ModelDeployment>;
  readonly claims: Store<PersistentVolumeClaim>;
  /** Indexed by BY_MODEL. */
  readonly jobs: Store<Job>;
  /** Indexed by BY_MODEL and BY_DAMAGED_MODEL. */
  readonly pods: Store<Pod>;
  readonly retry?: RetryPolicy;
  readonly readProgress?: ReadProgress;
  /** Between two questions to a fetch pod how far it is, ms (default 5,000). */
  readonly progressMs?: number;
}

/** What only a person or another controller can mend is looked at again after this long, ms. */
const BLOCKED_MS = 30_000;

export class ModelReconciler implements Reconciler {
  readonly #options: ModelReconcilerOptions;
  readonly #claims: ClaimKeeper;
  readonly #attempts: Attempts;
  readonly #reporter: Reporter;

  constructor(options: ModelReconcilerOptions) {
    this.#options = options;
    this.#claims = new ClaimKeeper(options);
    this.#attempts = new Attempts({ retry: DEFAULT_RETRY, readProgress, progressMs: 5_000, ...options });
    this.#reporter = new Reporter(options);
  }

  async reconcile(key: ObjectKey, { signal, log }: ReconcileContext): Promise<Result> {
    const { client, models } = this.#options;
    const cached = models.get(key);
    if (!cached) return {};
    const users = this.#usersOf(key);
    if (cached.metadata.deletionTimestamp !== undefined) {
      // Its claim goes with it, or once nobody mounts it any more: see ClaimCollector.
      if (users.length === 0) await removeFinalizer(client, DEEPFAKE_MODEL, cached, IN_USE_FINALIZER, signal);
      else await this.#reporter.reportHeld(cached, users, signal);
      return {};
    }
    const model =
      users.length > 0
        ? await addFinalizer(client, DEEPFAKE_MODEL, cached, IN_USE_FINALIZER, signal)
        : cached;
    const spec = await this.#specOf(model, signal);
    const claim = claimOf(key.name, spec);
    const sharers = this.#sharersOf(model, key.namespace, claim);
    return this.#advance({ model, namespace: key.namespace, spec, claim, users, sharers, signal, log });
  }

  #usersOf({ namespace, name }: ObjectKey): string[] {
    return this.#options.deployments
      .byIndex(BY_MODEL, keyText({ namespace, name }))
      .map(({ metadata }) => metadata.name)
      .sort();
  }

  #sharersOf(model: DeepfakeModel, namespace: string, claim: ModelClaim): [Sharer, ...Sharer[]] {
    const asSharer = (sharer: DeepfakeModel): Sharer => ({
      model: sharer,
      used: this.#usersOf({ namespace, name: sharer.metadata.name }).length > 0,
    });
    const others = this.#options.models
      .byIndex(BY_CLAIM, keyText({ namespace, name: claim.name }))
      .filter((other) => other.metadata.uid !== model.metadata.uid)
      .filter((other) => isDeepStrictEqual(claimOf(other.metadata.name, other.spec), claim));
    return [asSharer(model), ...others.map(asSharer)];
  }

  async #specOf(model: DeepfakeModel, signal: AbortSignal): Promise<DeepfakeModelSpec> {
    try {
      return parseSpec(deepfakeModelSpec, model.spec);
    } catch (error) {
      await this.#reporter.reportInvalid(model, invalidSpec(error), signal);
      throw error;
    }
  }

  async #advance(begun: ModelPass): Promise<Result> {
    const dormant = this.#isDormant(begun);
    const claim = dormant ? { waiting: NOT_USED } : await this.#claims.ensure(begun);
    const model = await this.#release(begun);
    const pass = { ...begun, model };
    if ('accessMode' in claim) return this.#fetch(pass, claim);
    const [blocked, waiting] = 'problem' in claim ? [claim.problem] : [undefined, claim.waiting];
    const before = model.status?.fetch;
    const fetch = before && isEdited(model) ? dueNow(before, this.#options.clock.now()) : before;
    const artifact = this.#artifact(pass);
    await this.#reporter.report(pass, { fetch, artifact, blocked, waiting, podRunning: false });
    return blocked ? { requeueAfterMs: BLOCKED_MS } : {};
  }

  /** Only once the claim was made to go with the model again. A user may have come while it was. */
  async #release({ model, users, signal }: ModelPass): Promise<DeepfakeModel> {
    if (users.length > 0 || this.#usersOf(keyOf(model)).length > 0) return model;
    return removeFinalizer(this.#options.client, DEEPFAKE_MODEL, model, IN_USE_FINALIZER, signal);
  }

  /** Nothing is begun for a model on demand that nobody uses; what was begun goes on. */
  #isDormant(pass: ModelPass): boolean {
    const { model, spec, claim, namespace, users } = pass;
    if (spec.fetch?.policy !== 'OnDemand' || users.length > 0) return false;
    const live = this.#options.claims.get({ namespace, name: claim.name });
    return model.status?.fetch?.id !== this.#attempts.idOf(pass, live?.metadata.uid);
  }

  async #fetch(pass: ModelPass, claim: UsableClaim & { readonly refused?: Problem }): Promise<Result> {
    const kept = this.#artifact(pass, claim);
    const standing = await this.#attempts.look(pass, claim, kept);
    const { step, turn, pending, podRunning } = standing;
    const { state: fetch } = step;
    // Before: an attempt that replaces one which never ran must not run beside it.
    await this.#attempts.clear(pass, this.#attempts.idOf(pass, claim.uid), fetch);
    const blocked =
      step.start && fetch
        ? await this.#attempts.start(pass, fetch, { ...claim, name: pass.claim.name }, turn)
        : undefined;
    await this.#reporter.report(pass, {
      fetch,
      artifact: step.result ? verified(pass, step.result, claim) : kept,
      blocked,
      waiting: step.waits && turn.waitsFor ? waitsFor(turn.waitsFor, pass.claim.name) : undefined,
      damage: step.damage,
      pending,
      podRunning,
      refused: claim.refused,
    });
    if (blocked) return { requeueAfterMs: BLOCKED_MS };
    const { requeueAfterMs } = standing;
    return requeueAfterMs === undefined ? {} : { requeueAfterMs };
  }

  /** The package served so far, unless its claim is gone or was made anew. */
  #artifact({ model, claim, namespace }: ModelPass, live?: UsableClaim): Artifact | undefined {
    const kept = artifactOf(model.status);
    if (!kept) return undefined;
    const current = kept.pvc.claimName === claim.name ? live : undefined;
    const store = this.#options.claims.get({ namespace, name: kept.pvc.claimName });
    const uid = current ? current.uid : store?.metadata.uid;
    if (kept.pvc.uid !== undefined && kept.pvc.uid !== uid) return undefined;
    return current ? { ...kept, pvc: { ...kept.pvc, accessMode: current.accessMode } } : kept;
  }
}

const NOT_USED: Problem = {
  reason: 'NotUsed',
  message: 'fetched once a ModelDeployment names it (spec.fetch.policy is OnDemand)',
};

const waitsFor = (model: string, claimName: string): Problem => ({
  reason: 'WaitsForModel',
  message: `DeepfakeModel ${model} fetches the same package onto PersistentVolumeClaim ${claimName}; it is read from there then`,
});

function verified(
  { spec, claim }: ModelPass,
  { digest, sizeBytes, card }: NonNullable<FetchStep['result']>,
  { accessMode, uid }: UsableClaim,
): Artifact {
  const path = spec.source.pvc?.path ?? digest.replace(':', '-');
  const pvc = { claimName: claim.name, path, ...(uid ? { uid } : {}), accessMode };
  return { digest, sizeBytes, card, pvc };
}
