import { type KubeObject, keyOf, keyText, type ObjectKey } from './object.ts';

export type Change<T> =
  | { readonly type: 'added' | 'resynced'; readonly object: T }
  | { readonly type: 'updated'; readonly object: T; readonly previous: T }
  | { readonly type: 'deleted'; readonly object: T };

/** The index values of an object; it is found under each of them. */
export type Indexer<T> = (object: T) => readonly string[];

/** The last known state of a kind's objects, with indexes. Objects are shared: never change one. */
export class Store<T extends KubeObject> {
  readonly #objects = new Map<string, T>();
  readonly #indexes = new Map<
    string,
    { readonly indexer: Indexer<T>; readonly keys: Map<string, Set<string>> }
  >();
  readonly #onIndexError: (name: string, error: unknown) => void;

  /** @param onIndexError hears of an indexer that threw; the object is kept, found under no value of that index */
  constructor(onIndexError: (name: string, error: unknown) => void = () => undefined) {
    this.#onIndexError = onIndexError;
  }

  addIndex(name: string, indexer: Indexer<T>): void {
    this.#indexes.set(name, { indexer, keys: new Map() });
    for (const [key, object] of this.#objects) this.#index(key, object);
  }

  get(key: ObjectKey): T | undefined {
    return this.#objects.get(keyText(key));
  }

  list(): T[] {
    return [...this.#objects.values()];
  }

  /** Objects for which the named indexer returned `value`. */
  byIndex(name: string, value: string): T[] {
    const index = this.#indexes.get(name);
    if (!index) throw new Error(`no index named ${name}`);
    return [...(index.keys.get(value) ?? [])].flatMap((key) => this.#objects.get(key) ?? []);
  }

  /** Takes a new state in. The version that is known already is no change. */
  set(object: T): Change<T> | undefined {
    const previous = this.get(keyOf(object));
    if (previous && sameVersion(previous, object)) return undefined;
    this.#put(object, previous);
    return previous ? { type: 'updated', object, previous } : { type: 'added', object };
  }

  remove(object: KubeObject): Change<T> | undefined {
    const key = keyText(keyOf(object));
    const previous = this.#objects.get(key);
    if (!previous) return undefined;
    this.#unindex(key, previous);
    this.#objects.delete(key);
    return { type: 'deleted', object: previous };
  }

  /**
   * Replaces what is known of one namespace (undefined: of all) by a fresh list, and says what that changed. What is listed counts
   * even under a version that is known: an etcd restored from a backup gives versions a second time.
   */
  replace(objects: readonly T[], namespace?: string): Change<T>[] {
    const listed = new Set(objects.map((object) => keyText(keyOf(object))));
    const gone = this.list().filter(
      (object) =>
        (namespace === undefined || object.metadata.namespace === namespace) &&
        !listed.has(keyText(keyOf(object))),
    );
    const removed = gone.flatMap((object) => this.remove(object) ?? []);
    const taken = objects.map((object): Change<T> => {
      const previous = this.get(keyOf(object));
      this.#put(object, previous);
      if (!previous) return { type: 'added', object };
      return sameVersion(previous, object)
        ? { type: 'resynced', object }
        : { type: 'updated', object, previous };
    });
    return [...removed, ...taken];
  }

  #put(object: T, previous: T | undefined): void {
    const key = keyText(keyOf(object));
    if (previous) this.#unindex(key, previous);
    this.#objects.set(key, object);
    this.#index(key, object);
  }

  #index(key: string, object: T): void {
    for (const [name, { keys }] of this.#indexes) {
      for (const value of this.#values(name, object)) {
        const found = keys.get(value);
        if (found) found.add(key);
        else keys.set(value, new Set([key]));
      }
    }
  }

  #unindex(key: string, object: T): void {
    for (const [name, { keys }] of this.#indexes) {
      for (const value of this.#values(name, object)) {
        const found = keys.get(value);
        found?.delete(key);
        if (found?.size === 0) keys.delete(value);
      }
    }
  }

  #values(name: string, object: T): readonly string[] {
    try {
      return this.#indexes.get(name)?.indexer(object) ?? [];
    } catch (error) {
      this.#onIndexError(name, error);
      return [];
    }
  }
}

const sameVersion = (one: KubeObject, other: KubeObject) =>
  one.metadata.resourceVersion === other.metadata.resourceVersion;
