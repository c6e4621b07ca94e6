/** What was thrown, as an error that a client can receive, and in the log as loud as it deserves. */
import type { FastifyError, FastifyRequest } from 'fastify';
import { type ErrorCode, messageOf, ServiceError, serviceError } from '../errors.ts';

export function asServiceError(error: unknown, request: FastifyRequest): ServiceError {
  if (error instanceof ServiceError) return error;
  const { statusCode } = error as Partial<FastifyError>;
  if (statusCode === 415) {
    const found = request.headers['content-type'] ?? 'no Content-Type';
    return serviceError('unsupported_content_type', { found }, { cause: error });
  }
  if (statusCode === 413) {
    const limitBytes = request.routeOptions.bodyLimit ?? 0;
    return serviceError('upload_too_large', { limitBytes }, { cause: error });
  }
  if (statusCode !== undefined && statusCode < 500)
    return serviceError('malformed_body', { reason: messageOf(error) }, { cause: error });
  return serviceError('inference_failed', { requestId: request.id }, { cause: error });
}

/** Told to clients under load: nothing in the server is wrong. */
const overloads: ReadonlySet<ErrorCode> = new Set(['queue_full', 'tensors_full', 'too_many_streams']);

export function logFailure({ log }: FastifyRequest, error: unknown, known: ServiceError): void {
  if (known.status >= 500 && !overloads.has(known.code))
    log.error({ err: error, code: known.code }, known.message);
  else log.info({ code: known.code }, known.message);
}
