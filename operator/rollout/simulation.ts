/** For tests: a cluster of numbers that carries out what a rollout decides, as fast and as well as a test says. */
import {
  type ModelDeploymentSpec,
  type ModelDeploymentStatus,
  modelDeploymentSpec,
} from '../api/model-deployment.ts';
import type { AnalysisRun } from '../api/rollout/analysis.ts';
import { timestamp } from '../runtime/conditions.ts';
import type {
  AnalysisPhase,
  RevisionObservation,
  RolloutDecision,
  RolloutEvent,
  RolloutInput,
} from './contract.ts';
import { promotedAt } from './history.ts';
import { advance } from './state.ts';
import { splitOf } from './steps.ts';

/** What becomes of the pods of a revision. */
export type Health = 'good' | 'crashing' | 'stuck';

interface SimulatedRevision {
  desired: number;
  replicas: number;
  available: number;
  /** On their way out, for a tick that goes on and for one more. */
  leaving: readonly [now: number, later: number];
  readonly createdAt: number;
  health: Health;
  late: boolean;
}

export interface SimulatedTraffic {
  stable: string | undefined;
  canary: string | undefined;
  weight: number | undefined;
  /** The router has taken the weight over; until then the one before is in force. */
  verified: boolean;
  inForce: number;
}

/** What of a decision is carried out before the next look. */
export interface Effects {
  readonly pods: boolean;
  readonly traffic: boolean;
  readonly analysis: boolean;
}

const ALL: Effects = { pods: true, traffic: true, analysis: true };

const START_MS = Date.parse('2026-01-01T00:00:00Z');

export const aSpec = (changes: object): ModelDeploymentSpec =>
  modelDeploymentSpec.parse({ models: [{ name: 'm' }], ...changes });

export class Simulation {
  nowMs = START_MS;
  wanted: string | undefined = 'v1';
  replicas: number;
  spec: ModelDeploymentSpec;
  status: ModelDeploymentStatus | undefined;
  /** Pods that find an accelerator; undefined: none is needed. */
  accelerators: number | undefined;
  readonly revisions = new Map<string, SimulatedRevision>();
  readonly traffic: SimulatedTraffic = {
    stable: undefined,
    canary: undefined,
    weight: undefined,
    verified: true,
    inForce: 0,
  };
  /** Whether the router takes weights over at once. */
  slowRouter = false;
  /** Whether it takes none over at all. */
  stuckRouter = false;
  health: (revision: string) => Health = () => 'good';
  readonly #least = new Map<string, number>();
  /** How an analysis stands after it began. */
  verdict: (revision: string, id: string) => AnalysisPhase = () => 'Successful';
  readonly events: RolloutEvent[] = [];

  constructor(spec: object) {
    this.spec = aSpec(spec);
    this.replicas = this.spec.replicas;
  }

  /** The spec with other fields. */
  respec(changes: object): void {
    this.spec = aSpec({ ...this.spec, ...changes });
    if ('replicas' in changes) this.replicas = this.spec.replicas;
  }

  /** An autoscaler of this revision has so many pods at least, while there are to be any. */
  autoscale(revision: string, least: number): this {
    this.#least.set(revision, least);
    return this;
  }

  /** What a person writes into status. */
  write(changes: Partial<ModelDeploymentStatus>): void {
    this.status = roundTrip({ ...this.status, ...changes });
  }

  input(): RolloutInput {
    const { spec, status, nowMs, traffic } = this;
    const revisions = [...this.revisions].map(([revision, pods]) => this.#observed(revision, pods));
    const available = revisions.reduce((sum, pods) => sum + pods.available, 0);
    const canary = revisions.find(({ revision }) => revision === this.wanted)?.available ?? 0;
    return {
      spec,
      status: roundTrip(status),
      nowMs,
      observation: {
        wantedRevision: this.wanted,
        revisions,
        analyses: (status?.canary?.analysis ?? []).map(({ id, phase }) => ({
          id,
          phase,
          message: 'measured',
        })),
        traffic: {
          stable: traffic.stable,
          canary: traffic.canary,
          canaryWeight: traffic.weight,
          verified: traffic.verified,
          achieved: available === 0 ? 0 : (100 * canary) / available,
          problem: undefined,
        },
        wantedReplicas: this.replicas,
        freeAccelerators:
          this.accelerators === undefined ? undefined : Math.max(0, this.accelerators - this.#scheduled()),
        leavingPods: this.#leaving(),
      },
    };
  }

  #observed(revision: string, pods: SimulatedRevision): RevisionObservation {
    const { desired, replicas, available, createdAt, late } = pods;
    const crashing = pods.health === 'crashing' && available < desired;
    const unscheduled =
      replicas > available && this.accelerators !== undefined && this.#scheduled() >= this.accelerators;
    const problem = crashing
      ? { reason: 'CrashLoopBackOff', message: 'exit code 2' }
      : unscheduled
        ? { reason: 'InsufficientGPU', message: '0/2 nodes are available' }
        : undefined;
    return {
      ...{ revision, desired, replicas, available, ready: available, observed: true, createdAt },
      ...{ problem, deadlineExceeded: late && available < desired },
    };
  }

  #kept(revision: string, { createdAt, replicas, available }: SimulatedRevision, stable: string | undefined) {
    const promoted = promotedAt(this.status, stable, revision, this.nowMs);
    return {
      ...{ revision, createdAt: timestamp(createdAt), replicas, ready: available },
      ...(promoted === undefined ? {} : { promotedAt: promoted }),
    };
  }

  #scheduled(): number {
    return [...this.revisions.values()].reduce((sum, pods) => sum + pods.available, this.#leaving());
  }

