/** Where judgements are kept, by key, as text. */
import { LRUCache } from 'lru-cache';

export interface Store {
  /** Undefined for what is not there. @throws Error where the store cannot be asked */
  read(key: string): Promise<string | undefined>;
  /** @throws Error where the store did not take it */
  write(key: string, text: string, ttlMs: number): Promise<void>;
}

/** Entries beyond this many bytes are not kept: one of them would drive out hundreds. */
const maxEntryBytes = 1024 ** 2;

/** The least recently used entries go when all together would have more bytes than allowed. */
export class MemoryStore implements Store {
  readonly #entries: LRUCache<string, string>;

  constructor(maxBytes: number, now: () => number = () => performance.now()) {
    this.#entries = new LRUCache<string, string>({
      maxSize: maxBytes,
      maxEntrySize: Math.min(maxBytes, maxEntryBytes),
      sizeCalculation: (text, key) => Buffer.byteLength(text) + key.length,
      ttlResolution: 0,
      perf: { now },
    });
  }

  get bytes(): number {
    return this.#entries.calculatedSize;
  }

  get entries(): number {
    return this.#entries.size;
  }

  async read(key: string): Promise<string | undefined> {
    return this.#entries.get(key);
  }

  async write(key: string, text: string, ttlMs: number): Promise<void> {
    this.#entries.set(key, text, { ttl: ttlMs });
  }
}
