/** Against a server that speaks Prometheus' API as its documentation has it. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import type { Conditions } from '../conditions.ts';
import { checkQuery, measurePrometheus, resolveQuery } from './prometheus.ts';

const names = { name: 'd', namespace: 'ns', canaryRevision: 'c1', stableRevision: 's1' };

const success = (resultType: string, result: unknown) =>
  JSON.stringify({ status: 'success', data: { resultType, result } });
const vector = (...values: string[]) =>
  success(
    'vector',
    values.map((value) => ({ metric: { pod: 'p' }, value: [1700000000.1, value] })),
  );

/** Answers by query. */
const answers: Readonly<Record<string, readonly [status: number, body: string]>> = {
  scalar: [200, success('scalar', [1700000000, '0.5'])],
  nan: [200, success('scalar', [1700000000, 'NaN'])],
  vector: [200, vector('0.97', '0.2')],
  empty: [200, vector()],
  infinite: [200, vector('+Inf')],
  many: [200, vector(...Array.from({ length: 101 }, () => '1'))],
  matrix: [200, success('matrix', [])],
  histogram: [200, success('vector', [{ metric: {}, histogram: [1, { count: '1' }] }])],
  bad: [
    400,
    JSON.stringify({
      status: 'error',
      errorType: 'bad_data',
      error: 'parse error:\n unexpected end of input',
    }),
  ],
  late: [503, JSON.stringify({ status: 'error', errorType: 'timeout', error: 'query timed out' })],
  gateway: [502, '<html>Bad Gateway</html>'],
  page: [200, '<html>hello</html>'],
  word: [200, success('scalar', [1700000000, 'many'])],
  large: [200, `"${'x'.repeat(1024 ** 2)}"`],
};

describe('a query', () => {
  let address = '';
  const asked: URL[] = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://prometheus');
    asked.push(url);
    if (url.searchParams.get('query') === 'silence') return;
    const [status, body] = answers[url.searchParams.get('query') ?? ''] ?? [404, ''];
    response.writeHead(status, { 'content-type': 'application/json' }).end(body);
  });
  before(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });

  const rows: { query: string; conditions: Conditions; phase: string; value?: string; message?: RegExp }[] = [
    { query: 'scalar', conditions: { successCondition: 'result > 0.4' }, phase: 'Successful', value: '0.5' },
    { query: 'nan', conditions: { successCondition: 'result > 0.4' }, phase: 'Inconclusive', value: 'NaN' },
    {
      query: 'vector',
      conditions: { successCondition: 'result[0] >= 0.95' },
      phase: 'Successful',
      value: '[0.97,0.2]',
    },
    {
      query: 'vector',
      conditions: { failureCondition: 'result[1] < 0.5' },
      phase: 'Failed',
      value: '[0.97,0.2]',
    },
    {
      query: 'empty',
      conditions: { successCondition: 'result[0] >= 0.95' },
      phase: 'Inconclusive',
      value: '[]',
    },
    {
      query: 'infinite',
      conditions: { successCondition: 'result[0] < 1' },
      phase: 'Failed',
      value: '[Infinity]',
    },
    { query: 'many', conditions: {}, phase: 'Error', message: /101 series, more than 100: aggregate them/ },
    { query: 'matrix', conditions: {}, phase: 'Error', message: /gives a matrix/ },
    { query: 'histogram', conditions: {}, phase: 'Error', message: /ask for a quantile/ },
    {
      query: 'bad',
      conditions: {},
      phase: 'Error',
      message: /: bad_data: parse error: unexpected end of input$/,
    },
    { query: 'late', conditions: {}, phase: 'Error', message: /: timeout: query timed out$/ },
    { query: 'gateway', conditions: {}, phase: 'Error', message: /: answered 502$/ },
    { query: 'page', conditions: {}, phase: 'Error', message: /what answers is no Prometheus/ },
    { query: 'word', conditions: {}, phase: 'Error', message: /a value is no number: many/ },
    { query: 'large', conditions: {}, phase: 'Error', message: /larger than 1048576 bytes/ },
    { query: 'silence', conditions: {}, phase: 'Error', message: /no answer within 1000 ms/ },
  ];
  for (const { query, conditions, phase, value, message } of rows) {
    test(`with the answer "${query}" is ${phase}`, async () => {
      const prometheus = { address: `${address}/`, query, timeoutSeconds: 1 };
      const found = await measurePrometheus(prometheus, conditions, names, AbortSignal.timeout(10_000));
      assert.equal(found.phase, phase, found.message);
      assert.equal(found.value, value);
      if (message) assert.match(found.message ?? '', message);
    });
  }

  test('goes to a path below the address, with its names put in', async () => {
    const prometheus = {
      address: `${address}/prefix/`,
      query: 'up{pod=~"{{name}}-{{ canaryRevision }}-.*"}',
    };
    await measurePrometheus(prometheus, {}, names, AbortSignal.timeout(10_000));
    const url = asked.at(-1);
    assert.deepEqual(
      [url?.pathname, url?.searchParams.get('query'), url?.searchParams.get('timeout')],
      ['/prefix/api/v1/query', 'up{pod=~"d-c1-.*"}', '30s'],
    );
  });

  test('is given up when nobody wants it any more', async () => {
    const aborting = new AbortController();
    const reason = new Error('ended');
    const asking = measurePrometheus({ address, query: 'silence' }, {}, names, aborting.signal);
    aborting.abort(reason);
    await assert.rejects(asking, reason);
  });

  test('to nobody is an Error that shows no password', async () => {
    const prometheus = { address: 'http://user:hunter2@127.0.0.1:9', query: 'up' };
    const { phase, message } = await measurePrometheus(prometheus, {}, names, AbortSignal.timeout(10_000));
    assert.equal(phase, 'Error');
    assert.match(message ?? '', /^Prometheus at 127\.0\.0\.1:9: /);
    assert.doesNotMatch(message ?? '', /hunter2/);
  });
});

test('names in a query are put in, and others are told', () => {
  const query = '{{name}} {{namespace}} {{ canaryRevision }} {{stableRevision}} {{other}} {a="{b}"}';
  assert.equal(resolveQuery(query, names), 'd ns c1 s1 {{other}} {a="{b}"}');
  assert.match(
    checkQuery(query) ?? '',
    /\{\{other\}\} is none of name, namespace, canaryRevision, stableRevision/,
  );
  assert.equal(checkQuery('up{x="{{name}}"}'), undefined);
});
