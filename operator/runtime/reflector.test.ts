/** Against a scripted API server: every way in which a list or a watch fails. */
import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { it, type TestContext } from 'node:test';
import { pino } from 'pino';
import { KubeClient } from './client.ts';
import { PooledKubeConfig } from './kube-config.ts';
import type { Kind, KubeObject } from './object.ts';
import { Reflector, type Sink } from './reflector.ts';
import { Store } from './store.ts';

const KIND: Kind = { apiVersion: 'v1', kind: 'Thing', plural: 'things', namespaced: true };
const thing = (name: string, resourceVersion: string): KubeObject => ({
  metadata: { namespace: 'n', name, resourceVersion },
});

type Answer = (response: ServerResponse, query: URLSearchParams) => void;
const list =
  (resourceVersion: string, ...items: KubeObject[]): Answer =>
  (response) =>
    response.end(JSON.stringify({ metadata: { resourceVersion }, items }));
const page =
  (token: string, ...items: KubeObject[]): Answer =>
  (response) =>
    response.end(JSON.stringify({ metadata: { resourceVersion: '9', continue: token }, items }));
const status =
  (code: number): Answer =>
  (response) =>
    response.writeHead(code).end(JSON.stringify({ kind: 'Status', code, reason: 'Scripted', message: 'no' }));
const broken: Answer = (response) => response.destroy();
const event = (type: string, object: unknown) => `${JSON.stringify({ type, object })}\n`;
const watch =
  (...events: string[]): Answer =>
  (response) =>
    response.end(events.join(''));
const open =
  (...events: string[]): Answer =>
  (response) => {
    response.write(events.join('') || '\n');
  };

