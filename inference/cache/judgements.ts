/** Judges files once: what is known is looked up, what is being judged is waited for, what is found is kept. */
import type { Priority } from '../engine/job-queue.ts';
import type { Spool } from '../media/spool.ts';
import type { NamedPackage } from '../models/package.ts';
import type { Analysis, ProgressStep } from '../pipelines/analysis.ts';
import type { Analyzer, Assignment } from '../pipelines/analyzer.ts';
import type { Seat } from '../pipelines/joint-run.ts';
import {
  type AnswerSettings,
  decodeJudgement,
  encodeJudgement,
  type Judgement,
  judgementKey,
  refusalOf,
} from './judgement.ts';
import { SingleFlight } from './single-flight.ts';
import type { Store } from './store.ts';

/** hit: known; miss: judged now and kept; coalesced: judged for another request at the same time; bypass: judged now, unasked. */
export type CacheResult = 'hit' | 'miss' | 'coalesced' | 'bypass';

/** Whether no model ran for this request. */
export function isReused(result: CacheResult): boolean {
  return result === 'hit' || result === 'coalesced';
}

/** What a request wants: what is known; a judgement made now, to be kept; one made now that leaves no trace. */
export type CacheUse = 'use' | 'refresh' | 'none';

export interface JudgementsOptions {
  readonly analyzer: Pick<Analyzer, 'analyze'>;
  readonly spool: Pick<Spool, 'hold' | 'remove' | 'onDisk'>;
  /** Nearest first; none: every file is judged anew. */
  readonly stores: readonly Store[];
  readonly ttlMs: number;
  readonly settings: AnswerSettings;
  /** A store did not do what it was asked; requests go on without it. */
  readonly onStoreError: () => void;
}

export interface JudgeOptions {
  readonly signal: AbortSignal;
  readonly priority: Priority;
  readonly cacheUse: CacheUse;
  readonly onProgress: (step: ProgressStep) => void;
  /** Runs the model together with others of the same file, where it has to run. Default: alone. */
  readonly seat?: Seat | undefined;
}

export interface Judged {
  readonly judgement: Judgement;
  /** The one that judged. */
  readonly model: NamedPackage;
  readonly cache: CacheResult;
  /** Milliseconds before a worker took the job; 0 where none had to. */
  readonly queueMs: number;
  /** Milliseconds that the look-up took; undefined without one. */
  readonly lookUpMs?: number;
}

type Fresh = Pick<Judged, 'judgement' | 'model' | 'queueMs'>;
type Flown = Omit<Judged, 'cache'> & { readonly isKnown: boolean };

/** A refusal may be the doing of a moment (memory, a disk), and so may what another pod knows be outdated there soon. */
const shortTtlMs = 60_000;

export class Judgements {
  readonly #options: JudgementsOptions;
  readonly #flights = new SingleFlight<Flown, ProgressStep>();

  constructor(options: JudgementsOptions) {
    this.#options = options;
  }

  get isKeeping(): boolean {
    return this.#options.stores.length > 0;
  }

  /**
   * @param sha256 of the assigned file
   * @throws what the analyzer throws, except refusals of the media, which are judgements; the reason of the signal
   */
  async judge(assignment: Assignment, sha256: string, options: JudgeOptions): Promise<Judged> {
    const { signal, priority, cacheUse, onProgress, seat } = options;
    if (!this.isKeeping || cacheUse !== 'use') {
      const fresh = await this.#run(assignment, options);
      if (cacheUse === 'refresh') this.#keep(sha256, assignment, fresh);
      return { ...fresh, cache: 'bypass' };
    }
    const passenger = { signal, onStep: onProgress };
    // An urgent request does not wait in the place of a batch job, and one package may be served under several names.
    const flight = `${priority}:${assignment.model.name}:${this.#keyOf(sha256, assignment)}`;
    // The others of the joint run do not wait for another request.
    if (this.#flights.has(flight)) seat?.leave();
    const { value, joined } = await this.#flights.join(flight, passenger, (abandoned, tell) =>
      this.#lookUpOrRun(sha256, assignment, { signal: abandoned, priority, onProgress: tell, seat }),
    );
    const { isKnown, ...judged } = value;
    return { ...judged, cache: isKnown ? 'hit' : joined ? 'coalesced' : 'miss' };
  }

