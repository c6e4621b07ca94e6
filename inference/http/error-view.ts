/** How an error is sent. Pure. The body holds the members of RFC 9457 beside the names that clients of older detectors read. */
import type { ErrorCode, ServiceError } from '../errors.ts';

/** Chosen by a route in its `config.errors`. */
export interface ErrorStyle {
  /** `inference-protocol`: `{error: message}` alone, as the Open Inference Protocol has it. Default: `problem`. */
  readonly body?: 'problem' | 'inference-protocol';
  /** Where the clients of a route expect another status than the table's. */
  readonly statuses?: Readonly<Partial<Record<ErrorCode, number>>>;
}

/** Of every route of the inference protocol, and of paths under it that do not exist. */
export const inferenceProtocolErrors = {
  body: 'inference-protocol',
  statuses: { unknown_model: 404 },
} as const satisfies ErrorStyle;

export interface ErrorAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: object;
}

const retryAfterSeconds = 1;

export function errorAnswer(error: ServiceError, requestId: string, style: ErrorStyle = {}): ErrorAnswer {
  const status = style.statuses?.[error.code] ?? error.status;
  const headers = {
    ...challengeOf(error),
    ...(error.code === 'rate_limited' ? { 'retry-after': String(error.params['retryAfterSeconds']) } : {}),
    ...(status === 503 || status === 507 ? { 'retry-after': String(retryAfterSeconds) } : {}),
    ...(error.code === 'method_not_allowed' ? { allow: String(error.params['allowed']) } : {}),
    ...(status === 408 || status === 413 ? { connection: 'close' } : {}),
  };
  if (style.body === 'inference-protocol') {
    return {
      status,
      headers: { ...headers, 'content-type': 'application/json' },
      body: { error: error.message },
    };
  }
  return {
    status,
    headers: { ...headers, 'content-type': 'application/problem+json' },
    body: {
      type: `urn:deepfake:error:${error.code}`,
      title: error.code.replaceAll('_', ' '),
      status,
      detail: error.message,
      instance: `urn:request:${requestId}`,
      error: error.code,
      message: error.message,
      ...(Object.keys(error.params).length === 0 ? {} : { details: error.params }),
      request_id: requestId,
      status_code: status,
    },
  };
}

/** What a client that was refused is to present (RFC 6750). */
function challengeOf({ code, params }: ServiceError): Readonly<Record<string, string>> {
  const challenge = (details: string) => ({ 'www-authenticate': `Bearer realm="deepfake"${details}` });
  switch (code) {
    case 'unauthorized':
      return challenge('');
    case 'invalid_token':
      return challenge(', error="invalid_token"');
    case 'insufficient_scope':
      return challenge(`, error="insufficient_scope", scope="${params['scope']}"`);
    default:
      return {};
  }
}
