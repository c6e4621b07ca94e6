/** Writes what was found to a model's status, and tells news as events. Writes nothing where nothing is new. */
import { isDeepStrictEqual } from 'node:util';
import type { DeepfakeModelStatus } from '../../api/deepfake-model.ts';
import { STATUS_FIELD_MANAGER } from '../../api/names.ts';
import type { KubeClient } from '../../runtime/client.ts';
import type { Clock } from '../../runtime/clock.ts';
import { findCondition, mergeConditions, replaceConditions } from '../../runtime/conditions.ts';
import { isNotFound } from '../../runtime/errors.ts';
import type { EventRecorder } from '../../runtime/events.ts';
import { RecentMap } from '../../runtime/recent-map.ts';
import { DEEPFAKE_MODEL, type DeepfakeModel } from '../kinds.ts';
import type { Problem } from '../problems.ts';
import type { ModelPass } from './pass.ts';
import { heldCondition, type ModelObservation, summarize } from './status.ts';

/** The definition's bound. */
const USED_BY_MAX = 100;
/** The cache lags behind for seconds at most, and only a few models are written to within them. */
const WRITTEN_KEPT = 1_024;

interface Written {
  readonly resourceVersion: string | undefined;
  readonly status: DeepfakeModelStatus;
}

export interface ReporterOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly events: EventRecorder;
}

export class Reporter {
  readonly #options: ReporterOptions;
  /** By the model's uid. */
  readonly #written = new RecentMap<Written>(WRITTEN_KEPT);

  constructor(options: ReporterOptions) {
    this.#options = options;
  }

  async report({ model, users, signal }: ModelPass, observation: ModelObservation): Promise<void> {
    const { fetch, artifact } = observation;
    const { conditions, ...summary } = summarize(observation);
    const generation = model.metadata.generation ?? 0;
    const now = this.#options.clock.now();
    const status: DeepfakeModelStatus = {
      observedGeneration: generation,
      ...summary,
      ...artifact,
      ...(users.length === 0 ? {} : { usedBy: users.slice(0, USED_BY_MAX) }),
      ...(fetch ? { fetch } : {}),
      conditions: mergeConditions(model.status?.conditions, conditions, generation, now),
    };
    const before = this.#latestStatus(model);
    if (await this.#write(model, status, signal)) this.#tellNews(model, before, status);
  }

  /** A spec that cannot be read: whatever was served stays served. */
  async reportInvalid(model: DeepfakeModel, problem: Problem, signal: AbortSignal): Promise<void> {
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
    await this.#write(model, status, signal);
  }

  /** A deleted model that is still served says only that: its volume stays as it is, and nothing is made anew. */
  async reportHeld(model: DeepfakeModel, users: readonly string[], signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    const held = heldCondition(users);
    const { conditions: before = [] } = model.status ?? {};
    const generation = model.metadata.generation ?? 0;
    const status: DeepfakeModelStatus = {
      ...model.status,
      observedGeneration: generation,
      message: held.message,
      conditions: replaceConditions(before, [held], generation, clock.now()),
    };
    const told = findCondition(this.#latestStatus(model)?.conditions, held.type)?.message;
    if ((await this.#write(model, status, signal)) && told !== held.message) {
      this.#warn(model, held, 'Delete');
    }
  }

  /** What was written last: a pass may begin before the cache has heard of the write of the one before. */
  #latestStatus({ metadata, status }: DeepfakeModel): DeepfakeModelStatus | undefined {
    const written = this.#written.get(metadata.uid ?? '');
    return written && isNewer(written.resourceVersion, metadata.resourceVersion) ? written.status : status;
  }

  /** Whether there was something to write, and an object to write it to. */
  async #write(model: DeepfakeModel, status: DeepfakeModelStatus, signal: AbortSignal): Promise<boolean> {
    if (isDeepStrictEqual(status, model.status)) return false;
    const { name, namespace = '' } = model.metadata;
    const { apiVersion, kind } = DEEPFAKE_MODEL;
    const body = { apiVersion, kind, metadata: { name, namespace }, status };
    try {
      const { metadata } = await this.#options.client.applyStatus(DEEPFAKE_MODEL, body, {
        fieldManager: STATUS_FIELD_MANAGER,
        signal,
      });
      this.#written.set(model.metadata.uid ?? '', { resourceVersion: metadata.resourceVersion, status });
      return true;
    } catch (error) {
      if (!isNotFound(error)) throw error;
      return false;
    }
  }

  #tellNews(
    model: DeepfakeModel,
    previous: DeepfakeModelStatus | undefined,
    status: DeepfakeModelStatus,
  ): void {
    const refused = findCondition(status.conditions, 'ClaimResized');
    if (refused && refused.message !== findCondition(previous?.conditions, 'ClaimResized')?.message) {
      this.#warn(model, refused, 'ResizeClaim');
    }
    const before = previous?.fetch;
    const { fetch, message: note = '' } = status;
    if (!fetch) return;
    if (fetch.repairs !== undefined && fetch.repairs !== before?.repairs) {
      this.#warn(model, { reason: 'PackageDamaged', message: fetch.message ?? '' }, 'Repair');
    }
    if (fetch.phase === before?.phase && fetch.id === before.id) return;
    if (fetch.phase === 'Succeeded') {
      const verified = { type: 'Normal', reason: 'Verified', action: 'Fetch', note } as const;
      this.#options.events.record(DEEPFAKE_MODEL, model, verified);
    } else if (fetch.phase === 'Failed') {
      const { reason = 'FetchFailed', message = '' } = fetch;
      this.#warn(model, { reason, message }, 'Fetch');
    }
  }

  #warn(model: DeepfakeModel, { reason, message: note }: Problem, action: string): void {
    this.#options.events.record(DEEPFAKE_MODEL, model, { type: 'Warning', reason, action, note });
  }
}

const NUMBER = /^[0-9]+$/;

/** Versions of one object are whole numbers that grow. */
const isNewer = (one = '', other = '') =>
  NUMBER.test(one) && NUMBER.test(other) && BigInt(one) > BigInt(other);