  /** Holds the file: the request that brought it may leave before those that wait for the same result. */
  async #lookUpOrRun(
    sha256: string,
    assignment: Assignment,
    options: Omit<JudgeOptions, 'cacheUse'>,
  ): Promise<Flown> {
    const { spool } = this.#options;
    const { path, model } = assignment;
    spool.hold(path);
    try {
      const startedAt = performance.now();
      const known = await this.#lookUp(this.#keyOf(sha256, assignment));
      const lookUpMs = performance.now() - startedAt;
      if (known !== undefined) options.seat?.leave();
      if (known !== undefined)
        return { judgement: withoutWork(known), model, isKnown: true, queueMs: 0, lookUpMs };
      const fresh = await this.#run(assignment, options);
      this.#keep(sha256, assignment, fresh);
      return { ...fresh, isKnown: false, lookUpMs };
    } finally {
      await spool.remove(path);
    }
  }

  async #run(
    assignment: Assignment,
    { signal, priority, onProgress, seat }: Omit<JudgeOptions, 'cacheUse'>,
  ): Promise<Fresh> {
    try {
      const run = { signal, priority, onProgress };
      const { analyzer, spool } = this.#options;
      // Pictures are decoded in our own process, everything else by programs that read files.
      const source = assignment.media.kind === 'image' ? assignment : await spool.onDisk(assignment);
      const { media, model: asked, extras = {} } = assignment;
      const judged = { ...source, media, model: asked, extras };
      const { analysis, model, queueMs } = await (seat ?? analyzer).analyze(judged, run);
      return { judgement: { type: 'analysis', analysis }, model, queueMs };
    } catch (error) {
      const judgement = refusalOf(error);
      if (judgement === undefined) throw error;
      return { judgement, model: assignment.model, queueMs: 0 };
    }
  }

  #keyOf(sha256: string, { model, extras = {} }: Pick<Assignment, 'model' | 'extras'>): string {
    return judgementKey({ sha256, model, settings: this.#options.settings, extras });
  }

  async #lookUp(key: string): Promise<Judgement | undefined> {
    const { stores, ttlMs, onStoreError } = this.#options;
    for (const [distance, store] of stores.entries()) {
      try {
        const text = await store.read(key);
        if (text === undefined) continue;
        const judgement = decodeJudgement(text);
        this.#write(stores.slice(0, distance), key, text, Math.min(shortTtlMs, ttlMs));
        return judgement;
      } catch {
        onStoreError();
      }
    }
    return undefined;
  }

  /** Under the model that judged: the one that was asked may have been loaded anew meanwhile. */
  #keep(sha256: string, { extras = {} }: Assignment, { judgement, model }: Fresh): void {
    const { stores, ttlMs } = this.#options;
    const ttl = judgement.type === 'refusal' ? Math.min(shortTtlMs, ttlMs) : ttlMs;
    this.#write(stores, this.#keyOf(sha256, { model, extras }), encodeJudgement(judgement), ttl);
  }

  /** In the background: no answer waits for it. */
  #write(stores: readonly Store[], key: string, text: string, ttlMs: number): void {
    for (const store of stores) store.write(key, text, ttlMs).catch(this.#options.onStoreError);
  }
}

/** The stages that a known result did not need took no time. */
function withoutWork(judgement: Judgement): Judgement {
  if (judgement.type === 'refusal') return judgement;
  const stages = Object.keys(judgement.analysis.timingsMs) as (keyof Analysis['timingsMs'])[];
  const timingsMs = Object.fromEntries(stages.map((stage) => [stage, 0])) as Record<
    keyof Analysis['timingsMs'],
    0
  >;
  return { ...judgement, analysis: { ...judgement.analysis, timingsMs } };
}
