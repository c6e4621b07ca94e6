import type { RedisConnection } from './connection.ts';

/** What was counted under a key, with this time. */
export interface WindowCount {
  readonly current: number;
  /** Milliseconds until counting begins anew. */
  readonly ttl: number;
}

/**
 * Counts once more under a key, in a window that began with the first count.
 * @throws Error of `RedisConnection.ask`, or what Redis answers in place of a number
 */
export async function countInWindow(
  redis: RedisConnection,
  key: string,
  windowMs: number,
): Promise<WindowCount> {
  // One transaction: a window without an end would lock its client out for good.
  const answers = await redis.ask((client) =>
    client.multi().set(key, 0, 'PX', windowMs, 'NX').incr(key).pttl(key).exec(),
  );
  const [, current, ttl] = (answers ?? []).map(([error, answer]) => {
    if (error !== null) throw error;
    return answer;
  });
  if (typeof current !== 'number' || typeof ttl !== 'number')
    throw new Error(`Redis answered ${JSON.stringify(answers)} to a count`);
  return { current, ttl };
}
