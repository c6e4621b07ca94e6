/** Writes the status of ModelDeployments, and reads them at least as new as it left them. */
import { isDeepStrictEqual } from 'node:util';
import type { ModelDeploymentStatus } from '../../api/model-deployment.ts';
import { STATUS_FIELD_MANAGER } from '../../api/names.ts';
import type { KubeClient } from '../../runtime/client.ts';
import { isNotFound } from '../../runtime/errors.ts';
import { type Applied, keyOf, keyText } from '../../runtime/object.ts';
import { RecentMap } from '../../runtime/recent-map.ts';
import { MODEL_DEPLOYMENT, type ModelDeployment } from '../kinds.ts';

/** Objects whose last write is remembered. */
const REMEMBERED = 10_000;

type Json = Readonly<Record<string, unknown>>;

export interface Write {
  /** Of the owner as the pass knows or left it. */
  readonly resourceVersion: string | undefined;
  readonly signal: AbortSignal;
}

export class StatusWriter {
  readonly #client: KubeClient;
  /** The version that the last write made, by object. */
  readonly #written = new RecentMap<string>(REMEMBERED);

  constructor(client: KubeClient) {
    this.#client = client;
  }

  /**
   * The object from a store, or as the API server has it where the store may lag behind the last write: what a rollout does next
   * depends on what it remembered, and a decision from an older state would undo the last one. undefined: it is gone.
   */
  async newest(cached: ModelDeployment, signal: AbortSignal): Promise<ModelDeployment | undefined> {
    const key = keyText(keyOf(cached));
    const written = this.#written.get(key);
    if (written === undefined || written === cached.metadata.resourceVersion) return cached;
    return this.#client.find(MODEL_DEPLOYMENT, cached.metadata, signal);
  }

  /**
   * Only onto the object as the pass knows it: status remembers whose the API key is and which revision served, and a pass over an
   * older state would take that away again, as well as what a user has patched since. Rejects with a conflict then. Returns the
   * version that it made.
   */
  async write(
    owner: ModelDeployment,
    status: ModelDeploymentStatus,
    { signal, resourceVersion }: Write,
  ): Promise<string | undefined> {
    if (isDeepStrictEqual(status, owner.status)) return resourceVersion;
    const { name, namespace = '' } = owner.metadata;
    const { apiVersion, kind } = MODEL_DEPLOYMENT;
    const body = { apiVersion, kind, metadata: { name, namespace, resourceVersion }, status } as Applied;
    try {
      const options = { fieldManager: STATUS_FIELD_MANAGER, signal };
      const applied = await this.#client.applyStatus(MODEL_DEPLOYMENT, body, options);
      const written = await this.#takeOut(applied, status, signal);
      const { resourceVersion: made } = written.metadata;
      if (made !== undefined) this.#written.set(keyText(keyOf(owner)), made);
      return made;
    } catch (error) {
      if (!isNotFound(error)) throw error;
      return undefined;
    }
  }

  /** What a user has written into status is theirs, so an apply without it leaves it there. */
  async #takeOut(
    applied: ModelDeployment,
    wanted: ModelDeploymentStatus,
    signal: AbortSignal,
  ): Promise<ModelDeployment> {
    const status = leftovers(applied.status ?? {}, wanted);
    if (status === undefined) return applied;
    const { resourceVersion } = applied.metadata;
    const body = { metadata: { resourceVersion }, status };
    return this.#client.patch(MODEL_DEPLOYMENT, applied.metadata, body, { subresource: 'status', signal });
  }
}

/** A merge patch that makes `live` what is wanted; undefined: it is. Lists are written as a whole. */
export function leftovers(live: Json, wanted: Json): Json | undefined {
  const fields = Object.entries(live).flatMap(([name, value]): [string, unknown][] => {
    const should = wanted[name];
    if (should === undefined) return [[name, null]];
    if (isDeepStrictEqual(value, should)) return [];
    if (!isObject(value) || !isObject(should)) return [[name, should]];
    const inner = leftovers(value, should);
    return inner === undefined ? [] : [[name, inner]];
  });
  return fields.length === 0 ? undefined : Object.fromEntries(fields);
}

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
