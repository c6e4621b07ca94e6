/** Who in this pod wants to know of which media, and the last events of each, for those who come late or come back. */
import { LRUCache } from 'lru-cache';
import { isEnd, type ProgressEvent, type ProgressPublisher } from './progress.ts';

type Listener = (event: ProgressEvent) => void;

const maxMedia = 500;
const maxEventsOfMedia = 64;
/** From the last event of a media. */
const memoryMs = 60_000;

export class ProgressBus implements ProgressPublisher {
  readonly #listeners = new Map<string, Set<Listener>>();
  readonly #recent: LRUCache<string, readonly ProgressEvent[]>;
  readonly #others: ProgressPublisher | undefined;

  /** @param others hear of what happens here too */
  constructor(others?: ProgressPublisher, now: () => number = () => performance.now()) {
    this.#others = others;
    this.#recent = new LRUCache({ max: maxMedia, ttl: memoryMs, ttlResolution: 0, perf: { now } });
  }

  publish(event: ProgressEvent): void {
    this.receive(event);
    this.#others?.publish(event);
  }

  /** An event of any pod; one that is known already (this pod hears its own again) is dropped. */
  receive(event: ProgressEvent): void {
    const known = this.#recent.get(event.media_id) ?? [];
    if (known.some(({ id }) => id === event.id)) return;
    this.#recent.set(event.media_id, [...known, event].slice(-maxEventsOfMedia));
    for (const listener of this.#listeners.get(event.media_id) ?? []) listener(event);
  }

  /**
   * The events that a watcher has missed.
   * @param lastId of the last event that it has: what came after it, or all that is remembered where the id is not; without one, the events
   * of an analysis that is under way
   */
  missed(mediaId: string, lastId: string | undefined): readonly ProgressEvent[] {
    const known = this.#recent.get(mediaId) ?? [];
    if (lastId !== undefined) return known.slice(known.findIndex(({ id }) => id === lastId) + 1);
    return known.slice(known.findLastIndex(isEnd) + 1);
  }

  /** Whether this was the last event of the media so far, and ended an analysis. */
  isOver(mediaId: string, lastId: string): boolean {
    const last = this.#recent.get(mediaId)?.at(-1);
    return last !== undefined && last.id === lastId && isEnd(last);
  }

  /** @returns what ends it */
  listen(mediaId: string, listener: Listener): () => void {
    const listeners = this.#listeners.get(mediaId) ?? new Set();
    this.#listeners.set(mediaId, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#listeners.get(mediaId) === listeners) this.#listeners.delete(mediaId);
    };
  }

  get listenerCount(): number {
    return [...this.#listeners.values()].reduce((sum, listeners) => sum + listeners.size, 0);
  }
}
