/** What was thrown, as an error that a client can receive, and in the log as loud as it deserves. */
import type { FastifyError, FastifyRequest } from 'fastify';
import { messageOf, ServiceError, serviceError } from '../errors.ts';

export function asServiceError(error: unknown, request: FastifyRequest): ServiceError {
  if (error instanceof ServiceError) return error;
  const { statusCode } = error as Partial<FastifyError>;
  if (statusCode === 415) {
    const found = request.headers['content-type'] ?? 'no Content-Type';
    return serviceError('unsupported_content_type', { found }, { cause: error });
  }
  if (statusCode !== undefined && statusCode < 500)
    return serviceError('malformed_body', { reason: messageOf(error) }, { cause: error });
  return serviceError('inference_failed', { requestId: request.id }, { cause: error });
}

export function logFailure({ log }: FastifyRequest, error: unknown, known: ServiceError): void {
  if (known.status >= 500 && known.code !== 'queue_full')
    log.error({ err: error, code: known.code }, known.message);
  else log.info({ code: known.code }, known.message);
}
