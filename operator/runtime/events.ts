import type { EventsV1Event } from '@kubernetes/client-node';
import type { Logger } from 'pino';
import type { KubeClient } from './client.ts';
import { type Clock, systemClock } from './clock.ts';
import { microTimestamp } from './conditions.ts';
import { isNamespaceTerminating, isNotFound, messageOf } from './errors.ts';
import type { Kind, KubeObject, Raw } from './object.ts';

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
/** Limits of the API server, in bytes. */
const NOTE_MAX = 1024;
const REASON_MAX = 128;
const KEPT = 1_000;

/** Tells users what happened to their objects. Repetitions are counted on one Event. Never fails a reconcile. */
export class EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #clock: Clock;
  readonly #recent = new Map<string, { name: string; count: number; at: number }>();
  #serial = 0;
  #tail: Promise<void> = Promise.resolve();

  constructor(options: EventRecorderOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  record(kind: Kind, regarding: KubeObject, event: EventNote): void {
    this.#tail = this.#tail.then(() => this.#write(kind, regarding, event));
  }

  /** Resolves when everything recorded so far was sent or given up. */
  flush(): Promise<void> {
    return this.#tail;
  }

  async #write(kind: Kind, regarding: KubeObject, event: EventNote): Promise<void> {
    const now = this.#clock.now();
    const key = JSON.stringify([kind.kind, regarding.metadata.uid, event]);
    const known = this.#recent.get(key);
    try {
      if (known && now - known.at < SERIES_MS && (await this.#repeat(known, regarding, now))) return;
      const name = await this.#create(kind, regarding, event, now);
      this.#recent.delete(key);
      this.#recent.set(key, { name, count: 1, at: now });
      for (const oldest of this.#recent.keys()) {
        if (this.#recent.size <= KEPT) break;
        this.#recent.delete(oldest);
      }
    } catch (error) {
      if (isNamespaceTerminating(error)) return;
      this.#options.log.warn({ error: messageOf(error), reason: event.reason }, 'event not recorded');
    }
  }

  /** Counts a repetition on the event that is there; false if it is there no more. */
  async #repeat(
    known: { name: string; count: number; at: number },
    { metadata }: KubeObject,
    now: number,
  ): Promise<boolean> {
    const series = { count: known.count + 1, lastObservedTime: microTimestamp(now) };
    try {
      await this.#options.client.patch(
        EVENT,
        { namespace: namespaceOf(metadata), name: known.name },
        { series },
      );
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
    known.count += 1;
    known.at = now;
    return true;
  }

  async #create(
    kind: Kind,
    { metadata }: KubeObject,
    { type, reason, action, note }: EventNote,
    now: number,
  ): Promise<string> {
    this.#serial += 1;
    const name = `${metadata.name}.${now.toString(16)}${this.#serial.toString(16)}`;
    const namespace = namespaceOf(metadata);
    const event = {
      apiVersion: EVENT.apiVersion,
      kind: EVENT.kind,
      metadata: { name, namespace },
      eventTime: microTimestamp(now),
      type,
      reason: cutToBytes(reason, REASON_MAX),
      action: cutToBytes(action, REASON_MAX),
      note: cutToBytes(note, NOTE_MAX),
      reportingController: this.#options.controller,
      reportingInstance: this.#options.instance,
      regarding: {
        apiVersion: kind.apiVersion,
        kind: kind.kind,
        name: metadata.name,
        ...(metadata.namespace ? { namespace: metadata.namespace } : {}),
        ...(metadata.uid ? { uid: metadata.uid } : {}),
      },
    };
    await this.#options.client.create(EVENT, event as Event);
    return name;
  }
}

const namespaceOf = (metadata: KubeObject['metadata']) => metadata.namespace || 'default';

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
