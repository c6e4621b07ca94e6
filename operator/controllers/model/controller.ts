/** DeepfakeModel: a claim, a fetch Job, and the verified package's description in status. */
import { isDeepStrictEqual } from 'node:util';
import {
  type DeepfakeModelSpec,
  type DeepfakeModelStatus,
  deepfakeModelSpec,
} from '../../api/deepfake-model.ts';
import { IN_USE_FINALIZER, LABEL, STATUS_FIELD_MANAGER } from '../../api/names.ts';
import type { KubeClient } from '../../runtime/client.ts';
import type { Clock } from '../../runtime/clock.ts';
import { findCondition, mergeConditions, replaceConditions } from '../../runtime/conditions.ts';
import { isNotFound } from '../../runtime/errors.ts';
import type { EventRecorder } from '../../runtime/events.ts';
import { addFinalizer, hasFinalizer, removeFinalizer } from '../../runtime/finalizers.ts';
import {
  controllerReference,
  isControlledBy,
  type KubeObject,
  keyText,
  type ObjectKey,
} from '../../runtime/object.ts';
import type { ReconcileContext, Reconciler, Result } from '../../runtime/reconciler.ts';
import type { Store } from '../../runtime/store.ts';
import { type ChildContext, ensureChild } from '../children.ts';
import {
  DEEPFAKE_MODEL,
  type DeepfakeModel,
  JOB,
  type Job,
  type ModelDeployment,
  type PersistentVolumeClaim,
  type Pod,
  PVC,
} from '../kinds.ts';
import { type InferenceImage, podProblem } from '../pods.ts';
import { CHILD_REJECTED, invalidSpec, type Problem, parseSpec } from '../problems.ts';
import { fetchOutcome } from './fetch-outcome.ts';
import { claimOf, desiredClaim, desiredJob, fetchId, jobName, type ModelClaim } from './fetch-plan.ts';
import { currentAttempt, DEFAULT_RETRY, type FetchStep, nextFetch, type RetryPolicy } from './fetch-state.ts';
import { type Artifact, artifactOf, heldCondition, summarize } from './status.ts';

/** Index of jobs and pods by the model that they fetch, and of deployments by the models that they serve. */
export const BY_MODEL = 'by-model';
export const modelKeyOfChild = ({ metadata }: KubeObject): string[] => {
  const name = metadata.labels?.[LABEL.model];
  return name === undefined ? [] : [keyText({ namespace: metadata.namespace ?? '', name })];
};
export const modelKeysOfDeployment = ({ metadata, spec }: ModelDeployment): string[] =>
  spec.models.map(({ name }) => keyText({ namespace: metadata.namespace ?? '', name }));

export interface ModelReconcilerOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly events: EventRecorder;
  readonly image: InferenceImage;
  readonly models: Store<DeepfakeModel>;
  /** Indexed by BY_MODEL. */
  readonly deployments: Store<ModelDeployment>;
  readonly claims: Store<PersistentVolumeClaim>;
  /** Indexed by BY_MODEL. */
  readonly jobs: Store<Job>;
  /** Indexed by BY_MODEL. */
  readonly pods: Store<Pod>;
  readonly retry?: RetryPolicy;
}

/** How long to wait for a finished Job's pod to show up with its result, ms. */
const RESULT_PATIENCE_MS = 30_000;

interface Pass {
  readonly model: DeepfakeModel;
  readonly spec: DeepfakeModelSpec;
  readonly claim: ModelClaim;
  /** A ModelDeployment names the model. */
  readonly used: boolean;
  readonly signal: AbortSignal;
  readonly context: ChildContext;
}

interface ClaimOutcome {
  readonly uid?: string;
  /** There is no claim to work with. */
  readonly problem?: Problem;
  /** The claim stays as it was: the API server refused its new size. */
  readonly refused?: Problem;
}

export class ModelReconciler implements Reconciler {
  readonly #options: ModelReconcilerOptions;

