import { createHash } from 'node:crypto';
import type { KubeClient } from './client.ts';
import { type Applied, isControlledBy, type Kind, type KubeObject } from './object.ts';

export type ChildState = 'created' | 'updated' | 'unchanged' | 'conflict';

export interface ChildResult<T> {
  readonly state: ChildState;
  /** What exists now; with `conflict`, the object of somebody else. */
  readonly live: T;
}

export interface ChildRequest<T extends KubeObject> {
  readonly client: KubeClient;
  readonly kind: Kind<T>;
  readonly desired: Applied;
  /** From the store; undefined makes the API server be asked. */
  readonly cached: T | undefined;
  readonly isOurs: (live: T) => boolean;
  readonly fieldManager: string;
  /** Annotation that remembers what was last applied, so that a field taken out of the intent is noticed. */
  readonly hashAnnotation: string;
  readonly signal?: AbortSignal;
}

/**
 * Makes a child what it should be, by server-side apply. Writes only when something differs. An object of that name that is
 * not ours is left alone and reported as `conflict`.
 */
export async function applyChild<T extends KubeObject>(request: ChildRequest<T>): Promise<ChildResult<T>> {
  const { client, kind, cached, isOurs, fieldManager, signal } = request;
  const desired = withHash(request.desired, request.hashAnnotation);
  const live = cached ?? (await client.find(kind, desired.metadata, signal));
  if (live && !isOurs(live)) return { state: 'conflict', live };
  if (live && covers(live, desired)) return { state: 'unchanged', live };
  // Since the look another object may have come under this name. A write meant for one that is there names it; a write meant
  // to create takes no field from anybody. Either way the answer is then a conflict, and the next pass looks again.
  const force = live !== undefined;
  const options = { fieldManager, force, ...(signal ? { signal } : {}) };
  const applied = await client.apply<T>(kind, live ? onlyTo(live, desired) : desired, options);
  return { state: live ? 'updated' : 'created', live: applied };
}

/** Ours is what has this owner as its controller. */
export const ownedBy =
  (owner: KubeObject) =>
  (live: KubeObject): boolean =>
    isControlledBy(live, owner);

/** The intent for this very object: the API server refuses it with a conflict for another of that name. */
function onlyTo({ metadata: { uid } }: KubeObject, intent: Applied): Applied {
  return uid === undefined ? intent : { ...intent, metadata: { ...intent.metadata, uid } };
}

function withHash(object: Applied, annotation: string): Applied {
  const annotations = { ...object.metadata.annotations, [annotation]: hashOf(object) };
  return { ...object, metadata: { ...object.metadata, annotations } };
}

/**
 * Whether `live` says everything that `desired` says. Defaults that the API server adds do not matter, nor that it leaves
 * out what is empty or false. A quantity that it writes differently counts as a difference: the worst that follows is an
 * apply without effect.
 */
export function covers(live: unknown, desired: unknown): boolean {
  if (live === undefined || live === null) return isEmpty(desired);
  if (Array.isArray(desired)) {
    const items: readonly unknown[] = Array.isArray(live) ? live : [];
    return items.length === desired.length && desired.every((item, index) => covers(items[index], item));
  }
  if (typeof desired === 'object' && desired !== null) {
    const fields = live as Readonly<Record<string, unknown>>;
    return Object.entries(desired).every(([key, value]) => covers(fields[key], value));
  }
  return live === desired;
}

function isEmpty(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return Object.values(value).every(isEmpty);
  return value === undefined || value === null || value === false || value === '';
}

/** A short hash (10 hex digits) of plain data; the order of keys does not matter. */
export function hashOf(value: unknown): string {
  return createHash('sha256').update(stableJson(value)).digest('hex').slice(0, 10);
}

function stableJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
