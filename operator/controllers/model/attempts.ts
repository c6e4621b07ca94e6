/** Runs fetch attempts: looks at the Job of the current one, begins the next, and clears away the others. */

import { isDeepStrictEqual } from 'node:util';
import type { KubeClient } from '../../runtime/client.ts';
import type { Clock } from '../../runtime/clock.ts';
import { isConflict } from '../../runtime/errors.ts';
import { EVENT } from '../../runtime/events.ts';
import { isControlledBy, keyText } from '../../runtime/object.ts';
import type { Store } from '../../runtime/store.ts';
import type { AccessMode } from '../claims.ts';
import { DEEPFAKE_MODEL, JOB, type Job, type PersistentVolumeClaim, type Pod } from '../kinds.ts';
import { type InferenceImage, podProblem } from '../pods.ts';
import { conflict, type Problem, refused } from '../problems.ts';
import { complaintOf, stuckObject } from './complaints.ts';
import { fetchOutcome } from './fetch-outcome.ts';
import { fetchId, jobName } from './fetch-plan.ts';
import {
  currentAttempt,
  type FetchState,
  type FetchStep,
  nextFetch,
  type RetryPolicy,
} from './fetch-state.ts';
import { BY_MODEL, modelKeyOfChild } from './indexes.ts';
import { desiredJob, type FetchMode } from './job.ts';
import { isEdited, type ModelPass } from './pass.ts';
import { ProgressBoard, type ReadProgress, withProgress } from './progress.ts';
import { BY_DAMAGED_MODEL, damageOf } from './repair.ts';
import { type OtherSharer, type Turn, turnOf } from './sharing.ts';
import type { Artifact } from './status.ts';

/** A claim that an attempt can work with. */
export interface UsableClaim {
  readonly accessMode: AccessMode;
  readonly uid?: string;
  readonly maxBytes?: number;
}

export interface AttemptsOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly image: InferenceImage;
  readonly claims: Store<PersistentVolumeClaim>;
  /** Indexed by BY_MODEL. */
  readonly jobs: Store<Job>;
  /** Indexed by BY_MODEL and BY_DAMAGED_MODEL. */
  readonly pods: Store<Pod>;
  readonly retry: RetryPolicy;
  readonly readProgress: ReadProgress;
  /** Between two questions to a pod how far it is, ms. */
  readonly progressMs: number;
}

/** Where the fetch of a model stands, and what holds it up. */
export interface Standing {
  readonly step: FetchStep;
  readonly turn: Turn;
  readonly pending?: Problem | undefined;
  readonly podRunning: boolean;
  readonly requeueAfterMs?: number | undefined;
}

/** A complaint is asked for again this often while it holds, ms. */
const COMPLAINT_MS = 30_000;

export class Attempts {
  readonly #options: AttemptsOptions;
  readonly #board: ProgressBoard;

  constructor(options: AttemptsOptions) {
    this.#options = options;
    this.#board = new ProgressBoard(options.readProgress);
  }

  idOf({ spec, claim }: ModelPass, claimUid: string | undefined): string {
    return fetchId(spec, claim, claimUid, this.#options.image);
  }

  /**
   * Where an attempt would begin, by the status as it is and not as it is cached: to a cache that has not heard of the next attempt,
   * the Job of the last one has vanished and would be made again beside that of the next.
   */
  async look(pass: ModelPass, claim: UsableClaim, artifact: Artifact | undefined): Promise<Standing> {
    const { model, signal } = pass;
    const standing = await this.#standing(pass, claim, artifact);
    if (!standing.step.start || model.status?.fetch === undefined) return standing;
    const latest = await this.#options.client.find(DEEPFAKE_MODEL, model.metadata, signal);
    const isNews =
      latest?.metadata.uid === model.metadata.uid &&
      !isDeepStrictEqual(latest?.status?.fetch, model.status.fetch);
    return latest && isNews ? this.#standing({ ...pass, model: latest }, claim, artifact) : standing;
  }

  async #standing(pass: ModelPass, claim: UsableClaim, artifact: Artifact | undefined): Promise<Standing> {
    const { model, spec, namespace } = pass;
    const { clock, jobs, retry } = this.#options;
    const nowMs = clock.now();
    const id = this.idOf(pass, claim.uid);
    const others = this.#others(pass, claim.uid);
    const turn = turnOf(model, others, claim.uid);
    const previous = model.status?.fetch;
    const name = jobName(model.metadata.name, id, currentAttempt(previous, id));
    const found = jobs.get({ namespace, name });
    // One of that name may be left of a former model of this name.
    const job = found && isControlledBy(found, model) ? found : undefined;
    const pods = job ? this.#podsOf(job) : [];
    const outcome = job && fetchOutcome({ job, pods, spec, accessMode: claim.accessMode, nowMs });
    const damage = artifact && this.#damage(pass, artifact, others);
    const step = nextFetch({
      previous,
      id,
      outcome,
      damage,
      edited: isEdited(model),
      idle: pods.every(({ status }) => status?.phase === undefined || status.phase === 'Pending'),
      mayBegin: turn.waitsFor === undefined,
      nowMs,
      policy: retry,
    });
    const runs = step.state?.phase === 'Running' && !step.start;
    if (!job || !runs) return { step, turn, podRunning: false, requeueAfterMs: step.requeueAfterMs };
    const held = outcome?.state === 'running' ? outcome.problem : undefined;
    const complaint = await this.#complaint(pass, job, pods);
    const progressed = this.#progress(step, pods);
    return {
      ...progressed,
      turn,
      pending: complaint.problem ?? held ?? podProblem(pods),
      requeueAfterMs: soonest(step.requeueAfterMs, complaint.requeueAfterMs, progressed.requeueAfterMs),
    };
  }

