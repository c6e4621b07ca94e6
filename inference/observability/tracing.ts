/** Traces as the rest of the program sees them. The SDK behind them is in otlp-tracing.ts, loaded only where traces are wanted. */
import type { IncomingHttpHeaders } from 'node:http';

export type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

/** A stretch of time in a trace. Times are those of `performance.now()`. */
export interface Span {
  /** A child that is over already; hands it out for children of its own. */
  record(name: string, startMs: number, endMs: number, details?: SpanDetails): Span;
}

export interface SpanDetails {
  readonly attributes?: SpanAttributes;
  /** What went wrong, as a stable code. */
  readonly error?: string;
}

export interface RequestSpan extends Span {
  /** 32 hexadecimal digits; undefined where neither the client nor this server traces the request. */
  readonly traceId: string | undefined;
  /** Value of the answer's header `traceresponse` (W3C Trace Context, level 2); undefined where this server has no span. */
  readonly traceresponse: string | undefined;
  end(status: number): void;
}

export interface TracedRequest {
  readonly method: string;
  /** Without the query, which may hold a signature. */
  readonly path: string;
  /** The pattern of the route. */
  readonly route: string;
  readonly headers: IncomingHttpHeaders;
}

export interface Tracing {
  begin(request: TracedRequest): RequestSpan;
  /** Lets what is recorded arrive, for at most `limitMs`. */
  close(limitMs: number): Promise<void>;
}

/** Records nothing, and still knows the trace that a client says it is in, for the log. */
export const noTracing: Tracing = {
  begin: ({ headers }) => ({
    ...noSpan,
    traceId: parseTraceparent(headers['traceparent'])?.traceId,
    traceresponse: undefined,
    end: () => undefined,
  }),
  close: async () => undefined,
};

const noSpan: Span = { record: () => noSpan };

export interface Traceparent {
  readonly traceId: string;
  readonly spanId: string;
  readonly flags: number;
}

/** The header `traceparent` of W3C Trace Context; undefined where it is absent or malformed, as that asks for a trace of one's own. */
export function parseTraceparent(header: unknown): Traceparent | undefined {
  if (typeof header !== 'string') return undefined;
  const match =
    /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/.exec(
      header.trim(),
    );
  if (match === null) return undefined;
  const [, version, traceId = '', spanId = '', flags = '', more] = match;
  // Only versions that do not exist yet may say more.
  if (version === '00' && more !== undefined) return undefined;
  return { traceId, spanId, flags: Number.parseInt(flags, 16) };
}