  constructor(options: ModelReconcilerOptions) {
    this.#options = options;
  }

  async reconcile(key: ObjectKey, { signal, log }: ReconcileContext): Promise<Result> {
    const { client, models } = this.#options;
    const model = models.get(key);
    if (!model) return {};
    const users = this.#usersOf(key);
    const used = users.length > 0;
    if (model.metadata.deletionTimestamp !== undefined) {
      await (used ? this.#writeHeld(model, users, signal) : this.#letGo(model, signal));
      return {};
    }
    if (used) await addFinalizer(client, DEEPFAKE_MODEL, model, IN_USE_FINALIZER, signal);
    const spec = await this.#specOf(model, signal);
    const context = { client, owner: model, signal, log };
    const pass: Pass = { model, spec, claim: claimOf(key.name, spec), used, signal, context };
    return await this.#fetch(pass);
  }

  async #specOf(model: DeepfakeModel, signal: AbortSignal): Promise<DeepfakeModelSpec> {
    try {
      return parseSpec(deepfakeModelSpec, model.spec);
    } catch (error) {
      const problem = invalidSpec(error);
      const generation = model.metadata.generation ?? 0;
      const ready = { type: 'Ready', status: 'False', ...problem } as const;
      const now = this.#options.clock.now();
      const status: DeepfakeModelStatus = {
        ...model.status,
        observedGeneration: generation,
        phase: 'Failed',
        message: problem.message,
        conditions: replaceConditions(model.status?.conditions, [ready], generation, now),
      };
      await this.#applyStatus(model, status, signal);
      throw error;
    }
  }