  /** The problem that keeps the attempt's Job from being made, if there is one. */
  async start(
    { model, spec, signal, log }: ModelPass,
    state: FetchState,
    claim: UsableClaim & { readonly name: string },
    turn: Turn,
  ): Promise<Problem | undefined> {
    const plan = desiredJob(model, spec, {
      id: state.id,
      number: state.attempts,
      mode: modeOf(state, turn),
      claimName: claim.name,
      accessMode: claim.accessMode,
      maxBytes: claim.maxBytes,
      image: this.#options.image,
    });
    if ('problem' in plan) return plan.problem;
    const { client } = this.#options;
    const { name } = plan.job.metadata;
    try {
      await client.create(JOB, plan.job, signal);
      log.info({ kind: JOB.kind, child: name }, 'fetch begun');
      return undefined;
    } catch (error) {
      if (!isConflict(error)) return refused(JOB.kind, name, error);
    }
    // A pass that died after this very step has made it.
    const live = await client.find(JOB, plan.job.metadata, signal);
    return live && !isControlledBy(live, model) ? conflict(JOB.kind, name) : undefined;
  }

  /** Earlier attempts and fetches of an earlier spec. */
  async clear(
    { model, namespace, signal }: ModelPass,
    id: string,
    state: FetchState | undefined,
  ): Promise<void> {
    const { name } = model.metadata;
    const keep = state?.id === id ? jobName(name, id, state.attempts) : undefined;
    const others = this.#options.jobs
      .byIndex(BY_MODEL, keyText({ namespace, name }))
      .filter((job) => isControlledBy(job, model) && job.metadata.name !== keep)
      .filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    for (const { metadata } of others) {
      await this.#options.client.delete(JOB, metadata, {
        ...(metadata.uid ? { uid: metadata.uid } : {}),
        signal,
      });
    }
  }

  /** Those that want the same package on the same claim. A package that lies on the user's own volume is nobody else's. */
  #others({ spec, claim, sharers }: ModelPass, claimUid: string | undefined): OtherSharer[] {
    if (spec.source.pvc || spec.digest === undefined) return [];
    return sharers
      .slice(1)
      .filter(({ model }) => model.spec.digest === spec.digest && !model.spec.source.pvc)
      .map((sharer) => {
        const { spec: theirs, status } = sharer.model;
        const current = status?.fetch?.id === fetchId(theirs, claim, claimUid, this.#options.image);
        return { ...sharer, current };
      });
  }

  #podsOf(job: Job): Pod[] {
    return modelKeyOfChild(job)
      .flatMap((key) => this.#options.pods.byIndex(BY_MODEL, key))
      .filter((pod) => isControlledBy(pod, job));
  }

  #damage(
    { model, namespace }: ModelPass,
    artifact: Artifact,
    others: readonly OtherSharer[],
  ): Problem | undefined {
    const { name } = model.metadata;
    const found = this.#options.pods.byIndex(BY_DAMAGED_MODEL, keyText({ namespace, name }));
    const verifications = [model, ...others.map((other) => other.model)].flatMap(({ status }) =>
      status?.fetch?.phase === 'Succeeded' ? (status.fetch.completedAt ?? []) : [],
    );
    return damageOf(name, artifact, found, verifications.sort().at(-1));
  }

  async #complaint(
    { claim, namespace, signal }: ModelPass,
    job: Job,
    pods: readonly Pod[],
  ): Promise<{ problem?: Problem | undefined; requeueAfterMs?: number }> {
    const { client, clock, claims } = this.#options;
    const bound = claims.get({ namespace, name: claim.name });
    const stuck = stuckObject(job, pods, bound, clock.now());
    if (!stuck) return {};
    if (stuck.inMs > 0) return { requeueAfterMs: stuck.inMs };
    const fieldSelector = `regarding.kind=${stuck.kind},regarding.name=${stuck.object.metadata.name}`;
    const { items } = await client.list(EVENT, { namespace, fieldSelector }, signal);
    return { problem: complaintOf(stuck, items), requeueAfterMs: COMPLAINT_MS };
  }

  #progress(step: FetchStep, pods: readonly Pod[]) {
    const { clock, progressMs } = this.#options;
    const running = pods.find(({ status }) => status?.phase === 'Running');
    const podRunning = running !== undefined || pods.some(({ status }) => status?.phase === 'Succeeded');
    if (!running || !step.state) return { step, podRunning };
    const progress = this.#board.latest(running, clock.now(), progressMs);
    const state = progress ? withProgress(step.state, progress) : step.state;
    return { step: { ...step, state }, podRunning, requeueAfterMs: progressMs };
  }
}

/** What another model has verified needs only to be read, unless that has failed already. */
function modeOf({ repairs, reason }: FetchState, { packageThere }: Turn): FetchMode {
  if (repairs !== undefined) return 'repair';
  if (!packageThere) return 'fetch';
  return reason === undefined ? 'verify' : 'repair';
}

const soonest = (...delays: readonly (number | undefined)[]): number | undefined =>
  delays.filter((delay) => delay !== undefined).sort((a, b) => a - b)[0];
