/** Sees every state that the API server gave to the objects that matter, by watches of its own. */
import {
  DEEPFAKE_MODEL,
  DEPLOYMENT,
  HPA,
  JOB,
  MODEL_DEPLOYMENT,
  PDB,
  POD,
  PVC,
  SECRET,
  SERVICE,
} from '../../../operator/controllers/kinds.ts';
import type { KubeClient } from '../../../operator/runtime/client.ts';
import type { Kind, KubeObject } from '../../../operator/runtime/object.ts';
import { Reflector } from '../../../operator/runtime/reflector.ts';
import { eventually, silent } from '../environment.ts';

/** What the operator makes. */
export const CHILDREN: readonly Kind[] = [PVC, JOB, DEPLOYMENT, SERVICE, HPA, PDB, SECRET];
const WATCHED: readonly Kind[] = [DEEPFAKE_MODEL, MODEL_DEPLOYMENT, POD, ...CHILDREN];

export interface Sighting<T extends KubeObject = KubeObject> {
  readonly kind: string;
  readonly object: T;
  /** This is how it was when it went. */
  readonly gone: boolean;
  /** When the witness heard of it, ms. */
  readonly at: number;
}

export class Witness {
  /** By namespace. */
  readonly #sightings = new Map<string, Sighting[]>();
  /** By kind, namespace and name. */
  readonly #live = new Map<string, Map<string, Map<string, KubeObject>>>();
  readonly #gone = new Set<string | undefined>();
  readonly #ending = new AbortController();
  readonly #running: Promise<unknown>;

  constructor(client: KubeClient) {
    const backoff = { baseMs: 50, capMs: 500 };
    const reflectors = WATCHED.map(
      (kind) => new Reflector({ client, kind, log: silent, backoff, sink: this.#sinkOf(kind) }),
    );
    this.#running = Promise.all(reflectors.map((reflector) => reflector.run(this.#ending.signal)));
  }

  static async start(client: KubeClient): Promise<Witness> {
    const witness = new Witness(client);
    await eventually('the witness sees every kind', () => witness.#live.size === WATCHED.length);
    return witness;
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#running;
  }

  #sinkOf({ kind }: Kind) {
    const live = new Map<string, Map<string, KubeObject>>();
    const see = (object: KubeObject, gone: boolean) => {
      const { namespace = '', name, uid } = object.metadata;
      const neighbours = live.get(namespace) ?? new Map<string, KubeObject>();
      live.set(namespace, neighbours);
      if (gone) {
        neighbours.delete(name);
        this.#gone.add(uid);
      } else neighbours.set(name, object);
      const before = this.#sightings.get(namespace) ?? [];
      before.push({ kind, object, gone, at: Date.now() });
      this.#sightings.set(namespace, before);
    };
    return {
      replace: (objects: readonly KubeObject[]) => {
        const listed = new Set(objects.map((object) => object.metadata.uid));
        const known = [...live.values()].flatMap((neighbours) => [...neighbours.values()]);
        for (const object of known) if (!listed.has(object.metadata.uid)) see(object, true);
        for (const object of objects) see(object, false);
        this.#live.set(kind, live);
      },
      set: (object: KubeObject) => see(object, false),
      remove: (object: KubeObject) => see(object, true),
    };
  }

  /** Everything that happened in a namespace, in the order in which the API server let it happen. */
  history(namespace: string): Sighting[] {
    const version = ({ object }: Sighting) => BigInt(object.metadata.resourceVersion ?? 0);
    return (this.#sightings.get(namespace) ?? []).toSorted((a, b) => Number(version(a) - version(b)));
  }

  live<T extends KubeObject>({ kind }: Kind<T>, namespace: string): T[] {
    return [...(this.#live.get(kind)?.get(namespace)?.values() ?? [])] as T[];
  }

  /** Whether it was there once and is there no more. */
  isGone(uid: string): boolean {
    return this.#gone.has(uid);
  }

  /** Children that nobody has deleted. */
  children(namespace: string): { readonly kind: Kind; readonly object: KubeObject }[] {
    return CHILDREN.flatMap((kind) =>
      this.live(kind, namespace)
        .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
        .map((object) => ({ kind, object })),
    );
  }

  /** Waits until nothing was heard of a namespace for a while: who writes on every pass never gets there. */
  rest(namespace: string, quietMs = 2_000): Promise<true> {
    return eventually(
      `${namespace} comes to rest`,
      () => {
        const last = this.#sightings.get(namespace)?.at(-1);
        return Date.now() - (last?.at ?? 0) > quietMs || undefined;
      },
      60_000,
    );
  }
}
