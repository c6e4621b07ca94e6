import type { KubeClient } from './client.ts';
import { isNotFound } from './errors.ts';
import type { Kind, KubeObject } from './object.ts';

const hasFinalizer = ({ metadata }: KubeObject, finalizer: string) =>
  metadata.finalizers?.includes(finalizer) ?? false;

/** Adds a finalizer; nothing happens where it is set already. Fails with a conflict if the object changed since it was read. */
export async function addFinalizer<T extends KubeObject>(
  client: KubeClient,
  kind: Kind<T>,
  object: T,
  finalizer: string,
  signal?: AbortSignal,
): Promise<void> {
  if (hasFinalizer(object, finalizer)) return;
  await setFinalizers(client, kind, object, [...(object.metadata.finalizers ?? []), finalizer], signal);
}

/** Removes a finalizer, upon which a deleted object goes. An object that is gone already is fine. */
export async function removeFinalizer<T extends KubeObject>(
  client: KubeClient,
  kind: Kind<T>,
  object: T,
  finalizer: string,
  signal?: AbortSignal,
): Promise<void> {
  if (!hasFinalizer(object, finalizer)) return;
  const others = object.metadata.finalizers?.filter((name) => name !== finalizer) ?? [];
  try {
    await setFinalizers(client, kind, object, others, signal);
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

/** A merge patch replaces the whole list, so the version that was read has to be the one that is patched. */
async function setFinalizers<T extends KubeObject>(
  client: KubeClient,
  kind: Kind<T>,
  { metadata }: T,
  finalizers: readonly string[],
  signal?: AbortSignal,
): Promise<void> {
  const body = { metadata: { resourceVersion: metadata.resourceVersion, finalizers } };
  await client.patch(kind, metadata, body, signal ? { signal } : {});
}
