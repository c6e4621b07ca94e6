/**
 * The pod's connection to Redis, for everything that uses it. Redis is a convenience: while it is away or slow its users are refused at
 * once, requests go on without it, and the log has one line per outage.
 */
import { Redis, ReplyError } from 'ioredis';
import { messageOf } from '../errors.ts';
import type { Logger } from '../observability/logger.ts';

export interface RedisConnectionOptions {
  /** May hold a password: never logged. */
  readonly url: string;
  readonly logger: Logger;
  readonly now?: () => number;
}

/** How long anybody waits for an answer. */
export const askLimitMs = 50;
/** After an answer that did not come in time nobody asks for so long. */
const breakMs = 2_000;
const connectTimeoutMs = 5_000;
/** A connection that owes an answer for so long is closed and made again. */
const silenceMs = 5_000;
const keepAliveMs = 30_000;

export class RedisConnection {
  readonly #logger: Logger;
  readonly #now: () => number;
  readonly #client: Redis;
  readonly #subscribers: Redis[] = [];
  /** Kinds of error answers that the log has already. */
  readonly #refusals = new Set<string>();
  #brokenUntil = 0;
  #troubled = false;
  #closing = false;

  /** Connects in the background, and again with growing pauses (up to 5 s) whenever the connection is lost. */
  constructor({ url, logger, now = () => performance.now() }: RedisConnectionOptions) {
    this.#logger = logger;
    this.#now = now;
    this.#client = new Redis(url, {
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      autoResubscribe: false,
      maxRetriesPerRequest: 0,
      connectTimeout: connectTimeoutMs,
      socketTimeout: silenceMs,
      keepAlive: keepAliveMs,
    });
    this.#client.on('error', (error) => this.#troubleBegins(messageOf(error)));
    this.#client.on('close', () => this.#troubleBegins('the connection was closed'));
    this.#client.on('ready', () => {
      this.#troubled = false;
      this.#refusals.clear();
      logger.info('Redis is connected');
    });
  }

  /** Whether it is worth asking: connected, and not silent lately. */
  isUp(): boolean {
    return this.#client.status === 'ready' && this.#now() >= this.#brokenUntil;
  }

  /**
   * Sends one command and waits for its answer, for `askLimitMs` at most.
   * @throws Error at once while Redis is down, later when it does not answer; ReplyError when it answers with an error
   */
  async ask<T>(command: (client: Redis) => Promise<T>): Promise<T> {
    if (!this.isUp()) throw new Error('Redis is not available');
    const { promise: tooLate, reject } = Promise.withResolvers<never>();
    // An answer that came while this thread was busy counts: it is read before the immediate runs.
    let lastCall: NodeJS.Immediate | undefined;
    const timer = setTimeout(() => {
      lastCall = setImmediate(() => reject(this.#break()));
    }, askLimitMs);
    try {
      const answer = await Promise.race([command(this.#client), tooLate]);
      this.#troubled = false;
      return answer;
    } catch (error) {
      if (error instanceof ReplyError) this.#refused(messageOf(error));
      throw error;
    } finally {
      clearTimeout(timer);
      clearImmediate(lastCall);
    }
  }

  /**
   * Hears every message of a channel while Redis is up, over a connection of its own, as the protocol wants it. What is published during
   * an outage is lost.
   */
  subscribe(channel: string, onMessage: (message: string) => void): void {
    // The outages of this connection are those of the other one, which tells of them.
    const subscriber = this.#client.duplicate({ socketTimeout: undefined });
    this.#subscribers.push(subscriber);
    subscriber.on('error', () => undefined);
    subscriber.on('ready', () => {
      subscriber.subscribe(channel).catch((error: unknown) => {
        if (error instanceof ReplyError) this.#refused(messageOf(error));
      });
    });
    subscriber.on('message', (_channel, message: string) => onMessage(message));
  }

  /** Lets what was sent arrive, for at most `limitMs`, and disconnects. */
  async close(limitMs: number): Promise<void> {
    this.#closing = true;
    for (const subscriber of this.#subscribers) subscriber.disconnect();
    const { promise: expired, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, limitMs);
    const quit = this.#client.status === 'ready' ? this.#client.quit().catch(() => undefined) : undefined;
    await Promise.race([quit, expired]);
    clearTimeout(timer);
    this.#client.disconnect();
  }

  #break(): Error {
    this.#brokenUntil = this.#now() + breakMs;
    const error = new Error(`Redis did not answer within ${askLimitMs} ms`);
    this.#troubleBegins(error.message);
    return error;
  }

  /** One line for an outage, however many requests and attempts fall into it. */
  #troubleBegins(reason: string): void {
    if (this.#troubled || this.#closing) return;
    this.#troubled = true;
    this.#logger.warn(
      { reason },
      'Redis cannot be used: until it is back progress events are dropped, results are not shared and each pod counts requests alone; check REDIS_URL and the server',
    );
  }

  /** One line per connection for each kind (OOM, NOPERM, READONLY): the server works and says no. */
  #refused(message: string): void {
    const kind = message.split(' ', 1)[0] ?? message;
    if (this.#refusals.has(kind)) return;
    this.#refusals.add(kind);
    this.#logger.warn(
      { reason: message },
      'Redis refuses a command; check its memory and the rights of this pod',
    );
  }
}
