import type { V1Lease } from '@kubernetes/client-node';
import type { Logger } from 'pino';
import type { KubeClient, WriteGuard } from './client.ts';
import { type Clock, sleep, systemClock } from './clock.ts';
import { microTimestamp } from './conditions.ts';
import { messageOf } from './errors.ts';
import { link } from './link.ts';
import type { Kind, Raw } from './object.ts';

export type Lease = Raw<V1Lease>;
export const LEASE: Kind<Lease> = {
  apiVersion: 'coordination.k8s.io/v1',
  kind: 'Lease',
  plural: 'leases',
  namespaced: true,
};

export interface LeaderElectionOptions {
  /** For the Lease alone: its requests must not queue behind others. */
  readonly client: KubeClient;
  readonly log: Logger;
  readonly namespace: string;
  readonly name: string;
  /** Unique among the candidates: the pod's name. */
  readonly identity: string;
  /** A lease not renewed for this long may be taken, ms (default 15,000). */
  readonly leaseMs?: number;
  /** A leader that could not renew for this long stops leading, ms; less than leaseMs (default 10,000). */
  readonly renewDeadlineMs?: number;
  /** Between attempts to take or renew, ms (default 2,000). */
  readonly retryMs?: number;
  readonly clock?: Clock;
}

/**
 * Leadership by a Lease. Whether a lease has expired is judged by how long *this* process saw it unchanged, so clocks need
 * not agree. A leader's own time runs from *before* it asked to renew, so that it gives up before anybody may take over,
 * however slow the answer was. A leader that cannot renew in time has to end its process: others may write by then.
 */
export class LeaderElection {
  readonly #options: Required<LeaderElectionOptions>;
  readonly #ended = new AbortController();
  /** The lease as last seen, and when it was first seen like that. */
  #seen: { readonly resourceVersion: string | undefined; readonly at: number } | undefined;
  #lease: Lease | undefined;
  /** Until when leadership is certain, by `Clock.monotonic`. */
  #leadsUntil = Number.NEGATIVE_INFINITY;

  /** @throws RangeError for times with which two could lead at once, or one could never renew */
  constructor(options: LeaderElectionOptions) {
    this.#options = {
      leaseMs: 15_000,
      renewDeadlineMs: 10_000,
      retryMs: 2_000,
      clock: systemClock,
      ...options,
    };
    const { leaseMs, renewDeadlineMs, retryMs, name } = this.#options;
    if (!(retryMs < renewDeadlineMs && renewDeadlineMs < leaseMs)) {
      const times = `retryMs ${retryMs}, renewDeadlineMs ${renewDeadlineMs}, leaseMs ${leaseMs}`;
      throw new RangeError(`lease ${name}: of ${times} each has to be less than the next`);
    }
  }

  /** Leave to write for as long as this process leads: give it to every client that does. */
  get guard(): WriteGuard {
    return { signal: this.#ended.signal, check: () => this.#assertLeads() };
  }

  /** Waits until this process leads. Resolves false if the signal aborts before. */
  async acquire(signal: AbortSignal): Promise<boolean> {
    const { clock, retryMs, renewDeadlineMs } = this.#options;
    while (!signal.aborted) {
      if (await this.#tryOnce(signal, renewDeadlineMs)) return true;
      await sleep(clock, retryMs, signal);
    }
    return false;
  }

  /**
   * Renews until the signal aborts (then gives the lease back and resolves) or leadership is lost (then throws). Either way
   * the guard gives no leave from there on.
   */
  async hold(signal: AbortSignal): Promise<void> {
    const { clock, retryMs } = this.#options;
    try {
      while (!signal.aborted) {
        await sleep(clock, Math.min(retryMs, this.#left()), signal);
        if (signal.aborted) break;
        const left = this.#left();
        const renewed = left > 0 && (await this.#tryOnce(signal, left));
        if (!renewed && !signal.aborted) this.#assertLeads();
      }
    } catch (error) {
      this.#ended.abort(error);
      throw error;
    }
    this.#ended.abort(new Error(`lease ${this.#options.name} is given back`));
    await this.#release();
  }

  /** Whole ms for which leadership is still certain. */
  #left(): number {
    return Math.floor(this.#leadsUntil - this.#options.clock.monotonic());
  }

  #assertLeads(): void {
    this.#ended.signal.throwIfAborted();
    const { renewDeadlineMs, name, identity } = this.#options;
    const holder = this.#lease?.spec?.holderIdentity;
    if (holder !== identity) throw new Error(`lease ${name} was taken by ${holder || 'nobody'}`);
    if (this.#left() <= 0) throw new Error(`lease ${name} could not be renewed for ${renewDeadlineMs} ms`);
  }

  async #tryOnce(stop: AbortSignal, timeoutMs: number): Promise<boolean> {
    const { client, namespace, name, identity, log, clock, renewDeadlineMs } = this.#options;
    const askedAt = clock.monotonic();
    const { signal, release } = link([stop], timeoutMs);
    try {
      const live = await client.find(LEASE, { namespace, name }, signal);
      this.#observe(live);
      if (live && !this.#mayTake(live)) return false;
      this.#observe(await this.#write(live, signal));
      this.#leadsUntil = askedAt + renewDeadlineMs;
      return true;
    } catch (error) {
      if (!signal.aborted) log.debug({ error: messageOf(error), identity }, 'lease not taken');
      return false;
    } finally {
      release();
    }
  }

  #observe(lease: Lease | undefined): void {
    this.#lease = lease;
    const resourceVersion = lease?.metadata.resourceVersion;
    if (!this.#seen || this.#seen.resourceVersion !== resourceVersion) {
      this.#seen = { resourceVersion, at: this.#options.clock.monotonic() };
    }
  }

  #mayTake({ spec }: Lease): boolean {
    const { identity, clock, leaseMs } = this.#options;
    if (!spec?.holderIdentity || spec.holderIdentity === identity) return true;
    const duration = spec.leaseDurationSeconds === undefined ? leaseMs : spec.leaseDurationSeconds * 1000;
    return clock.monotonic() - (this.#seen?.at ?? 0) > duration;
  }

  #write(live: Lease | undefined, signal: AbortSignal): Promise<Lease> {
    const { client, namespace, name, identity, clock, leaseMs } = this.#options;
    const now = microTimestamp(clock.now());
    const kept = live?.spec?.holderIdentity === identity;
    const spec = {
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(leaseMs / 1000),
      renewTime: now,
      acquireTime: kept ? (live.spec?.acquireTime ?? now) : now,
      leaseTransitions: (live?.spec?.leaseTransitions ?? 0) + (live && !kept ? 1 : 0),
    };
    if (!live) {
      const lease = { apiVersion: LEASE.apiVersion, kind: LEASE.kind, metadata: { namespace, name }, spec };
      return client.create(LEASE, lease as Lease, signal);
    }
    const body = { metadata: { resourceVersion: live.metadata.resourceVersion }, spec };
    return client.patch(LEASE, { namespace, name }, body, { signal });
  }

  /** Lets the next candidate take over at once instead of after the lease's duration. */
  async #release(): Promise<void> {
    const { client, namespace, name, identity, log } = this.#options;
    if (this.#lease?.spec?.holderIdentity !== identity) return;
    const body = {
      metadata: { resourceVersion: this.#lease.metadata.resourceVersion },
      spec: { holderIdentity: '', leaseDurationSeconds: 1 },
    };
    try {
      await client.patch(LEASE, { namespace, name }, body, { signal: AbortSignal.timeout(3_000) });
    } catch (error) {
      log.warn({ error: messageOf(error) }, 'lease not given back; the next leader waits for it to expire');
    }
  }
}
