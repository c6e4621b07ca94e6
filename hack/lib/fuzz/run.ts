/** Sends the cases to a pod, a few at a time, and gathers what is wrong with it. */
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { inTemporaryFolder } from '../../../inference/testing/media.ts';
import type { Report } from '../steps.ts';
import { disagreement, isOverload, type Judgement, judge } from './answer.ts';
import { caseOf, type FuzzCase, type Kind, kindOfCase, type SeedFile } from './cases.ts';
import { POD_LOG, Pod } from './pod.ts';
import { digestOf, seedFiles } from './seeds.ts';

export interface FuzzOptions {
  readonly seed: number;
  /** Number of the first case. */
  readonly from: number;
  /** How many are sent; cases of other kinds are passed over. */
  readonly count: number;
  readonly kinds: readonly Kind[];
  /** Gets the files of findings. */
  readonly out: string;
  /** Requests at a time. */
  readonly clients: number;
}

export interface Finding {
  readonly what: string;
  /** Every one that may have led to it. */
  readonly cases: readonly FuzzCase[];
}

export interface FuzzReport {
  readonly seedsDigest: string;
  /** By kind, then by outcome. */
  readonly outcomes: ReadonlyMap<Kind, ReadonlyMap<string, number>>;
  readonly findings: readonly Finding[];
  /** Resident, MiB. */
  readonly memory: {
    /** After WARM_UP_CASES; undefined where there were fewer. */
    readonly warmMiB: number | undefined;
    readonly endMiB: number;
    readonly peakMiB: number;
  };
  readonly seconds: number;
}

/** Of a process. */
interface Life {
  ended: boolean;
}

/** A run with more of them is broken in one place, and says nothing new. */
const maxFindings = 50;
const watchMs = 2_000;
const sayMs = 15_000;
/** Between connections that are cut and the news that the process has ended. */
const deathNewsMs = 1_000;
const overloadWaitMs = 500;
const maxOverloadMs = 60_000;
/** Caches, heaps and arenas are full after so many cases. */
const warmUpCases = 1_000;
/**
 * A leak of a kibibyte and a half a case shows in a hundred thousand. At rest the pod holds nothing of any case but 4 MiB of results; heaps
 * that were cut in pieces by decoders account for the rest.
 */
const maxGrowthMiB = 160;

export async function fuzz(options: FuzzOptions, say: Report): Promise<FuzzReport> {
  const seeds = await seedFiles();
  say(`${seeds.length} files to begin with (${digestOf(seeds)})`);
  return inTemporaryFolder((folder) => new Run(options, seeds, folder, say).toEnd());
}

/** The end of a process is told a moment after its connections are cut. */
async function newsOfDeath({ ended }: Pod): Promise<void> {
  await Promise.race([ended, sleep(deathNewsMs)]);
}

class Run {
  readonly #options: FuzzOptions;
  readonly #seeds: readonly SeedFile[];
  readonly #folder: string;
  readonly #say: Report;
  readonly #outcomes = new Map<Kind, Map<string, number>>();
  readonly #findings: Finding[] = [];
  readonly #underWay = new Map<number, FuzzCase>();
  readonly #known = new Set<string>();
  #nextIndex: number;
  #left: number;
  #answered = 0;
  #warmMiB: number | undefined;
  #peakMiB = 0;

  constructor(options: FuzzOptions, seeds: readonly SeedFile[], folder: string, say: Report) {
    this.#options = options;
    this.#seeds = seeds;
    this.#folder = folder;
    this.#say = say;
    this.#nextIndex = options.from;
    this.#left = options.count;
  }

