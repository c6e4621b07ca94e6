/** Tries again while that makes sense. */
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../../errors.ts';
import { FetchError } from './errors.ts';
import { withoutSecrets } from './resource.ts';

export interface Patience {
  /** Attempts in a row that bring nothing new before it gives up. */
  readonly attempts: number;
  /** Wait before the second attempt, in milliseconds; doubles, or is what the source asks for, up to thirty seconds. */
  readonly retryMs: number;
  /** An attempt that receives nothing for this long, in milliseconds, is ended. */
  readonly idleMs: number;
}

const maxRetryMs = 30_000;
const certificateErrors: readonly string[] = [
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
];

/**
 * @param attempt may throw anything; only a FetchError other than SourceUnreachable ends it at once
 * @param gained grows with what attempts bring: one that brought something is not counted against the patience
 * @throws FetchError
 */
export async function persist<T>(
  url: string,
  { attempts, retryMs }: Patience,
  attempt: () => Promise<T>,
  gained: () => Promise<number> = async () => 0,
  wait: (waitMs: number) => Promise<void> = delay,
): Promise<T> {
  let fruitless = 0;
  for (;;) {
    const before = await gained();
    try {
      return await attempt();
    } catch (error) {
      if (error instanceof FetchError && error.reason !== 'SourceUnreachable') throw error;
      const progressed = (await gained()) > before;
      fruitless = progressed ? 1 : fruitless + 1;
      if (fruitless >= attempts) throw unreachable(url, error);
      const asked = error instanceof FetchError ? error.waitMs : 0;
      await wait(Math.min(maxRetryMs, Math.max(asked, retryMs * 2 ** (fruitless - 1))));
    }
  }
}

function unreachable(url: string, error: unknown): FetchError {
  if (error instanceof FetchError) return error;
  const { code = '' } = error as { code?: string };
  const said = messageOf(error) || code || 'the connection failed';
  const hint = certificateErrors.includes(code)
    ? '; name the file with the certificates of its authority in NODE_EXTRA_CA_CERTS'
    : '';
  return new FetchError('SourceUnreachable', `${withoutSecrets(url)}: ${said}${hint}`, { cause: error });
}