  #leaving(): number {
    return [...this.revisions.values()].reduce((sum, { leaving: [now, later] }) => sum + now + later, 0);
  }

  /** Decides once, and carries out what it may. */
  pass(effects: Effects = ALL): RolloutDecision {
    const decision = advance(this.input());
    this.events.push(...decision.events);
    const { target, runs } = this.#runs(decision, effects.analysis);
    this.status = roundTrip({
      ...decision.status,
      phase: decision.phase,
      message: decision.message,
      ...(runs.length > 0 && { canary: { ...decision.status.canary, analysis: runs } }),
      revisions: [...this.revisions].map(([revision, pods]) =>
        this.#kept(revision, pods, decision.status.stableRevision),
      ),
    });
    if (effects.traffic) this.#route(decision);
    if (effects.pods) this.#scale(decision);
    if (target !== undefined && !this.revisions.has(target) && this.wanted === target)
      this.#make(target, decision);
    return decision;
  }

  #runs({ status, analyses }: RolloutDecision, begin: boolean) {
    const target = status.currentRevision;
    const known = status.canary?.analysis ?? [];
    const begun = begin ? analyses.filter(({ id }) => !known.some((run) => run.id === id)) : [];
    const runs: AnalysisRun[] = [
      ...known,
      ...begun.map(({ id, step }) => ({
        ...{ id, revision: target ?? '', phase: 'Running' as const, startedAt: timestamp(this.nowMs) },
        ...(step !== undefined && { step }),
      })),
    ];
    return { target, runs };
  }

  #make(revision: string, decision: RolloutDecision): void {
    this.revisions.set(revision, {
      desired: decision.replicas.get(revision) ?? 0,
      replicas: 0,
      available: 0,
      leaving: [0, 0],
      createdAt: this.nowMs,
      health: this.health(revision),
      late: false,
    });
  }

  #route({ traffic }: RolloutDecision): void {
    if (!traffic) return;
    const changed = (this.traffic.weight ?? 0) !== traffic.canaryWeight;
    this.traffic.stable = traffic.stable;
    this.traffic.canary = traffic.canary;
    this.traffic.weight = traffic.canaryWeight;
    if (changed && this.slowRouter && splitOf(this.spec) === 'gatewayAPI') this.traffic.verified = false;
    if (this.traffic.verified) this.traffic.inForce = traffic.canaryWeight;
  }

  #scale({ replicas, remove }: RolloutDecision): void {
    for (const [name, count] of replicas) {
      const pods = this.revisions.get(name);
      if (!pods) continue;
      pods.desired = count === 0 ? 0 : Math.max(count, this.#least.get(name) ?? 0);
      // Pods that are not ready go first.
      const [now, later] = pods.leaving;
      pods.leaving = [now, later + Math.max(0, pods.available - pods.desired)];
      pods.available = Math.min(pods.available, pods.desired);
    }
    for (const name of remove) this.revisions.delete(name);
  }

  /** Time passes: at most so many pods of each revision come, go or get ready; the router takes over; analyses end. */
  tick(ms = 1000, most = Number.POSITIVE_INFINITY): void {
    this.nowMs += ms;
    this.traffic.verified = !this.stuckRouter;
    if (this.traffic.verified) this.traffic.inForce = this.traffic.weight ?? 0;
    for (const pods of this.revisions.values()) {
      pods.replicas +=
        Math.sign(pods.desired - pods.replicas) * Math.min(most, Math.abs(pods.desired - pods.replicas));
    }
    for (const pods of this.revisions.values()) {
      const room = this.accelerators === undefined ? most : this.accelerators - this.#scheduled();
      const ready = pods.health === 'good' ? Math.min(pods.replicas, pods.desired) : 0;
      pods.available += Math.max(0, Math.min(most, room, ready - pods.available));
      if (pods.health === 'crashing') pods.available = 0;
    }
    for (const pods of this.revisions.values()) pods.leaving = [pods.leaving[1], 0];
    this.measure();
  }

  measure(): void {
    const runs = this.status?.canary?.analysis?.map((run) => {
      const phase = run.phase === 'Running' ? this.verdict(run.revision, run.id) : run.phase;
      return { ...run, phase, metrics: [{ name: 'm', phase, successful: phase === 'Failed' ? 0 : 1 }] };
    });
    if (this.status && runs)
      this.status = { ...this.status, canary: { ...this.status.canary, analysis: runs } };
  }

  /** Goes on until nothing changes but by time, or for so many passes. */
  settle(passes = 400): this {
    for (let pass = 0; pass < passes; pass++) {
      const before = this.#snapshot();
      this.pass();
      this.tick();
      if (this.#snapshot() === before) return this;
    }
    throw new Error(`not settled after ${passes} passes: ${this.status?.message}`);
  }

  #snapshot(): string {
    return JSON.stringify([this.status, [...this.revisions], this.traffic]);
  }

  /** Settles, with a jump over every wait that ends by itself. */
  run(): this {
    for (let jump = 0; jump < 200; jump++) {
      this.settle();
      const { lookAgainInMs } = this.pass();
      if (lookAgainInMs === undefined) return this;
      this.tick(lookAgainInMs + 1000);
    }
    throw new Error(`time does not end it: ${this.status?.message}`);
  }

  /** Pods of each revision that are asked for. */
  get pods(): Record<string, number> {
    return Object.fromEntries([...this.revisions].map(([name, { desired }]) => [name, desired]));
  }
}

/** As a successor reads it. */
function roundTrip<T>(value: T): T {
  return value === undefined ? value : (JSON.parse(JSON.stringify(value)) as T);
}
