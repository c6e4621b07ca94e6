/** Errors as they cross from a worker to the main thread. */
import { ServiceError, type ServiceErrorData } from '../errors.ts';

/** An error that is not one of the table's crosses as text, for the log. */
export type WorkerFailure = { readonly service: ServiceErrorData } | { readonly unexpected: string };

export function failureOf(error: unknown): WorkerFailure {
  if (error instanceof ServiceError) return { service: { code: error.code, params: error.params } };
  return { unexpected: error instanceof Error ? (error.stack ?? error.message) : String(error) };
}

export function revive(failure: WorkerFailure): Error {
  return 'service' in failure ? new ServiceError(failure.service) : new Error(failure.unexpected);
}