  async toEnd(): Promise<FuzzReport> {
    const startedAt = performance.now();
    let endMiB = 0;
    while (this.#isUnfinished()) endMiB = await this.#withPod();
    if (this.#findings.length > 0) this.#keepLog();
    return {
      seedsDigest: digestOf(this.#seeds),
      outcomes: this.#outcomes,
      findings: this.#findings,
      memory: { warmMiB: this.#warmMiB, endMiB, peakMiB: this.#peakMiB },
      seconds: (performance.now() - startedAt) / 1000,
    };
  }

  #isUnfinished(): boolean {
    return this.#left > 0 && this.#findings.length < maxFindings;
  }

  /** Sends cases until all are answered or the process has ended. @returns MiB resident at the end */
  async #withPod(): Promise<number> {
    const pod = await Pod.start(this.#folder, this.#options.clients);
    this.#say(`the pod is process ${pod.pid}`);
    const life = { ended: false };
    const death = pod.ended.then((end) => {
      life.ended = true;
      return end;
    });
    const watch = this.#watch(pod, life);
    try {
      const client = async () => {
        while (!life.ended && this.#isUnfinished()) await this.#sendNext(pod, life);
      };
      await Promise.all(Array.from({ length: this.#options.clients }, client));
      await watch.stop();
      if (life.ended) {
        this.#found(`the process ended with ${await death}`, [...this.#underWay.values()]);
        this.#underWay.clear();
        return 0;
      }
      for (const what of await pod.leftovers()) this.#found(what, []);
      const endMiB = pod.memory()?.rssMiB ?? 0;
      this.#judgeMemory(endMiB);
      return endMiB;
    } finally {
      await watch.stop();
      for (const what of await pod.stop()) this.#found(what, []);
    }
  }

  #watch(pod: Pod, life: Life): { stop(): Promise<void> } {
    let stopped = false;
    let saidAt = performance.now();
    const look = async () => {
      const memory = pod.memory();
      this.#peakMiB = Math.max(this.#peakMiB, memory?.peakRssMiB ?? 0);
      const ailments = await pod.ailments();
      // A process that has just ended cannot answer either, and that is a finding of its own.
      if (ailments.length > 0) await newsOfDeath(pod);
      if (life.ended) return;
      for (const what of ailments) {
        if (this.#known.has(`${pod.pid} ${what}`)) continue;
        this.#known.add(`${pod.pid} ${what}`);
        this.#found(what, [...this.#underWay.values()]);
      }
      if (performance.now() - saidAt < sayMs) return;
      saidAt = performance.now();
      this.#say(
        `${this.#answered} of ${this.#options.count} cases, ${this.#findings.length} findings, ${memory?.rssMiB.toFixed(0)} MiB`,
      );
    };
    const stopper = new AbortController();
    const loop = async () => {
      while (!stopped) {
        await look();
        await sleep(watchMs, undefined, { signal: stopper.signal }).catch(() => undefined);
      }
      if (!life.ended) await look();
    };
    const done = loop();
    return {
      stop: async () => {
        stopped = true;
        stopper.abort();
        await done;
      },
    };
  }

  async #sendNext(pod: Pod, life: Life): Promise<void> {
    const { seed, kinds } = this.#options;
    while (!kinds.includes(kindOfCase(seed, this.#nextIndex))) this.#nextIndex += 1;
    const index = this.#nextIndex++;
    this.#left -= 1;
    const fuzzCase = caseOf(this.#seeds, seed, index);
    this.#underWay.set(index, fuzzCase);
    try {
      const judgement = await this.#judged(pod, fuzzCase);
      this.#count(fuzzCase.kind, judgement.outcome);
      if (judgement.problem !== undefined) this.#found(judgement.problem, [fuzzCase]);
      else if (fuzzCase.twice) await this.#judgeAgain(pod, fuzzCase, judgement);
    } catch (error) {
      await newsOfDeath(pod);
      if (life.ended) return;
      const late = error instanceof Error && error.name === 'TimeoutError';
      this.#count(fuzzCase.kind, late ? 'no answer' : 'cut');
      this.#found(late ? 'no answer came' : `the connection was cut: ${error}`, [fuzzCase]);
    }
    this.#underWay.delete(index);
    this.#answered += 1;
    if (this.#answered === warmUpCases) this.#warmMiB = pod.memory()?.rssMiB;
  }

  async #judged(pod: Pod, fuzzCase: FuzzCase, headers: Record<string, string> = {}): Promise<Judgement> {
    for (let waited = 0; ; waited += overloadWaitMs) {
      const answer = await pod.analyze(fuzzCase, headers);
      if (!isOverload(answer) || waited >= maxOverloadMs) return this.#withPicture(pod, judge(answer));
      await sleep(overloadWaitMs);
    }
  }

  async #withPicture(pod: Pod, judgement: Judgement): Promise<Judgement> {
    if (typeof judgement.visualization !== 'string') return judgement;
    const problem = await pod.pictureProblem(judgement.visualization);
    return problem === undefined ? judgement : { ...judgement, problem };
  }

  async #judgeAgain(pod: Pod, fuzzCase: FuzzCase, first: Judgement): Promise<void> {
    const second = await this.#judged(pod, fuzzCase, { 'cache-control': 'no-cache' });
    const problem = second.problem ?? disagreement(first, second);
    if (problem !== undefined) this.#found(problem, [fuzzCase]);
  }

  #judgeMemory(endMiB: number): void {
    if (this.#warmMiB === undefined || endMiB - this.#warmMiB <= maxGrowthMiB) return;
    const warm = this.#warmMiB.toFixed(0);
    this.#found(`${endMiB.toFixed(0)} MiB are resident at the end, ${warm} after ${warmUpCases} cases`, []);
  }

  /** The folder goes at the end, and what the pod said of a finding with it. */
  #keepLog(): void {
    const { out, seed } = this.#options;
    const kept = join(out, `${seed}-pod.log`);
    mkdirSync(out, { recursive: true });
    copyFileSync(join(this.#folder, POD_LOG), kept);
    this.#say(`what the pod logged: ${kept}`);
  }

  #count(kind: Kind, outcome: string): void {
    const counts = this.#outcomes.get(kind) ?? new Map<string, number>();
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
    this.#outcomes.set(kind, counts);
  }

  #found(what: string, cases: readonly FuzzCase[]): void {
    const { out, seed } = this.#options;
    this.#findings.push({ what, cases });
    this.#say(`FINDING  ${what}`);
    for (const { index, bytes, seedFile, mutations, model } of cases) {
      mkdirSync(out, { recursive: true });
      const file = join(out, `${seed}-${index}-${seedFile}`);
      writeFileSync(file, bytes);
      this.#say(`  case ${index}: ${seedFile} ${mutations.join(' ')}, judged by ${model}: ${file}`);
      this.#say(`  again: hack/fuzz --seed ${seed} --from ${index} --count 1`);
    }
  }
}
