import type { KubeClient } from './client.ts';
import { isNotFound } from './errors.ts';
import type { Kind, KubeObject } from './object.ts';

const hasFinalizer = ({ metadata }: KubeObject, finalizer: string) =>
  metadata.finalizers?.includes(finalizer) ?? false;

/**
 * Adds a finalizer; nothing happens where it is set already. Fails with a conflict if the object changed since it was read.
 * @returns the object as it is then, for further writes of the same pass
 */
export async function addFinalizer<T extends KubeObject>(
  client: KubeClient,
  kind: Kind<T>,
  object: T,
  finalizer: string,
  signal?: AbortSignal,
): Promise<T> {
  if (hasFinalizer(object, finalizer)) return object;
  const finalizers = [...(object.metadata.finalizers ?? []), finalizer];
  return setFinalizers(client, kind, object, finalizers, signal);
}

/**
 * Removes a finalizer, upon which a deleted object goes. An object that is gone already is fine.
 * @returns the object as it is then, or as it was
 */
export async function removeFinalizer<T extends KubeObject>(
  client: KubeClient,
  kind: Kind<T>,
  object: T,
  finalizer: string,
  signal?: AbortSignal,
): Promise<T> {
  if (!hasFinalizer(object, finalizer)) return object;
  const others = object.metadata.finalizers?.filter((name) => name !== finalizer) ?? [];
  try {
    return await setFinalizers(client, kind, object, others, signal);
  } catch (error) {
    if (!isNotFound(error)) throw error;
    return object;
  }
}

/** A merge patch replaces the whole list, so the version that was read has to be the one that is patched. */
async function setFinalizers<T extends KubeObject>(
  client: KubeClient,
  kind: Kind<T>,
  { metadata }: T,
  finalizers: readonly string[],
  signal?: AbortSignal,
): Promise<T> {
  const body = { metadata: { resourceVersion: metadata.resourceVersion, finalizers } };
  return client.patch(kind, metadata, body, signal ? { signal } : {});
}
