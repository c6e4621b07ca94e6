/**
 * Plays kubelet, the Job and the Deployment controller and the garbage collector of one namespace: fetches end, pods become
 * available, and what was deleted or belonged to somebody who is gone goes.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { LABEL } from '../../../operator/api/names.ts';
import { DEPLOYMENT, type Deployment, JOB, type Job, PVC } from '../../../operator/controllers/kinds.ts';
import { DIGEST_A, fetched, type Namespace } from '../environment.ts';
import type { Witness } from './witness.ts';

/** The package that a fetch brings: the one that its Job asks for, or what a floating source holds. */
export function digestAskedBy(job: Job): string {
  const args = job.spec?.template.spec?.containers[0]?.args ?? [];
  return args.map((arg) => /^--digest=(sha256:.*)$/.exec(arg)?.[1]).find(Boolean) ?? DIGEST_A;
}

export class Kubelet {
  readonly #witness: Witness;
  readonly #namespace: Namespace;
  /** Jobs that were ended here; the witness may not have heard of it yet. */
  readonly #ended = new Set<string | undefined>();
  readonly #ending = new AbortController();
  readonly #running: Promise<void>;

  constructor(witness: Witness, namespace: Namespace) {
    this.#witness = witness;
    this.#namespace = namespace;
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending;
    while (!signal.aborted) {
      // What goes away meanwhile, and an API server that does not answer, are part of the play.
      await this.#act().catch(() => undefined);
      await sleep(50, undefined, { signal }).catch(() => undefined);
    }
  }

  async #act(): Promise<void> {
    const { name } = this.#namespace;
    const running = this.#witness.live(JOB, name).filter(runs);
    for (const { metadata } of running.filter(({ metadata }) => !this.#ended.has(metadata.uid))) {
      const model = metadata.labels?.[LABEL.model] ?? '';
      const job = await this.#namespace.endFetch(model, (found) => fetched({ digest: digestAskedBy(found) }));
      this.#ended.add(job.metadata.uid);
    }
    for (const { metadata, spec } of this.#witness.live(DEPLOYMENT, name).filter(lags)) {
      await this.#namespace.runPods(metadata.name, spec?.replicas ?? 1);
    }
    for (const { metadata } of this.#witness.live(PVC, name)) {
      if (metadata.deletionTimestamp === undefined) continue;
      await this.#namespace.patch(PVC, metadata.name, { metadata: { finalizers: null } });
    }
    for (const { kind, object } of this.#witness.children(name)) {
      const { name: child, ownerReferences = [] } = object.metadata;
      const abandoned =
        ownerReferences.length > 0 && ownerReferences.every(({ uid }) => this.#witness.isGone(uid));
      if (abandoned) await this.#namespace.delete(kind, child);
    }
  }
}

const runs = ({ metadata, status }: Job) =>
  metadata.deletionTimestamp === undefined && !status?.conditions?.length;
const lags = ({ metadata, spec, status }: Deployment) =>
  metadata.deletionTimestamp === undefined &&
  (status?.observedGeneration !== metadata.generation ||
    (status?.availableReplicas ?? 0) !== (spec?.replicas ?? 1));
