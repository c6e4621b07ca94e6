/** How both controllers make a child what it should be, and tell when they cannot. */
import type { Logger } from 'pino';
import { APPLIED_HASH_ANNOTATION, FIELD_MANAGER } from '../api/names.ts';
import { applyChild, ownedBy } from '../runtime/apply.ts';
import type { KubeClient } from '../runtime/client.ts';
import type { Applied, Kind, KubeObject } from '../runtime/object.ts';
import type { Store } from '../runtime/store.ts';
import { conflict, type Problem, refused } from './problems.ts';

export interface ChildContext {
  readonly client: KubeClient;
  readonly owner: KubeObject;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

export interface ChildOutcome<T> {
  readonly live?: T;
  readonly problem?: Problem;
}

/** `isOurs`: default, what has the owner as its controller. */
export async function ensureChild<T extends KubeObject>(
  { client, owner, signal, log }: ChildContext,
  kind: Kind<T>,
  store: Store<T>,
  desired: Applied,
  isOurs: (live: T) => boolean = ownedBy(owner),
): Promise<ChildOutcome<T>> {
  const { namespace = '', name } = desired.metadata;
  try {
    const { state, live } = await applyChild({
      client,
      kind,
      desired,
      cached: store.get({ namespace, name }),
      isOurs,
      fieldManager: FIELD_MANAGER,
      hashAnnotation: APPLIED_HASH_ANNOTATION,
      signal,
    });
    if (state === 'conflict') return { problem: conflict(kind.kind, name) };
    if (state !== 'unchanged') log.info({ kind: kind.kind, child: name, state }, 'child applied');
    return { live };
  } catch (error) {
    return { problem: refused(kind.kind, name, error) };
  }
}

/** Deletes a child that is no longer wanted; one of that name that is not the owner's stays. */
export async function removeChild<T extends KubeObject>(
  { client, owner, signal, log }: ChildContext,
  kind: Kind<T>,
  store: Store<T>,
  name: string,
): Promise<void> {
  const { namespace = '' } = owner.metadata;
  const live = store.get({ namespace, name });
  if (!live?.metadata.uid || live.metadata.deletionTimestamp !== undefined || !ownedBy(owner)(live)) return;
  await client.delete(kind, live.metadata, { uid: live.metadata.uid, signal });
  log.info({ kind: kind.kind, child: name }, 'child deleted');
}
