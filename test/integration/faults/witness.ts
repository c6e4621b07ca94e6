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
import { type Kind, type KubeObject, keyOf, keyText } from '../../../operator/runtime/object.ts';
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
  readonly #sightings: Sighting[] = [];
  readonly #live = new Map<string, Map<string, KubeObject>>();
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
    const live = new Map<string, KubeObject>();
    const see = (object: KubeObject, gone: boolean) => {
      const key = keyText(keyOf(object));
      if (gone) live.delete(key);
      else live.set(key, object);
      this.#sightings.push({ kind, object, gone, at: Date.now() });
    };
    return {
      replace: (objects: readonly KubeObject[]) => {
        const listed = new Set(objects.map((object) => object.metadata.uid));
        for (const object of [...live.values()]) if (!listed.has(object.metadata.uid)) see(object, true);
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
    return this.#sightings
      .filter(({ object }) => object.metadata.namespace === namespace)
      .sort((a, b) => Number(version(a) - version(b)));
  }

  live<T extends KubeObject>({ kind }: Kind<T>, namespace: string): T[] {
    const objects = [...(this.#live.get(kind)?.values() ?? [])] as T[];
    return objects.filter(({ metadata }) => metadata.namespace === namespace);
  }

  /** Waits until nothing was heard of a namespace for a while: who writes on every pass never gets there. */
  rest(namespace: string, quietMs = 600): Promise<true> {
    return eventually(
      `${namespace} comes to rest`,
      () => {
        const last = this.#sightings.findLast(({ object }) => object.metadata.namespace === namespace);
        return Date.now() - (last?.at ?? 0) > quietMs || undefined;
      },
      60_000,
    );
  }
}
