/** Progress events over Redis Pub/Sub. Redis is a convenience: nothing here delays, fails or remembers a request. */
import { Redis } from 'ioredis';
import { messageOf } from '../errors.ts';
import type { ProgressStep } from '../pipelines/analysis.ts';
import type { Logger } from './logger.ts';

/** One message on the channel, as JSON. Field names are a contract with subscribers. */
export interface ProgressEvent {
  readonly media_id: string;
  readonly user_id: string | null;
  readonly event: ProgressStep['event'] | 'ANALYSIS_COMPLETE' | 'ANALYSIS_FAILED';
  readonly message: string;
  readonly data: {
    /** Null when the analysis failed before a model was chosen. */
    readonly model_name: string | null;
    /** Steps done and steps in all; null for events that end an analysis. */
    readonly progress: number | null;
    readonly total: number | null;
    readonly details: Readonly<Record<string, string | number | null>>;
  };
}

/** published: Redis took it; dropped: not attempted without a working connection; failed: not confirmed. */
export type ProgressResult = 'published' | 'dropped' | 'failed';

export interface ProgressPublisher {
  /** Returns at once and never throws. */
  publish(event: ProgressEvent): void;
  isConnected(): boolean;
  /** Lets what was published arrive, for at most `limitMs`, and disconnects. */
  close(limitMs: number): Promise<void>;
}

export interface RedisProgressOptions {
  /** May hold a password: never logged. */
  readonly url: string;
  readonly channel: string;
  readonly logger: Logger;
  readonly onResult: (result: ProgressResult) => void;
}

/** Events that Redis has not confirmed; more are dropped, so that a hanging Redis costs no memory. */
const maxUnconfirmed = 1000;
const connectTimeoutMs = 5_000;
/** A connection that owes an answer for so long is closed and made again. */
const silenceMs = 5_000;

/** For a pod without Redis. */
export const noProgress: ProgressPublisher = {
  publish: () => undefined,
  isConnected: () => false,
  close: async () => undefined,
};

export class RedisProgressPublisher implements ProgressPublisher {
  readonly #options: RedisProgressOptions;
  readonly #redis: Redis;
  #unconfirmed = 0;
  #troubled = false;
  #closing = false;

  /** Connects in the background, and again with growing pauses (up to 5 s) whenever the connection is lost. */
  constructor(options: RedisProgressOptions) {
    this.#options = options;
    this.#redis = new Redis(options.url, {
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      enableReadyCheck: false,
      connectTimeout: connectTimeoutMs,
      socketTimeout: silenceMs,
    });
    this.#redis.on('error', (error) => this.#warnOnce(messageOf(error)));
    this.#redis.on('close', () => this.#warnOnce('the connection was closed'));
    this.#redis.on('ready', () => {
      this.#troubled = false;
      options.logger.info({ channel: options.channel }, 'progress events go to Redis');
    });
  }

  publish(event: ProgressEvent): void {
    const { channel, onResult } = this.#options;
    if (!this.isConnected() || this.#unconfirmed >= maxUnconfirmed) {
      onResult('dropped');
      return;
    }
    this.#unconfirmed += 1;
    this.#redis
      .publish(channel, JSON.stringify(event))
      .then(
        () => {
          this.#troubled = false;
          onResult('published');
        },
        (error: unknown) => {
          this.#warnOnce(messageOf(error));
          onResult('failed');
        },
      )
      .finally(() => {
        this.#unconfirmed -= 1;
      });
  }

  isConnected(): boolean {
    return this.#redis.status === 'ready';
  }

  async close(limitMs: number): Promise<void> {
    this.#closing = true;
    const { promise: expired, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, limitMs);
    const quit = this.isConnected() ? this.#redis.quit().catch(() => undefined) : undefined;
    await Promise.race([quit, expired]);
    clearTimeout(timer);
    this.#redis.disconnect();
  }

  /** One line for an outage, however many requests and attempts fall into it. */
  #warnOnce(reason: string): void {
    if (this.#troubled || this.#closing) return;
    this.#troubled = true;
    this.#options.logger.warn(
      { reason },
      'Redis cannot be used: progress events are dropped until it is back; check REDIS_URL and the server',
    );
  }
}
