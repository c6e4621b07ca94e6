/** Writes what was found to a model's status, and tells news as events. Writes nothing where nothing is new. */
import { isDeepStrictEqual } from 'node:util';
import type { DeepfakeModelStatus } from '../../api/deepfake-model.ts';
import { STATUS_FIELD_MANAGER } from '../../api/names.ts';
import type { KubeClient } from '../../runtime/client.ts';
import type { Clock } from '../../runtime/clock.ts';
import { findCondition, mergeConditions, replaceConditions } from '../../runtime/conditions.ts';
import { isNotFound } from '../../runtime/errors.ts';
import type { EventRecorder } from '../../runtime/events.ts';
import { DEEPFAKE_MODEL, type DeepfakeModel } from '../kinds.ts';
import type { Problem } from '../problems.ts';
import type { ModelPass } from './pass.ts';
import { heldCondition, type ModelObservation, summarize } from './status.ts';

/** The definition's bound. */
const USED_BY_MAX = 100;
export interface ReporterOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly events: EventRecorder;
}

export class Reporter {
  readonly #options: ReporterOptions;

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
    if (await this.#write(model, status, signal)) this.#tellNews(model, status);
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
    const told = findCondition(before, held.type)?.message;
    if ((await this.#write(model, status, signal)) && told !== held.message) {
      this.#warn(model, held, 'Delete');
    }
  }

  /**
   * Whether there was something to write, and an object to write it to. Fails with a conflict if the object is another or
   * newer one than the pass has seen: nothing is told twice, nor of what was made anew under the name.
   */
  async #write(model: DeepfakeModel, status: DeepfakeModelStatus, signal: AbortSignal): Promise<boolean> {
    if (isDeepStrictEqual(status, model.status)) return false;
    const { name, namespace = '', resourceVersion } = model.metadata;
    const { apiVersion, kind } = DEEPFAKE_MODEL;
    const metadata = { name, namespace, ...(resourceVersion === undefined ? {} : { resourceVersion }) };
    const body = { apiVersion, kind, metadata, status };
    try {
      await this.#options.client.applyStatus(DEEPFAKE_MODEL, body, {
        fieldManager: STATUS_FIELD_MANAGER,
        signal,
      });
      return true;
    } catch (error) {
      if (!isNotFound(error)) throw error;
      return false;
    }
  }

  #tellNews(model: DeepfakeModel, status: DeepfakeModelStatus): void {
    const previous = model.status;
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
