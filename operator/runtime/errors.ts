/** Retrying cannot help until something changes that is watched: the object is not queued again. */
export class TerminalError extends Error {
  override readonly name = 'TerminalError';
}

/** An answer of the API server other than success. `reason` is metav1.StatusReason, such as NotFound or Conflict. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  readonly reason: string;
  /** The server's own words, without the request. */
  readonly detail: string;
  /** metav1.StatusCause reasons. */
  readonly causes: readonly string[];
  /** When the server wants to be asked again, ms from its answer. */
  readonly retryAfterMs: number | undefined;

  constructor(
    request: string,
    status: number,
    reason: string,
    detail: string,
    causes: readonly string[] = [],
    retryAfterMs?: number,
  ) {
    super(`${request}: ${status} ${reason}: ${detail}`);
    this.status = status;
    this.reason = reason;
    this.detail = detail;
    this.causes = causes;
    this.retryAfterMs = retryAfterMs;
  }
}

/** A line of a watch that is no event: what it would have told is lost. */
export class MalformedEventError extends Error {
  override readonly name = 'MalformedEventError';
}

export const isNotFound = (error: unknown) => error instanceof ApiError && error.status === 404;
export const isConflict = (error: unknown) => error instanceof ApiError && error.status === 409;
/**
 * The resource version is no place to go on from: list again. It is too old to watch or page from or, after etcd was restored
 * from a backup, of a future that did not happen.
 */
export const isExpired = (error: unknown) =>
  error instanceof ApiError && (error.status === 410 || error.causes.includes('ResourceVersionTooLarge'));
/** Nothing new can be made in a namespace that goes away, and what is there goes with it. */
export const isNamespaceTerminating = (error: unknown) =>
  error instanceof ApiError && error.causes.includes('NamespaceTerminating');
/** The object as sent is not acceptable, and sending it again changes nothing. */
export const isInvalid = (error: unknown) =>
  error instanceof ApiError &&
  ([400, 403, 422].includes(error.status) || isUntyped(error)) &&
  !isNamespaceTerminating(error);
/** Server-side apply answers 500 to a field that the kind does not have, and to a value of the wrong type. */
const isUntyped = ({ status, detail }: ApiError) =>
  status === 500 && /^failed to (create typed patch object|convert new object)/.test(detail);

export const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

/** How long the server asked to be left alone, ms; 0 where it did not say. */
export const retryAfterMsOf = (error: unknown) =>
  (error instanceof ApiError ? error.retryAfterMs : undefined) ?? 0;
