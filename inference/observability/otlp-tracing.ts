/** Spans of requests for an OpenTelemetry collector, over OTLP/HTTP. A collector that is slow or gone costs spans and nothing else. */
import {
  type Context,
  createTraceState,
  type Span as OtelSpan,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  NodeTracerProvider,
  ParentBasedSampler,
  type ReadableSpan,
  type Sampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace-node';
import type { TracingConfig } from '../config/config.ts';
import { messageOf } from '../errors.ts';
import type { Logger } from './logger.ts';
import {
  parseTraceparent,
  type RequestSpan,
  type Span,
  type SpanDetails,
  type TracedRequest,
  type Tracing,
} from './tracing.ts';

type ExportResult = Parameters<Parameters<SpanExporter['export']>[1]>[0];

/** OpenTelemetry's code for an export that the collector took. */
const exported = 0;

export function otlpTracing(config: TracingConfig, logger: Logger): Tracing {
  const exporter = new OutspokenExporter(new OTLPTraceExporter({ url: config.url }), logger);
  const provider = new NodeTracerProvider({
    resource: defaultResource().merge(
      resourceFromAttributes({ ...config.resourceAttributes, 'service.name': config.serviceName }),
    ),
    sampler: samplerOf(config),
    spanProcessors: [new BatchSpanProcessor(exporter)],
  });
  const tracer = provider.getTracer('deepfake-inference');
  return {
    begin: (request) => beginRequest(tracer, request),
    close: async (limitMs) => {
      const { promise: expired, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, limitMs);
      await Promise.race([provider.shutdown().catch(() => undefined), expired]);
      clearTimeout(timer);
    },
  };
}

function samplerOf({ sampler, samplerRatio: ratio }: TracingConfig): Sampler {
  switch (sampler) {
    case 'always_on':
      return new AlwaysOnSampler();
    case 'always_off':
      return new AlwaysOffSampler();
    case 'traceidratio':
      return new TraceIdRatioBasedSampler(ratio);
    case 'parentbased_always_on':
      return new ParentBasedSampler({ root: new AlwaysOnSampler() });
    case 'parentbased_always_off':
      return new ParentBasedSampler({ root: new AlwaysOffSampler() });
    case 'parentbased_traceidratio':
      return new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(ratio) });
  }
}

/** Names and attributes are those of OpenTelemetry's semantic conventions for HTTP servers. */
function beginRequest(tracer: Tracer, { method, path, route, headers }: TracedRequest): RequestSpan {
  const attributes = {
    'http.request.method': method,
    'http.route': route,
    'url.path': path,
    'url.scheme': 'http',
    ...(headers['user-agent'] === undefined ? {} : { 'user_agent.original': headers['user-agent'] }),
  };
  const parent = parentOf(headers);
  const span = tracer.startSpan(`${method} ${route}`, { kind: SpanKind.SERVER, attributes }, parent);
  const { traceId, spanId, traceFlags } = span.spanContext();
  return {
    ...recorder(tracer, span, parent),
    traceId,
    traceresponse: `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`,
    end: (status) => {
      span.setAttribute('http.response.status_code', status);
      if (status >= 500) markFailed(span, String(status));
      span.end();
    },
  };
}

function parentOf(headers: TracedRequest['headers']): Context {
  const parent = parseTraceparent(headers['traceparent']);
  if (parent === undefined) return ROOT_CONTEXT;
  const { traceId, spanId, flags: traceFlags } = parent;
  const { tracestate } = headers;
  const traceState = typeof tracestate === 'string' ? { traceState: createTraceState(tracestate) } : {};
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags, isRemote: true, ...traceState });
}

function recorder(tracer: Tracer, parent: OtelSpan, context: Context): Span {
  const within = trace.setSpan(context, parent);
  return {
    record: (name, startMs, endMs, { attributes = {}, error }: SpanDetails = {}) => {
      const span = tracer.startSpan(name, { attributes, startTime: epochMs(startMs) }, within);
      if (error !== undefined) markFailed(span, error);
      span.end(epochMs(endMs));
      return recorder(tracer, span, within);
    },
  };
}

function markFailed(span: OtelSpan, error: string): void {
  span.setAttribute('error.type', error).setStatus({ code: SpanStatusCode.ERROR });
}

function epochMs(performanceMs: number): number {
  return performance.timeOrigin + performanceMs;
}

/** Says once that spans do not arrive, and once that they do again: the SDK itself would say nothing. */
class OutspokenExporter implements SpanExporter {
  readonly #exporter: SpanExporter;
  readonly #logger: Logger;
  #troubled = false;

  constructor(exporter: SpanExporter, logger: Logger) {
    this.#exporter = exporter;
    this.#logger = logger;
  }

  export(spans: ReadableSpan[], done: (result: ExportResult) => void): void {
    this.#exporter.export(spans, (result) => {
      this.#tell(result);
      done(result);
    });
  }

  shutdown(): Promise<void> {
    return this.#exporter.shutdown();
  }

  #tell({ code, error }: ExportResult): void {
    const isTroubled = code !== exported;
    if (isTroubled === this.#troubled) return;
    this.#troubled = isTroubled;
    if (isTroubled)
      this.#logger.warn(
        { reason: messageOf(error ?? 'unknown') },
        'the collector does not take traces: they are dropped; check OTEL_EXPORTER_OTLP_ENDPOINT and the collector',
      );
    else this.#logger.info('the collector takes traces again');
  }
}
