import type { EventsV1Event } from '@kubernetes/client-node';
import type { Logger } from 'pino';
import { type Backoff, backoffMs } from './backoff.ts';
import type { KubeClient } from './client.ts';
import { type Clock, sleep, systemClock } from './clock.ts';
import { microTimestamp } from './conditions.ts';
import { ApiError, isNamespaceTerminating, isNotFound, messageOf } from './errors.ts';
import type { Kind, KubeObject, Raw } from './object.ts';
import { RecentMap } from './recent-map.ts';
import { type Rate, TokenBucket } from './token-bucket.ts';

type Event = Raw<EventsV1Event>;
export const EVENT: Kind<Event> = {
  apiVersion: 'events.k8s.io/v1',
  kind: 'Event',
  plural: 'events',
  namespaced: true,
};

export interface EventRecorderOptions {
  readonly client: KubeClient;
  readonly log: Logger;
  /** `domain/name` of the controller. */
  readonly controller: string;
  /** This process: the pod's name. */
  readonly instance: string;
  readonly clock?: Clock;
}

export interface EventNote {
  readonly type: 'Normal' | 'Warning';
  /** Why, in CamelCase: what `kubectl get events` shows. */
  readonly reason: string;
  /** What the controller did or tried, in CamelCase. */
  readonly action: string;
  readonly note: string;
}

/** Equal events within this time become one with a count, ms. */
const SERIES_MS = 6 * 60_000;
/** Of events that differ in their note only, so many within the time are told one by one, the others as one series. */
const SIMILAR_MAX = 10;
const SIMILAR_MS = 10 * 60_000;
/** Of one object: 25 at once, then one every five minutes. What is above is not told. */
const PER_OBJECT: Rate = { perSecond: 1 / 300, burst: 25 };
/** Limits of the API server, in bytes. */
const NOTE_MAX = 1024;
const REASON_MAX = 128;
/** Objects and series that are remembered. */
const KEPT = 4_096;
/** Events that wait to be sent; what comes on top is not told. */
const WAITING_MAX = 1_000;
const ATTEMPTS = 5;
const BACKOFF: Backoff = { baseMs: 1_000, capMs: 10_000 };

interface Waiting {
  readonly kind: Kind;
  readonly regarding: KubeObject;
  readonly event: EventNote;
  readonly at: number;
  /** How often it happened since it waits. */
  count: number;
}

interface Series {
  readonly name: string;
  readonly count: number;
  readonly at: number;
}

/**
 * Tells users what happened to their objects, beside the passes: `record` returns at once and never throws. Repetitions are
 * counted on one Event, similar ones are told as one, and an object that has much to say is cut short, so that a loop
 * cannot flood the API server. An Event that cannot be written is tried again for a while and then dropped, with a log line.
 */
