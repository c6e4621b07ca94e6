/** Sees the bench's namespace as it changes, through watches of its own. */
import { pino } from 'pino';
import {
  DEPLOYMENT,
  type Deployment,
  MODEL_DEPLOYMENT,
  type ModelDeployment,
  PDB,
  SERVICE,
} from '../../../operator/controllers/kinds.ts';
import type { KubeClient } from '../../../operator/runtime/client.ts';
import { Informer } from '../../../operator/runtime/informer.ts';
import type { Kind, KubeObject } from '../../../operator/runtime/object.ts';
import { eventually } from '../waiting.ts';
import { NAMESPACE_NAME } from './workload.ts';

export class Observer {
  readonly #ending = new AbortController();
  readonly #client: KubeClient;
  readonly #running: Promise<void>[] = [];
  readonly #listeners = new Set<(kind: string, object: KubeObject | undefined, name: string) => void>();
  readonly modelDeployments: Informer<ModelDeployment>;
  readonly deployments: Informer<Deployment>;
  readonly services: Informer<KubeObject>;
  readonly disruptionBudgets: Informer<KubeObject>;

  constructor(client: KubeClient) {
    this.#client = client;
    this.modelDeployments = this.#inform(MODEL_DEPLOYMENT);
    this.deployments = this.#inform(DEPLOYMENT);
    this.services = this.#inform<KubeObject>(SERVICE);
    this.disruptionBudgets = this.#inform<KubeObject>(PDB);
  }

  #inform<T extends KubeObject>(kind: Kind<T>): Informer<T> {
    const log = pino({ level: 'silent' });
    const informer = new Informer({ client: this.#client, kind, log, namespaces: [NAMESPACE_NAME] });
    informer.onChange(({ type, object }) => {
      const live = type === 'deleted' ? undefined : object;
      for (const listener of this.#listeners) listener(kind.kind, live, object.metadata.name);
    });
    return informer;
  }

  /**
   * Does `act`, and returns the time from just before it until a change of the named object makes `accept` true, ms.
   * `accept` sees undefined for a deletion.
   */
  async timeUntil<T extends KubeObject>(
    { kind }: Informer<T>,
    name: string,
    act: () => Promise<unknown>,
    accept: (live: T | undefined) => boolean,
    timeoutMs: number,
  ): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const startedAt = performance.now();
    const listener = (changed: string, live: KubeObject | undefined, changedName: string) => {
      if (changed !== kind || changedName !== name) return;
      if (accept(live as T | undefined)) resolve(performance.now() - startedAt);
    };
    const timer = setTimeout(
      () => reject(new Error(`${kind} ${name}: not within ${timeoutMs} ms`)),
      timeoutMs,
    );
    this.#listeners.add(listener);
    try {
      await act();
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#listeners.delete(listener);
    }
  }

  async start(): Promise<void> {
    const all = [this.modelDeployments, this.deployments, this.services, this.disruptionBudgets];
    for (const informer of all) this.#running.push(informer.run(this.#ending.signal));
    await eventually('the watches of the bench', () => all.every((informer) => informer.hasSynced()), 30_000);
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    await Promise.all(this.#running);
  }

  availableCount(): number {
    return this.modelDeployments.store.list().filter(isAvailable).length;
  }
}

const isAvailable = ({ status }: ModelDeployment) =>
  status?.conditions?.some(({ type, status: is }) => type === 'Available' && is === 'True') ?? false;
