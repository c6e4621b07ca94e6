/** Settles as `work` does; rejects with the signal's reason as soon as that aborts: for work that cannot be aborted itself. */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/** An abort signal for one piece of work, made of others that may live much longer. */
export interface Link {
  readonly signal: AbortSignal;
  abort(reason: unknown): void;
  /** Has to be called when the work has ended. */
  release(): void;
}

/**
 * Aborts with the first of `sources`, or with a TimeoutError after `timeoutMs`. AbortSignal.any does the same, but leaves a
 * trace on each source for as long as that lives: some hundred bytes for every request of a process.
 */
export function link(sources: readonly (AbortSignal | undefined)[], timeoutMs?: number): Link {
  const own = new AbortController();
  const releases = sources.flatMap((source) => {
    if (!source) return [];
    const abort = () => own.abort(source.reason);
    if (source.aborted) abort();
    source.addEventListener('abort', abort, { once: true });
    return [() => source.removeEventListener('abort', abort)];
  });
  if (timeoutMs !== undefined) {
    const expire = () =>
      own.abort(new DOMException(`The operation took longer than ${timeoutMs} ms`, 'TimeoutError'));
    const timer = setTimeout(expire, timeoutMs);
    releases.push(() => clearTimeout(timer));
  }
  return {
    signal: own.signal,
    abort: (reason) => own.abort(reason),
    release: () => {
      for (const release of releases) release();
    },
  };
}
