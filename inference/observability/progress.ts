/** Progress events: what those who watch an analysis are told, and how it travels from pod to pod. */
import { z } from 'zod';
import type { ProgressStep } from '../pipelines/analysis.ts';
import type { RedisConnection } from '../redis/connection.ts';

/** One message on the channel, as JSON. Field names are a contract with subscribers. */
export interface ProgressEvent {
  /** Of this event, unlike that of any other: `<run>-<number>`, counting up within one analysis. */
  readonly id: string;
  readonly media_id: string;
  readonly user_id: string | null;
  readonly event:
    | ProgressStep['event']
    /** One of several models of an analysis has come to its end. */
    | 'MODEL_ANALYSIS_COMPLETE'
    | 'MODEL_ANALYSIS_FAILED'
    | 'ANALYSIS_COMPLETE'
    | 'ANALYSIS_FAILED';
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

/** Nothing follows in this analysis. */
export function isEnd({ event }: ProgressEvent): boolean {
  return event === 'ANALYSIS_COMPLETE' || event === 'ANALYSIS_FAILED';
}

/** published: Redis took it; dropped: not attempted without a working connection; failed: not confirmed. */
export type ProgressResult = 'published' | 'dropped' | 'failed';

export interface ProgressPublisher {
  /** Returns at once and never throws. */
  publish(event: ProgressEvent): void;
}

/** Events that Redis has not confirmed; more are dropped, so that a hanging Redis costs no memory. */
const maxUnconfirmed = 1000;

/** Tells the subscribers of a Redis channel, in the order of the calls. */
export class RedisProgressPublisher implements ProgressPublisher {
  readonly #redis: RedisConnection;
  readonly #channel: string;
  readonly #onResult: (result: ProgressResult) => void;
  #unconfirmed = 0;

  constructor(redis: RedisConnection, channel: string, onResult: (result: ProgressResult) => void) {
    this.#redis = redis;
    this.#channel = channel;
    this.#onResult = onResult;
  }

  publish(event: ProgressEvent): void {
    if (!this.#redis.isUp() || this.#unconfirmed >= maxUnconfirmed) {
      this.#onResult('dropped');
      return;
    }
    this.#unconfirmed += 1;
    this.#redis
      .ask((client) => client.publish(this.#channel, JSON.stringify(event)))
      .then(
        () => this.#onResult('published'),
        () => this.#onResult('failed'),
      )
      .finally(() => {
        this.#unconfirmed -= 1;
      });
  }
}

/** What a pod needs of another pod's event to pass it on; the event itself stays as it came. */
const passableSchema = z.looseObject({
  id: z.string().regex(/^[\w-]{1,64}$/),
  media_id: z.string(),
  event: z.string(),
});
const maxMessageBytes = 16 * 1024;

/** Undefined for what no pod of this version sent: others may use the channel too. */
export function parseProgressEvent(message: string): ProgressEvent | undefined {
  if (message.length > maxMessageBytes) return undefined;
  try {
    return passableSchema.parse(JSON.parse(message)) as unknown as ProgressEvent;
  } catch {
    return undefined;
  }
}
