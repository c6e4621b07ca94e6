/** Kubernetes objects as the plain JSON that the API server sends. */

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly finalizers?: readonly string[];
  readonly ownerReferences?: readonly OwnerReference[];
  readonly managedFields?: readonly ManagedFields[];
}

export interface ManagedFields {
  readonly manager?: string;
  readonly operation?: string;
  readonly subresource?: string;
  readonly fieldsV1?: unknown;
}

export interface KubeObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: ObjectMeta;
}

/** What server-side apply needs: a complete intent that names its kind. */
export type Applied = KubeObject & { readonly apiVersion: string; readonly kind: string };

/** A client-node type as it really arrives: timestamps are strings. */
export type Raw<T> = Plain<T> & KubeObject;
type Plain<T> = T extends Date
  ? string
  : T extends readonly (infer Item)[]
    ? readonly Plain<Item>[]
    : T extends object
      ? { readonly [Key in keyof T]: Plain<T[Key]> }
      : T;

/** An API resource; the phantom type says what its objects look like. */
export interface Kind<T extends KubeObject = KubeObject> {
  readonly apiVersion: string;
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
  readonly example?: T;
}

export interface ObjectKey {
  readonly namespace: string;
  readonly name: string;
}

export const keyOf = ({ metadata }: KubeObject): ObjectKey => ({
  namespace: metadata.namespace ?? '',
  name: metadata.name,
});
export const keyText = ({ namespace, name }: ObjectKey) => `${namespace}/${name}`;
export function parseKey(text: string): ObjectKey {
  const slash = text.indexOf('/');
  return { namespace: text.slice(0, slash), name: text.slice(slash + 1) };
}

/** The owner reference that makes `owner` the controller of a child: the child goes when the owner goes. */
export function controllerReference(kind: Kind, { metadata }: KubeObject): OwnerReference {
  if (metadata.uid === undefined) throw new Error(`${kind.kind} ${metadata.name} has no uid yet`);
  return {
    apiVersion: kind.apiVersion,
    kind: kind.kind,
    name: metadata.name,
    uid: metadata.uid,
    controller: true,
    blockOwnerDeletion: true,
  };
}

export const controllerOf = ({ metadata }: KubeObject): OwnerReference | undefined =>
  metadata.ownerReferences?.find(({ controller }) => controller);
export const isControlledBy = (child: KubeObject, owner: KubeObject) =>
  owner.metadata.uid !== undefined && controllerOf(child)?.uid === owner.metadata.uid;

/**
 * The object, and of who owns which of its fields only what `keep` makes of it (default: nothing). Kept whole, that takes
 * more memory than the object itself.
 */
export function trimManagedFields<T extends KubeObject>(
  object: T,
  keep: (fields: ManagedFields) => readonly ManagedFields[] = () => [],
): T {
  const { managedFields = [], ...metadata } = object.metadata;
  const kept = managedFields.flatMap(keep);
  return { ...object, metadata: kept.length === 0 ? metadata : { ...metadata, managedFields: kept } };
}
