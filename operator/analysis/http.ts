/** Bounded requests: nothing that answers slowly, endlessly or not at all keeps an analysis. */
import { request } from 'undici';
import { messageOf } from '../runtime/errors.ts';

export interface Answer {
  readonly status: number;
  readonly text: string;
}

export interface Bounds {
  /** From the connection to the last byte, ms. */
  readonly timeoutMs: number;
  readonly maxBytes: number;
  readonly signal?: AbortSignal | undefined;
}

/** @throws Error that says in one line what kept the answer away; the signal's reason */
export async function getText(url: string, { timeoutMs, maxBytes, signal }: Bounds): Promise<Answer> {
  const timeout = AbortSignal.timeout(timeoutMs);
  const either = signal ? AbortSignal.any([signal, timeout]) : timeout;
  try {
    const { statusCode, body } = await request(url, { signal: either, headers: { accept: '*/*' } });
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of body as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      // Leaving the loop destroys the connection.
      if (bytes > maxBytes) throw new Error(`the answer is larger than ${maxBytes} bytes`);
      chunks.push(chunk);
    }
    return { status: statusCode, text: Buffer.concat(chunks).toString('utf8') };
  } catch (error) {
    signal?.throwIfAborted();
    if (timeout.aborted) throw new Error(`no answer within ${timeoutMs} ms`, { cause: error });
    throw new Error(reasonOf(error), { cause: error });
  }
}

/** A connection to a name with several addresses fails with an error that has no message of its own. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(messageOf).join('; ');
  return messageOf(error);
}
