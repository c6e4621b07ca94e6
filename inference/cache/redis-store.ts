import type { RedisConnection } from '../redis/connection.ts';
import type { Store } from './store.ts';

const prefix = 'deepfake:judgement:';

/** Shared by all pods that use the same Redis. Entries expire there; what it evicts is judged again. */
export class RedisStore implements Store {
  readonly #redis: RedisConnection;

  constructor(redis: RedisConnection) {
    this.#redis = redis;
  }

  async read(key: string): Promise<string | undefined> {
    return (await this.#redis.ask((client) => client.get(prefix + key))) ?? undefined;
  }

  async write(key: string, text: string, ttlMs: number): Promise<void> {
    await this.#redis.ask((client) => client.set(prefix + key, text, 'PX', ttlMs));
  }
}
