import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { readConfig } from '../config/config.ts';
import { startServer } from '../serve.ts';
import { flatImage, inTemporaryFolder } from '../testing/media.ts';
import { writeImagePackage } from '../testing/packages.ts';
import { createLogger } from './logger.ts';
import { parseTraceparent } from './tracing.ts';

const white = await flatImage({ width: 256, height: 256, level: 255, format: 'png' });
const traceId = '0af7651916cd43dd8448eb211c80319c';
const clientSpan = 'b7ad6b7169203331';
const sampled = `00-${traceId}-${clientSpan}-01`;

interface OtlpSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly { readonly key: string; readonly value: Record<string, unknown> }[];
  readonly status: { readonly code: number };
}

interface OtlpBatch {
  readonly resourceSpans: readonly {
    readonly resource: Pick<OtlpSpan, 'attributes'>;
    readonly scopeSpans: readonly { readonly spans: readonly OtlpSpan[] }[];
  }[];
}

/** An OTLP/HTTP receiver on a free port. `answer` decides what exporters get; undefined leaves them waiting. */
async function startCollector(answer: () => number | undefined = () => 200) {
  const batches: OtlpBatch[] = [];
  const server = createServer(async (request, response) => {
    assert.equal(`${request.method} ${request.url}`, 'POST /v1/traces');
    batches.push((await json(request)) as OtlpBatch);
    const status = answer();
    if (status !== undefined) response.writeHead(status, { 'content-type': 'application/json' }).end('{}');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, batches, close };
}

interface Answered {
  readonly status: number;
  readonly traceresponse: string | null;
}

/** Serves a picture model, sends what `requests` says, stops the server, and returns the answers and the log. */
async function serveAndStop(
  env: Readonly<Record<string, string>>,
  requests: readonly { readonly media: Uint8Array; readonly headers?: Readonly<Record<string, string>> }[],
): Promise<{ answers: Answered[]; log: string; stoppedInTime: boolean }> {
  return inTemporaryFolder(async (folder) => {
    await writeImagePackage(join(folder, 'picture'));
    const lines: string[] = [];
    const logger = createLogger('info', { write: (line) => lines.push(line) });
    const server = await startServer(
      readConfig({ PORT: '0', MODELS_DIR: folder, ENGINE_WORKERS: '1', ...env }),
      logger,
    );
    await server.ready;
    const answers: Answered[] = [];
    for (const { media, headers = {} } of requests) {
      const form = new FormData();
      form.set('media', new Blob([new Uint8Array(media)]), 'f');
      const response = await fetch(`${server.url}/analyze?secret=in-the-query`, {
        method: 'POST',
        body: form,
        headers,
      });
      await response.arrayBuffer();
      answers.push({ status: response.status, traceresponse: response.headers.get('traceresponse') });
    }
    await (await fetch(`${server.url}/health/live`)).arrayBuffer();
    const stopped = server.stop().then(() => true);
    const stoppedInTime = await Promise.race([stopped, delay(15_000, false, { ref: false })]);
    return { answers, log: lines.join(''), stoppedInTime };
  });
}

function spansOf(batches: readonly OtlpBatch[]): OtlpSpan[] {
  return batches.flatMap(({ resourceSpans }) =>
    resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans)),
  );
}

function attributesOf({ attributes }: Pick<OtlpSpan, 'attributes'>): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}

/** Names with those of their children, as they began. */
function tree(spans: readonly OtlpSpan[], parent: string): unknown[] {
  return spans
    .filter(({ parentSpanId }) => parentSpanId === parent)
    .sort((a, b) => (BigInt(a.startTimeUnixNano) < BigInt(b.startTimeUnixNano) ? -1 : 1))
    .map(({ name, spanId }) => {
      const children = tree(spans, spanId);
      return children.length === 0 ? name : [name, children];
    });
}