/** Answers one request after the other as scripted; the last answer is given for ever. */
async function follow(
  t: TestContext,
  script: readonly Answer[],
  options: { resyncMs?: number; inactivityMs?: number; sink?: Partial<Sink<KubeObject>> } = {},
) {
  const asked: URLSearchParams[] = [];
  const times: number[] = [];
  const server = createServer((request: IncomingMessage, response) => {
    const query = new URL(request.url ?? '', 'http://host').searchParams;
    asked.push(query);
    times.push(performance.now());
    (script[asked.length - 1] ?? script.at(-1))?.(response, query);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { sink: override = {}, ...tuning } = options;
  const { port } = server.address() as AddressInfo;
  const config = new PooledKubeConfig();
  const cluster = { name: 'c', server: `http://127.0.0.1:${port}`, skipTLSVerify: true };
  config.loadFromClusterAndUser(cluster, { name: 'u' });
  const store = new Store<KubeObject>();
  const ending = new AbortController();
  const running = new Reflector({
    client: new KubeClient(config),
    kind: KIND,
    log: pino({ level: 'silent' }),
    namespace: 'n',
    backoff: { baseMs: 5, capMs: 20 },
    sink: {
      replace: (objects) => void store.replace(objects),
      set: (object) => void store.set(object),
      remove: (object) => void store.remove(object),
      ...override,
    },
    ...tuning,
  }).run(ending.signal);
  t.after(async () => {
    ending.abort();
    await running;
    await config.close();
    server.closeAllConnections();
    server.close();
  });
  const until = async (names: string) => {
    const held = () =>
      store
        .list()
        .map(({ metadata }) => `${metadata.name}@${metadata.resourceVersion}`)
        .sort()
        .join();
    const deadline = Date.now() + 5_000;
    while (held() !== names) {
      assert.ok(Date.now() < deadline, `holds "${held()}", not "${names}"; asked ${asked.join(' | ')}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  return { asked, times, store, until };
}

it('lists in pages, then watches from the list on', async (t) => {
  const { asked, until } = await follow(t, [
    page('more', thing('a', '1')),
    list('9', thing('b', '2')),
    open(
      event('ADDED', thing('c', '10')),
      event('MODIFIED', thing('a', '11')),
      event('DELETED', thing('b', '12')),
    ),
  ]);
  await until('a@11,c@10');
  assert.equal(asked[1]?.get('continue'), 'more');
  assert.equal(asked[2]?.get('resourceVersion'), '9');
  assert.equal(asked[2]?.get('allowWatchBookmarks'), 'true');
});

it('takes up a watch that ends where the last bookmark stood', async (t) => {
  const { asked, until } = await follow(t, [
    list('5', thing('a', '1')),
    watch(event('BOOKMARK', thing('', '77'))),
    open(event('ADDED', thing('b', '78'))),
  ]);
  await until('a@1,b@78');
  assert.deepEqual(
    asked.map((query) => query.get('resourceVersion')),
    [null, '5', '77'],
  );
});

for (const [what, expired] of [
  ['an answer', status(410)],
  ['an event', watch(event('ERROR', { code: 410, reason: 'Expired', message: 'too old' }))],
] as [string, Answer][]) {
  it(`lists again when its version has expired, told by ${what}`, async (t) => {
    const { until } = await follow(t, [
      list('5', thing('a', '1')),
      expired,
      list('9', thing('b', '8')),
      open(),
    ]);
    await until('b@8');
  });
}

it('never gives up: refused, cut off, garbled and failing answers are all tried again', async (t) => {
  const garbled: Answer = (response) => response.end('{"type":"ADDED","obj');
  const { asked, until } = await follow(t, [
    status(500),
    broken,
    status(403),
    list('5', thing('a', '1')),
    status(500),
    broken,
    garbled,
    list('5', thing('a', '1')),
    watch(event('ERROR', { code: 500, reason: 'InternalError', message: 'scripted' })),
    open(event('ADDED', thing('b', '6'))),
  ]);
  await until('a@1,b@6');
  assert.equal(asked.length, 10);
});

it('leaves a watch on which nothing is heard', async (t) => {
  const { asked, until } = await follow(t, [list('5'), open(), open(event('ADDED', thing('a', '6')))], {
    inactivityMs: 50,
  });
  await until('a@6');
  assert.equal(asked[2]?.get('resourceVersion'), '5');
});

it('lists again after the resync period, and so finds what a watch missed', async (t) => {
  const ends: Answer = (response, query) => {
    const seconds = Number(query.get('timeoutSeconds'));
    setTimeout(() => response.end(), Math.min(seconds * 1000, 30));
    response.flushHeaders();
  };
  const { until } = await follow(t, [list('5', thing('a', '1')), ends, list('9', thing('b', '8')), open()], {
    resyncMs: 10,
  });
  await until('b@8');
});

it('lists in one piece when a page has expired', async (t) => {
  const { asked, until } = await follow(t, [
    page('more', thing('a', '1')),
    status(410),
    list('9', thing('b', '8')),
    open(),
  ]);
  await until('b@8');
  assert.deepEqual(
    asked.slice(0, 3).map((query) => [query.get('limit'), query.get('continue')]),
    [
      ['500', null],
      ['500', 'more'],
      [null, null],
    ],
  );
});

for (const [what, line] of [
  ['no JSON', '<html>'],
  ['null', 'null'],
  ['of no known type', event('SYNC', thing('x', '6')).trim()],
  ['without an object', '{"type":"ADDED"}'],
  ['without a version', event('ADDED', { metadata: { name: 'x' } }).trim()],
] as const) {
  it(`lists again after an event that is ${what}, for what it told is lost`, async (t) => {
    const { asked, until } = await follow(t, [
      list('5', thing('a', '1')),
      watch(event('ADDED', thing('b', '6')), `${line}\n`, event('ADDED', thing('never', '7'))),
      list('9', thing('c', '8')),
      open(),
    ]);
    await until('c@8');
    assert.equal(asked[2]?.get('watch'), null);
  });
}

for (const [what, answer] of [
  ['a list', [] as Answer[]],
  ['a watch', [list('5', thing('a', '1'))]],
] as const) {
  it(`${what} that is refused with Retry-After is asked again no sooner`, async (t) => {
    const busy: Answer = (response) =>
      response.writeHead(429, { 'retry-after': '1' }).end('{"reason":"TooManyRequests"}');
    const { times, until } = await follow(t, [
      ...answer,
      busy,
      ...(answer.length ? [open(event('ADDED', thing('b', '6')))] : [list('9', thing('b', '6')), open()]),
    ]);
    await until(answer.length ? 'a@1,b@6' : 'b@6');
    const refused = answer.length;
    assert.ok((times[refused + 1] ?? 0) - (times[refused] ?? 0) >= 990);
  });
}

it('hands an event again that the sink could not take', async (t) => {
  const failing = { left: 2 };
  const taken: string[] = [];
  const added = event('ADDED', thing('b', '6'));
  const { asked, store, until } = await follow(t, [list('5'), open(added), open(added), open(added)], {
    sink: {
      set: (object) => {
        failing.left -= 1;
        if (failing.left >= 0) throw new Error('scripted');
        taken.push(object.metadata.name);
        store.set(object);
      },
    },
  });
  await until('b@6');
  assert.deepEqual(taken, ['b']);
  assert.deepEqual(
    asked.slice(1).map((query) => query.get('resourceVersion')),
    ['5', '5', '5'],
  );
});
