/** Objects of several kinds, read once or kept fresh by watches: what pages are made of. */
import type { Logger } from 'pino';
import type { KubeClient } from '../runtime/client.ts';
import { Informer } from '../runtime/informer.ts';
import type { Kind, KubeObject } from '../runtime/object.ts';

interface Part {
  read(signal: AbortSignal): Promise<void>;
  follow(changed: () => void, signal: AbortSignal): Promise<void>;
}

/** undefined: every namespace. */
type Namespace = string | undefined;

export class Stores {
  readonly #client: KubeClient;
  readonly #namespace: Namespace;
  readonly #log: Logger;
  readonly #parts: Part[] = [];

  /** `log` hears of watches that are interrupted. */
  constructor(client: KubeClient, namespace: Namespace, log: Logger) {
    this.#client = client;
    this.#namespace = namespace;
    this.#log = log;
  }

  /** The store of a kind. Where it is not `wanted` it stays empty, and no right to it is needed. */
  of<T extends KubeObject>(kind: Kind<T>, wanted = true, labelSelector?: string) {
    const client = this.#client;
    const namespace = this.#namespace;
    const options = labelSelector === undefined ? {} : { labelSelector };
    const namespaces = namespace === undefined ? [] : [namespace];
    const informer = new Informer({ client, kind, log: this.#log, namespaces, ...options });
    const { store } = informer;
    if (wanted) {
      this.#parts.push({
        read: async (signal) => {
          const query = { ...options, ...(namespace === undefined ? {} : { namespace }) };
          store.replace((await client.list(kind, query, signal)).items);
        },
        follow: (changed, signal) => {
          informer.onChange(changed);
          return informer.run(signal);
        },
      });
    }
    return store;
  }

  /** Lists everything once. @throws what the client throws */
  async read(signal: AbortSignal): Promise<void> {
    // One after the other: the first refusal is the one that is told, whatever the order of answers.
    for (const part of this.#parts) await part.read(signal);
  }

  /** Keeps everything fresh until the signal aborts; whatever fails meanwhile is tried again. */
  async follow(changed: () => void, signal: AbortSignal): Promise<void> {
    await Promise.all(this.#parts.map((part) => part.follow(changed, signal)));
  }
}