export class EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #clock: Clock;
  readonly #waiting = new Map<string, Waiting>();
  readonly #series = new RecentMap<Series>(KEPT);
  readonly #buckets = new RecentMap<TokenBucket>(KEPT);
  readonly #similar = new RecentMap<{ readonly at: number; readonly notes: Set<string> }>(KEPT);
  #serial = 0;
  #dropped = 0;
  #sending: Promise<void> | undefined;
  #givenUp = new AbortController();

  constructor(options: EventRecorderOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  record(kind: Kind, regarding: KubeObject, event: EventNote): void {
    const told = this.#aggregate(kind, regarding, event);
    const key = keyOf(kind, regarding, told);
    const waiting = this.#waiting.get(key);
    if (waiting) {
      waiting.count += 1;
      return;
    }
    if (this.#waiting.size >= WAITING_MAX || !this.#mayTell(kind, regarding)) {
      this.#drop(told);
      return;
    }
    this.#waiting.set(key, { kind, regarding, event: told, at: this.#clock.now(), count: 1 });
    this.#sending ??= this.#send();
  }

  /** Resolves when everything recorded so far was sent or given up; when the signal aborts, what waits is given up. */
  async flush(signal?: AbortSignal): Promise<void> {
    const giveUp = () => this.#givenUp.abort();
    if (signal?.aborted) giveUp();
    signal?.addEventListener('abort', giveUp, { once: true });
    while (this.#sending) await this.#sending;
    signal?.removeEventListener('abort', giveUp);
    this.#givenUp = new AbortController();
  }

  /** The event as it is told: the eleventh of its kind with yet another note speaks for all that follow. */
  #aggregate(kind: Kind, { metadata }: KubeObject, event: EventNote): EventNote {
    const { type, reason, action, note } = event;
    const key = JSON.stringify([kind.kind, metadata.uid, metadata.name, type, reason, action]);
    const now = this.#clock.monotonic();
    const known = this.#similar.get(key);
    const similar = known && now - known.at < SIMILAR_MS ? known : { at: now, notes: new Set<string>() };
    this.#similar.set(key, similar);
    if (similar.notes.has(note)) return event;
    if (similar.notes.size >= SIMILAR_MAX) {
      return {
        ...event,
        note: `similar events with other notes; the first ${SIMILAR_MAX} were told one by one`,
      };
    }
    similar.notes.add(note);
    return event;
  }

  #mayTell(kind: Kind, { metadata }: KubeObject): boolean {
    const key = JSON.stringify([kind.kind, metadata.namespace, metadata.name, metadata.uid]);
    const bucket = this.#buckets.get(key) ?? new TokenBucket(PER_OBJECT, this.#clock);
    this.#buckets.set(key, bucket);
    return bucket.tryTake();
  }

  #drop({ reason }: EventNote): void {
    this.#dropped += 1;
    // One line for a flood, not one each.
    if (Number.isInteger(Math.log2(this.#dropped))) {
      this.#options.log.warn({ reason, dropped: this.#dropped }, 'too many events, some are not told');
    }
  }

  async #send(): Promise<void> {
    for (;;) {
      const [key, waiting] = this.#waiting.entries().next().value ?? [];
      if (key === undefined || waiting === undefined) {
        this.#sending = undefined;
        return;
      }
      this.#waiting.delete(key);
      await this.#write(key, waiting);
    }
  }

  async #write(key: string, waiting: Waiting): Promise<void> {
    const { signal } = this.#givenUp;
    for (let attempt = 1; !signal.aborted; attempt += 1) {
      try {
        await this.#writeOnce(key, waiting, signal);
        return;
      } catch (error) {
        if (isNamespaceTerminating(error)) return;
        if (signal.aborted || attempt >= ATTEMPTS || !mayPass(error)) {
          const { reason } = waiting.event;
          this.#options.log.warn({ error: messageOf(error), reason }, 'event not recorded');
          return;
        }
        await sleep(this.#clock, backoffMs(attempt, BACKOFF, Math.random), signal);
      }
    }
  }

  async #writeOnce(key: string, waiting: Waiting, signal: AbortSignal): Promise<void> {
    const known = this.#series.get(key);
    const goesOn = known && waiting.at - known.at < SERIES_MS;
    if (goesOn && (await this.#continue(key, known, waiting, signal))) return;
    const name = await this.#create(waiting, signal);
    this.#series.set(key, { name, count: waiting.count, at: waiting.at });
  }

  /** Counts a repetition on the event that is there; false if it is there no more. */
  async #continue(
    key: string,
    { name, count }: Series,
    { regarding, at, count: more }: Waiting,
    signal: AbortSignal,
  ): Promise<boolean> {
    const series = { count: count + more, lastObservedTime: microTimestamp(at) };
    const namespace = namespaceOf(regarding.metadata);
    try {
      await this.#options.client.patch(EVENT, { namespace, name }, { series }, { signal });
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
    this.#series.set(key, { name, count: series.count, at });
    return true;
  }

  async #create(
    { kind, regarding: { metadata }, event, at, count }: Waiting,
    signal: AbortSignal,
  ): Promise<string> {
    this.#serial += 1;
    const name = `${metadata.name}.${at.toString(16)}${this.#serial.toString(16)}`;
    const namespace = namespaceOf(metadata);
    const time = microTimestamp(at);
    const object = {
      apiVersion: EVENT.apiVersion,
      kind: EVENT.kind,
      metadata: { name, namespace },
      eventTime: time,
      type: event.type,
      reason: cutToBytes(event.reason, REASON_MAX),
      action: cutToBytes(event.action, REASON_MAX),
      note: cutToBytes(event.note, NOTE_MAX),
      reportingController: this.#options.controller,
      reportingInstance: this.#options.instance,
      ...(count > 1 ? { series: { count, lastObservedTime: time } } : {}),
      regarding: {
        apiVersion: kind.apiVersion,
        kind: kind.kind,
        name: metadata.name,
        ...(metadata.namespace ? { namespace: metadata.namespace } : {}),
        ...(metadata.uid ? { uid: metadata.uid } : {}),
      },
    };
    await this.#options.client.create(EVENT, object as Event, signal);
    return name;
  }
}

const keyOf = (kind: Kind, { metadata }: KubeObject, event: EventNote) =>
  JSON.stringify([kind.kind, metadata.namespace, metadata.name, metadata.uid, event]);

const namespaceOf = (metadata: KubeObject['metadata']) => metadata.namespace || 'default';

/** Whether trying again can help: not where the server took the request and refused it. */
const mayPass = (error: unknown) =>
  !(error instanceof ApiError) || error.status === 429 || error.status >= 500;

/** At most `max` bytes of UTF-8, whole characters; an ellipsis stands for the rest. */
function cutToBytes(text: string, max: number): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= max) return text;
  const ellipsis = '…';
  let end = max - Buffer.byteLength(ellipsis);
  // A byte 10xxxxxx continues a character.
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.subarray(0, end).toString() + ellipsis;
}