  async #fetch(pass: Pass): Promise<Result> {
    const claim = await this.#ensureClaim(pass);
    const { model, used, signal } = pass;
    // Only now: from here on the claim goes with the model again.
    if (!used) await removeFinalizer(this.#options.client, DEEPFAKE_MODEL, model, IN_USE_FINALIZER, signal);
    if (claim.problem) {
      await this.#writeStatus(pass, {
        blocked: claim.problem,
        artifact: artifactOf(pass.model.status),
      });
      return { requeueAfterMs: 30_000 };
    }
    const step = this.#nextStep(pass, claim.uid);
    const attemptJob = jobName(pass.model.metadata.name, step.state.id, step.state.attempts);
    let blocked: Problem | undefined;
    if (step.start) blocked = await this.#startJob(pass, step);
    await this.#deleteOtherJobs(pass, attemptJob);
    const artifact = this.#artifact(pass, step, claim.uid);
    await this.#writeStatus(pass, { step, blocked, artifact, refused: claim.refused });
    return blocked
      ? { requeueAfterMs: 30_000 }
      : step.requeueAfterMs === undefined
        ? {}
        : { requeueAfterMs: step.requeueAfterMs };
  }

  #usersOf(key: ObjectKey): string[] {
    return this.#options.deployments
      .byIndex(BY_MODEL, keyText(key))
      .map(({ metadata }) => metadata.name)
      .sort();
  }

  async #ensureClaim({ model, spec, claim, used, context }: Pass): Promise<ClaimOutcome> {
    if (!claim.own) return {};
    const isOurs = (live: PersistentVolumeClaim) =>
      isControlledBy(live, model) ||
      (live.metadata.ownerReferences === undefined &&
        live.metadata.labels?.[LABEL.model] === model.metadata.name);
    const { claims } = this.#options;
    const ensure = (asked: DeepfakeModelSpec) =>
      ensureChild(context, PVC, claims, desiredClaim(model, asked, claim, used), isOurs);
    const asked = await ensure(spec);
    const size = claims.get({ namespace: model.metadata.namespace ?? '', name: claim.name })?.spec?.resources
      ?.requests?.['storage'];
    const refused =
      asked.problem?.reason === CHILD_REJECTED && size !== undefined ? asked.problem : undefined;
    // A volume that cannot grow is no reason to stop fetching onto it.
    const { live, problem } = refused
      ? await ensure({ ...spec, storage: { pvc: { ...spec.storage?.pvc, size } } })
      : asked;
    if (problem) return { problem };
    const uid = live?.metadata.uid;
    return { ...(uid === undefined ? {} : { uid }), ...(refused ? { refused } : {}) };
  }

  #nextStep({ model, spec, claim }: Pass, claimUid: string | undefined): FetchStep {
    const { clock, image, jobs, retry = DEFAULT_RETRY } = this.#options;
    const previous = model.status?.fetch;
    const id = fetchId(spec, claim, claimUid, image);
    const name = jobName(model.metadata.name, id, currentAttempt(previous, id));
    const job = jobs.get({ namespace: model.metadata.namespace ?? '', name });
    const outcome = job && fetchOutcome(job, this.#podsOf(job), spec, this.#patienceOver(job));
    return nextFetch(previous, id, outcome, clock.now(), retry);
  }

  #podsOf(job: Job): Pod[] {
    const keys = modelKeyOfChild(job);
    return keys
      .flatMap((key) => this.#options.pods.byIndex(BY_MODEL, key))
      .filter((pod) => isControlledBy(pod, job));
  }

  #patienceOver(job: Job): boolean {
    const ended = job.status?.conditions?.find(({ status }) => status === 'True')?.lastTransitionTime;
    return ended !== undefined && this.#options.clock.now() - Date.parse(String(ended)) > RESULT_PATIENCE_MS;
  }

  async #startJob({ model, spec, claim, context }: Pass, { state }: FetchStep): Promise<Problem | undefined> {
    const { jobs, image } = this.#options;
    const desired = desiredJob(model, spec, { claim, id: state.id, attempt: state.attempts, image });
    return (await ensureChild(context, JOB, jobs, desired)).problem;
  }

  /** Earlier attempts and fetches of an earlier spec. */
  async #deleteOtherJobs({ model, signal }: Pass, keep: string): Promise<void> {
    const key = keyText({ namespace: model.metadata.namespace ?? '', name: model.metadata.name });
    const others = this.#options.jobs
      .byIndex(BY_MODEL, key)
      .filter((job) => isControlledBy(job, model) && job.metadata.name !== keep)
      .filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    for (const { metadata } of others) {
      await this.#options.client.delete(JOB, metadata, {
        ...(metadata.uid ? { uid: metadata.uid } : {}),
        signal,
      });
    }
  }

  /** The new package, or the one served so far unless its claim was made anew. */
  #artifact({ model, spec, claim }: Pass, { result }: FetchStep, claimUid?: string): Artifact | undefined {
    if (result) {
      const { digest, sizeBytes, card } = result;
      const path = spec.source.pvc?.path ?? digest.replace(':', '-');
      const pvc = { claimName: claim.name, path, ...(claimUid ? { uid: claimUid } : {}) };
      return { digest, sizeBytes, card, pvc };
    }
    const kept = artifactOf(model.status);
    const lost = kept?.pvc.claimName === claim.name && kept.pvc.uid !== claimUid;
    return lost ? undefined : kept;
  }

  async #writeStatus(
    { model, signal }: Pass,
    {
      step,
      blocked,
      artifact,
      refused,
    }: {
      step?: FetchStep;
      blocked?: Problem | undefined;
      artifact: Artifact | undefined;
      refused?: Problem | undefined;
    },
  ): Promise<void> {
    const { clock, pods } = this.#options;
    const key = keyText({ namespace: model.metadata.namespace ?? '', name: model.metadata.name });
    const current = pods
      .byIndex(BY_MODEL, key)
      .filter(({ metadata }) => step && metadata.labels?.[LABEL.fetch] === step.state.id);
    const fetch = step?.state ?? model.status?.fetch;
    const { conditions, ...summary } = summarize({
      fetch,
      artifact,
      blocked,
      refused,
      pending: podProblem(current),
      podRunning: current.some(({ status }) => status?.phase === 'Running' || status?.phase === 'Succeeded'),
    });
    const generation = model.metadata.generation ?? 0;
    const status: DeepfakeModelStatus = {
      observedGeneration: generation,
      ...summary,
      ...artifact,
      ...(fetch ? { fetch } : {}),
      conditions: mergeConditions(model.status?.conditions, conditions, generation, clock.now()),
    };
    this.#recordEvents(model, status);
    await this.#applyStatus(model, status, signal);
  }

  /** A deleted model that is still served says only that: its volume stays as it is, and nothing is made anew. */
  async #writeHeld(model: DeepfakeModel, users: readonly string[], signal: AbortSignal): Promise<void> {
    const { clock, events } = this.#options;
    const held = heldCondition(users);
    const { conditions: before = [] } = model.status ?? {};
    const generation = model.metadata.generation ?? 0;
    const status: DeepfakeModelStatus = {
      ...model.status,
      observedGeneration: generation,
      message: held.message,
      conditions: replaceConditions(before, [held], generation, clock.now()),
    };
    if (findCondition(before, held.type)?.message !== held.message) {
      const { reason, message: note } = held;
      events.record(DEEPFAKE_MODEL, model, { type: 'Warning', reason, action: 'Delete', note });
    }
    await this.#applyStatus(model, status, signal);
  }

  /** Lets a deleted model go, and its claim with it. */
  async #letGo(model: DeepfakeModel, signal: AbortSignal): Promise<void> {
    if (!hasFinalizer(model, IN_USE_FINALIZER)) return;
    const { client } = this.#options;
    const { namespace = '', name } = model.metadata;
    const claim = claimOf(name, model.spec);
    const key = { namespace, name: claim.name };
    const goes = claim.own && !model.spec.storage?.pvc?.retain;
    const live = goes ? await client.find(PVC, key, signal) : undefined;
    if (live?.metadata.ownerReferences === undefined && live?.metadata.labels?.[LABEL.model] === name) {
      const { resourceVersion } = live.metadata;
      const metadata = { resourceVersion, ownerReferences: [controllerReference(DEEPFAKE_MODEL, model)] };
      await client.patch(PVC, key, { metadata }, { signal });
    }
    await removeFinalizer(client, DEEPFAKE_MODEL, model, IN_USE_FINALIZER, signal);
  }

  async #applyStatus(model: DeepfakeModel, status: DeepfakeModelStatus, signal: AbortSignal): Promise<void> {
    const { client } = this.#options;
    if (isDeepStrictEqual(status, model.status)) return;
    const { name, namespace = '' } = model.metadata;
    const body = {
      apiVersion: DEEPFAKE_MODEL.apiVersion,
      kind: DEEPFAKE_MODEL.kind,
      metadata: { name, namespace },
      status,
    };
    try {
      await client.applyStatus(DEEPFAKE_MODEL, body, { fieldManager: STATUS_FIELD_MANAGER, signal });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  #recordEvents(model: DeepfakeModel, status: DeepfakeModelStatus): void {
    const { events } = this.#options;
    const refused = findCondition(status.conditions, 'ClaimResized');
    if (refused && refused.message !== findCondition(model.status?.conditions, 'ClaimResized')?.message) {
      const { reason, message: note } = refused;
      events.record(DEEPFAKE_MODEL, model, { type: 'Warning', reason, action: 'ResizeClaim', note });
    }
    const before = model.status?.fetch;
    const { fetch, message = '' } = status;
    if (fetch && (fetch.phase !== before?.phase || fetch.id !== before.id)) {
      if (fetch.phase === 'Succeeded') {
        events.record(DEEPFAKE_MODEL, model, {
          type: 'Normal',
          reason: 'Verified',
          action: 'Fetch',
          note: message,
        });
      } else if (fetch.phase === 'Failed') {
        const { reason = 'FetchFailed', message: note = '' } = fetch;
        events.record(DEEPFAKE_MODEL, model, { type: 'Warning', reason, action: 'Fetch', note });
      }
    }
  }
}
