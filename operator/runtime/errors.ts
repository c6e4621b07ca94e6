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

  constructor(request: string, status: number, reason: string, detail: string) {
    super(`${request}: ${status} ${reason}: ${detail}`);
    this.status = status;
    this.reason = reason;
    this.detail = detail;
  }
}

export const isNotFound = (error: unknown) => error instanceof ApiError && error.status === 404;
export const isConflict = (error: unknown) => error instanceof ApiError && error.status === 409;
/** The resource version is too old to watch or page from: list again. */
export const isExpired = (error: unknown) => error instanceof ApiError && error.status === 410;
/** The object as sent is not acceptable, and sending it again changes nothing. */
export const isInvalid = (error: unknown) =>
  error instanceof ApiError && [400, 403, 422].includes(error.status);

export const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));
