import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { it, type TestContext } from 'node:test';
import { type ClientOptions, KubeClient, lines, type RequestOutcome } from './client.ts';
import { ApiError } from './errors.ts';
import { PooledKubeConfig } from './kube-config.ts';
import type { Kind } from './object.ts';

const KIND: Kind = { apiVersion: 'v1', kind: 'Thing', plural: 'things', namespaced: true };
const THING = { apiVersion: 'v1', kind: 'Thing', metadata: { namespace: 'n', name: 'a' } };

type Answer = (response: ServerResponse, request: IncomingMessage) => void;
const found: Answer = (response) => response.end(JSON.stringify(THING));
const broken: Answer = (response) => response.destroy();
const cut: Answer = (response) => {
  response.writeHead(200, { 'content-length': '1000' });
  response.write('{"kind":');
  setTimeout(() => response.destroy(), 5);
};
const busy: Answer = (response) =>
  response.writeHead(429, { 'retry-after': '1' }).end('{"reason":"TooManyRequests"}');
const silent: Answer = () => undefined;

/** A client of a server that answers one request after the other as scripted, the last answer for ever. */
async function start(t: TestContext, script: readonly Answer[], options: ClientOptions = {}) {
  const asked: { readonly method: string | undefined; readonly url: string | undefined }[] = [];
  const server = createServer((request, response) => {
    asked.push({ method: request.method, url: request.url });
    request.resume().on('end', () => (script[asked.length - 1] ?? script.at(-1))?.(response, request));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const config = new PooledKubeConfig();
  const cluster = { name: 'c', server: `http://127.0.0.1:${port}`, skipTLSVerify: true };
  config.loadFromClusterAndUser(cluster, { name: 'u' });
  t.after(async () => {
    await config.close();
    server.closeAllConnections();
    server.close();
  });
  const heard: RequestOutcome[] = [];
  const client = new KubeClient(config, { onRequest: (outcome) => heard.push(outcome), ...options });
  return { asked, client, heard, port };
}

const collect = async (chunks: readonly Uint8Array[]) => {
  const stream = (async function* () {
    yield* chunks;
  })();
  const seen: string[] = [];
  for await (const line of lines(stream)) seen.push(line);
  return seen;
};

it('lines are whole wherever the stream was cut, inside a character too', async () => {
  const bytes = new TextEncoder().encode('{"a":"ü"}\n\n{"b":"€"}\nrest');
  for (let size = 1; size <= bytes.length; size += 1) {
    const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
      bytes.subarray(index * size, (index + 1) * size),
    );
    assert.deepEqual(await collect(chunks), ['{"a":"ü"}', '{"b":"€"}', 'rest'], `chunks of ${size}`);
  }
});

it('a read survives connections that are reset, before the answer and within', async (t) => {
  const { asked, client, heard } = await start(t, [broken, cut, found]);
  assert.deepEqual(await client.get(KIND, THING.metadata), THING);
  assert.equal(asked.length, 3);
  assert.deepEqual(
    heard.map(({ status }) => status),
    [0, 200, 200],
  );
});

it('a write that is reset is not repeated behind the back of its caller', async (t) => {
  const { asked, client } = await start(t, [broken, found]);
  await assert.rejects(client.patch(KIND, THING.metadata, {}));
  assert.equal(asked.length, 1);
});

it('a refused write waits as long as the server asked', async (t) => {
  const { client, heard } = await start(t, [busy, found]);
  const startedAt = performance.now();
  await client.apply(KIND, THING, { fieldManager: 'f' });
  assert.ok(performance.now() - startedAt >= 990);
  assert.deepEqual(
    heard.map(({ status }) => status),
    [429, 200],
  );
});

it('a wait beyond the deadline is left to the caller, who learns how long', async (t) => {
  const { asked, client } = await start(t, [busy], { timeoutMs: 500 });
  await assert.rejects(
    client.get(KIND, THING.metadata),
    (error) => error instanceof ApiError && error.retryAfterMs === 1_000,
  );
  assert.equal(asked.length, 1);
});

it('requests keep to the rate, those of an urgent client beside it', async (t) => {
  const { client } = await start(t, [found], { rate: { perSecond: 10, burst: 2 } });
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: 6 }, () => client.get(KIND, THING.metadata)));
  const took = performance.now() - startedAt;
  assert.ok(took >= 390, `six took ${took} ms`);
  const waiting = Promise.all(Array.from({ length: 8 }, () => client.get(KIND, THING.metadata)));
  const order: string[] = [];
  await Promise.all([
    waiting.then(() => order.push('others')),
    client
      .urgent(5_000)
      .get(KIND, THING.metadata)
      .then(() => order.push('urgent')),
  ]);
  assert.deepEqual(order, ['urgent', 'others']);
});

it('a guard that gives no leave keeps writes from being sent, not reads', async (t) => {
  const { asked, client } = await start(t, [found]);
  const leave = { signal: new AbortController().signal, given: true };
  const guarded = client.guarded({
    signal: leave.signal,
    check: () => {
      if (!leave.given) throw new Error('no leave');
    },
  });
  await guarded.create(KIND, THING);
  leave.given = false;
  for (const write of [
    () => guarded.create(KIND, THING),
    () => guarded.apply(KIND, THING, { fieldManager: 'f' }),
    () => guarded.applyStatus(KIND, THING, { fieldManager: 'f' }),
    () => guarded.patch(KIND, THING.metadata, {}),
    () => guarded.delete(KIND, THING.metadata),
  ]) {
    await assert.rejects(write(), /no leave/);
  }
  await guarded.get(KIND, THING.metadata);
  assert.deepEqual(
    asked.map(({ method }) => method),
    ['POST', 'GET'],
  );
});

it('a guard that ends aborts what is in flight', async (t) => {
  const { asked, client } = await start(t, [silent]);
  const ending = new AbortController();
  const writing = client.guarded({ signal: ending.signal, check: () => undefined }).create(KIND, THING);
  const refused = assert.rejects(writing, /lease lost/);
  while (asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  ending.abort(new Error('lease lost'));
  await refused;
});

it('tells of each request its method, host, status and whether it watches', async (t) => {
  const { client, heard, port } = await start(t, [found]);
  await client.get(KIND, THING.metadata);
  const watch = client.watch(KIND, {
    resourceVersion: '1',
    timeoutSeconds: 1,
    inactivityMs: 1_000,
    signal: AbortSignal.timeout(1_000),
  });
  await assert.rejects(watch.next());
  assert.deepEqual(
    heard.map(({ method, host, status, watch }) => [method, host, status, watch]),
    [
      ['GET', `127.0.0.1:${port}`, 200, false],
      ['GET', `127.0.0.1:${port}`, 200, true],
    ],
  );
});