describe('traces', { timeout: 60_000 }, () => {
  test('have a span for the request, its upload and the stages of its analysis, within the trace of the client', async () => {
    const collector = await startCollector();
    const env = {
      OTEL_EXPORTER_OTLP_ENDPOINT: `${collector.url}/`,
      OTEL_SERVICE_NAME: 'detector',
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test,team=a%2Cb',
    };
    const { answers, log } = await serveAndStop(env, [{ media: white, headers: { traceparent: sampled } }]);
    collector.close();
    const spans = spansOf(collector.batches);
    assert.ok(spans.every((span) => span.traceId === traceId));
    assert.deepEqual(tree(spans, clientSpan), [
      ['POST /analyze', ['upload', ['analyse', ['cache', 'queue', 'decode', 'preprocess', 'infer', 'post']]]],
    ]);
    const request = spans.find(({ name }) => name === 'POST /analyze');
    assert.ok(request !== undefined);
    assert.equal(request.kind, 2);
    const { 'user_agent.original': _agent, ...attributes } = attributesOf(request);
    assert.deepEqual(attributes, {
      'http.request.method': 'POST',
      'http.route': '/analyze',
      'url.path': '/analyze',
      'url.scheme': 'http',
      'http.response.status_code': 200,
    });
    const analyse = spans.find(({ name }) => name === 'analyse');
    assert.ok(analyse !== undefined);
    const { 'deepfake.score': score, ...details } = attributesOf(analyse);
    assert.ok(Math.abs(Number(score) - 0.982) < 0.01);
    assert.deepEqual(details, {
      'deepfake.model.name': 'picture',
      'deepfake.model.version': '1.2.3',
      'deepfake.media.type': 'image/png',
      'deepfake.verdict': 'DEEPFAKE',
    });
    for (const { startTimeUnixNano, endTimeUnixNano } of spans)
      assert.ok(BigInt(startTimeUnixNano) <= BigInt(endTimeUnixNano));
    const [batch] = collector.batches;
    const resource = batch?.resourceSpans[0]?.resource;
    assert.ok(resource !== undefined);
    const told = attributesOf(resource);
    assert.deepEqual(
      [told['service.name'], told['deployment.environment.name'], told['team']],
      ['detector', 'test', 'a,b'],
    );
    assert.deepEqual(answers, [{ status: 200, traceresponse: `00-${traceId}-${request.spanId}-01` }]);
    const line = log.split('\n').find((candidate) => candidate.includes('"analysed"')) ?? '{}';
    assert.equal(JSON.parse(line).trace_id, traceId);
    assert.doesNotMatch(JSON.stringify(collector.batches), /in-the-query/);
  });

  test('mark what failed: bad media in the analysis alone, as the server did its part', async () => {
    const collector = await startCollector();
    const env = { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${collector.url}/v1/traces` };
    const { answers } = await serveAndStop(env, [{ media: Buffer.from('no media') }]);
    collector.close();
    assert.equal(answers[0]?.status, 415);
    const spans = spansOf(collector.batches);
    const statusOf = (wanted: string) => spans.find(({ name }) => name === wanted)?.status.code;
    assert.deepEqual([statusOf('POST /analyze'), statusOf('analyse')], [0, 2]);
    const analyse = spans.find(({ name }) => name === 'analyse');
    assert.equal(analyse && attributesOf(analyse)['error.type'], 'unsupported_media');
    const root = spans.find(({ name }) => name === 'POST /analyze');
    assert.match(root?.traceId ?? '', /^[0-9a-f]{32}$/);
    assert.ok(!root?.parentSpanId);
  });

  const unsampled: { name: string; env: Readonly<Record<string, string>>; traceparent?: string }[] = [
    { name: 'the client does not sample', env: {}, traceparent: `00-${traceId}-${clientSpan}-00` },
    { name: 'the sampler takes none', env: { OTEL_TRACES_SAMPLER: 'always_off' }, traceparent: sampled },
    {
      name: 'the sampler takes a share of nothing',
      env: { OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '0' },
    },
    { name: 'the SDK is disabled', env: { OTEL_SDK_DISABLED: 'true' }, traceparent: sampled },
  ];
  for (const { name, env, traceparent } of unsampled) {
    test(`are not sent where ${name}`, async () => {
      const collector = await startCollector();
      const headers = traceparent === undefined ? {} : { traceparent };
      const request = { media: white, headers };
      const { answers } = await serveAndStop({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, ...env }, [
        request,
      ]);
      collector.close();
      assert.equal(answers[0]?.status, 200);
      assert.deepEqual(collector.batches, []);
    });
  }

  test('of clients stand in the log without any collector', async () => {
    const { answers, log } = await serveAndStop({}, [{ media: white, headers: { traceparent: sampled } }]);
    assert.equal(answers[0]?.traceresponse, null);
    assert.match(log, new RegExp(`"trace_id":"${traceId}".*"analysed"`));
  });

  const troubles: { name: string; answer: (() => number | undefined) | undefined }[] = [
    { name: 'is gone', answer: undefined },
    { name: 'refuses', answer: () => 400 },
    { name: 'hangs', answer: () => undefined },
  ];
  for (const { name, answer } of troubles) {
    test(`change no answer and hold up no end where the collector ${name}`, async () => {
      const collector = await startCollector(answer);
      if (answer === undefined) collector.close();
      const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url };
      const { answers, stoppedInTime } = await serveAndStop(env, [{ media: white }, { media: white }]);
      collector.close();
      assert.deepEqual(
        answers.map(({ status }) => status),
        [200, 200],
      );
      assert.ok(stoppedInTime);
    });
  }
});

describe('the header traceparent', () => {
  const rows: { header: unknown; spanId: string | undefined; why: string }[] = [
    { header: sampled, spanId: clientSpan, why: 'is read' },
    { header: `cc-${traceId}-${clientSpan}-01-more`, spanId: clientSpan, why: 'of a later version is read' },
    { header: `${sampled}-more`, spanId: undefined, why: 'with more than its version has is ignored' },
    {
      header: `ff-${traceId}-${clientSpan}-01`,
      spanId: undefined,
      why: 'of the forbidden version is ignored',
    },
    { header: `00-${'0'.repeat(32)}-${clientSpan}-01`, spanId: undefined, why: 'without a trace is ignored' },
    { header: `00-${traceId}-${'0'.repeat(16)}-01`, spanId: undefined, why: 'without a span is ignored' },
    { header: sampled.toUpperCase(), spanId: undefined, why: 'in capitals is ignored' },
    { header: [sampled, sampled], spanId: undefined, why: 'that comes twice is ignored' },
    { header: undefined, spanId: undefined, why: 'may be absent' },
  ];
  for (const { header, spanId, why } of rows)
    test(why, () => assert.equal(parseTraceparent(header)?.spanId, spanId));
});
