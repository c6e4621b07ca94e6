/** The headers of our own that answers carry. Pages of other origins may read them all; the OpenAPI document describes them. */
interface HeaderDescription {
  readonly type: 'string' | 'integer' | 'number';
  readonly description: string;
}

const descriptions = {
  'x-request-id': { type: 'string', description: 'Of the request, also in the log.' },
  traceresponse: {
    type: 'string',
    description: 'The trace that the request belongs to, as W3C Trace Context has it, where traces are kept.',
  },
  'x-cache': {
    type: 'string',
    description:
      'Where the judgement comes from: HIT, MISS, COALESCED (with an equal file that was being judged) or BYPASS.',
  },
  'x-prediction-probability': { type: 'string', description: 'Calibrated P(fake), or null.' },
  'x-prediction-class': { type: 'string', description: 'The prediction, or null.' },
  'inference-header-content-length': {
    type: 'integer',
    description: 'Bytes of JSON before the binary data, where there are any.',
  },
  'retry-after': { type: 'integer', description: 'Seconds.' },
  'www-authenticate': { type: 'string', description: 'What to present (RFC 6750).' },
  'ratelimit-limit': {
    type: 'integer',
    description: 'Requests per minute that the client may send, where there is a limit.',
  },
  'ratelimit-remaining': { type: 'integer', description: 'Requests that are left of them.' },
  'ratelimit-reset': { type: 'integer', description: 'Seconds until all are there again.' },
  allow: { type: 'string', description: 'The methods that the path knows.' },
} as const satisfies Readonly<Record<string, HeaderDescription>>;

export type AnswerHeader = keyof typeof descriptions;

export const answerHeaders: Readonly<Record<AnswerHeader, HeaderDescription>> = descriptions;

export const answerHeaderNames = Object.keys(descriptions) as readonly AnswerHeader[];
