import assert from 'node:assert/strict';
import { it } from 'node:test';
import { pino } from 'pino';
import type { KubeClient } from './client.ts';
import { ApiError } from './errors.ts';
import { type EventNote, EventRecorder } from './events.ts';
import { FakeClock } from './fake-clock.ts';
import type { Kind, KubeObject } from './object.ts';

const KIND: Kind = { apiVersion: 'v1', kind: 'ConfigMap', plural: 'configmaps', namespaced: true };
const object = (name = 'o'): KubeObject => ({ metadata: { namespace: 'n', name, uid: `uid-${name}` } });
const note = (text: string, reason = 'R'): EventNote => ({ type: 'Normal', reason, action: 'A', note: text });

interface Written {
  readonly note: string;
  readonly reason: string;
  count: number;
}

/** A recorder and what it wrote; `fail` answers one write each, until it is used up. */
function start(fail: (() => Promise<never>)[] = []) {
  const clock = new FakeClock(1_000_000);
  const written = new Map<string, Written>();
  const calls = { count: 0 };
  const warnings: string[] = [];
  const answer = async (act: () => void) => {
    calls.count += 1;
    await fail.shift()?.();
    act();
  };
  interface Sent extends Written {
    readonly metadata: { readonly name: string };
    readonly series?: { readonly count: number };
  }
  const client = {
    create: (_kind: unknown, { metadata, note, reason, series }: Sent) =>
      answer(() => written.set(metadata.name, { note, reason, count: series?.count ?? 1 })),
    patch: (_kind: unknown, { name }: { name: string }, { series }: Sent) =>
      answer(() => {
        const known = written.get(name);
        if (!known) throw new ApiError('PATCH', 404, 'NotFound', 'gone');
        known.count = series?.count ?? 0;
      }),
  } as unknown as KubeClient;
  const log = pino({ level: 'warn' }, { write: (line: string) => warnings.push(JSON.parse(line).msg) });
  const events = new EventRecorder({ client, log, controller: 'c/c', instance: 'i', clock });
  const told = () => [...written.values()].map(({ note, count }) => `${note} x${count}`);
  return { calls, clock, events, told, warnings, written };
}

it('an event is cut to the bytes that the API server takes, between characters', async () => {
  const { events, written } = start();
  for (const [text, reason] of [
    ['é'.repeat(1024), 'R'.repeat(129)],
    [`a${'😀'.repeat(256)}`, 'R'],
    ['x'.repeat(1024), 'R'.repeat(128)],
  ] as const) {
    events.record(KIND, object(), note(text, reason));
  }
  await events.flush();
  assert.deepEqual(
    [...written.values()].map((event) => [Buffer.byteLength(event.note), Buffer.byteLength(event.reason)]),
    [
      [1023, 128],
      [1024, 1],
      [1024, 128],
    ],
  );
  assert.ok([...written.values()].every((event) => !event.note.includes('\ufffd')));
});

it('repetitions are counted on one event, those that wait together by one request', async () => {
  const { calls, clock, events, told } = start();
  events.record(KIND, object(), note('again'));
  await events.flush();
  for (let round = 0; round < 5; round += 1) events.record(KIND, object(), note('again'));
  await events.flush();
  assert.deepEqual(told(), ['again x6']);
  assert.equal(calls.count, 3, 'one of the five was under way before the others came');
  clock.advance(6 * 60_000);
  events.record(KIND, object(), note('again'));
  await events.flush();
  assert.deepEqual(told(), ['again x6', 'again x1'], 'much later it is news');
});

it('an event that was deleted meanwhile is told anew', async () => {
  const { events, told, written } = start();
  events.record(KIND, object(), note('again'));
  await events.flush();
  written.clear();
  events.record(KIND, object(), note('again'));
  await events.flush();
  assert.deepEqual(told(), ['again x1']);
});

it('of events that differ in their note only, those above ten become one series', async () => {
  const { clock, events, told } = start();
  for (let index = 0; index < 30; index += 1) events.record(KIND, object(), note(`attempt ${index}`));
  await events.flush();
  assert.equal(told().length, 11);
  assert.match(told()[10] ?? '', /similar events.* x20$/);
  events.record(KIND, object('other'), note('attempt 99'));
  clock.advance(10 * 60_000);
  events.record(KIND, object(), note('attempt 100'));
  await events.flush();
  assert.deepEqual(told().slice(11), ['attempt 99 x1', 'attempt 100 x1']);
});

it('an object that has ever more to say is cut short, others are not', async () => {
  const { clock, events, told, warnings } = start();
  for (let index = 0; index < 40; index += 1) events.record(KIND, object(), note('text', `Reason${index}`));
  events.record(KIND, object('quiet'), note('heard'));
  await events.flush();
  assert.equal(told().length, 26);
  assert.ok(told().includes('heard x1'));
  assert.deepEqual([...new Set(warnings)], ['too many events, some are not told']);
  assert.ok(warnings.length < 6, 'the log is not flooded either');
  clock.advance(300_000);
  events.record(KIND, object(), note('later', 'Later'));
  await events.flush();
  assert.ok(told().includes('later x1'));
});

it('recording neither waits nor throws while the API server does not answer, and what waits is bounded', async () => {
  const stuck = Promise.withResolvers<never>();
  const { calls, events, told, warnings } = start([() => stuck.promise]);
  for (let index = 0; index < 3_000; index += 1) events.record(KIND, object(`o${index}`), note('text'));
  assert.equal(calls.count, 1);
  assert.ok(warnings.length > 0);
  stuck.reject(new ApiError('POST', 403, 'Forbidden', 'scripted'));
  await events.flush();
  assert.ok(told().length <= 1_001, `${told().length} events were kept`);
});

it('what fails in passing is tried again, what is refused is not', async () => {
  const fail = (error: Error) => () => Promise.reject(error);
  const { calls, clock, events, told, warnings } = start([
    fail(new Error('reset')),
    fail(new ApiError('POST', 500, 'InternalError', 'scripted')),
  ]);
  events.record(KIND, object(), note('kept'));
  const flushed = events.flush();
  for (let turn = 0; turn < 5; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(10_000);
  }
  await flushed;
  assert.deepEqual([told(), warnings, calls.count], [['kept x1'], [], 3]);

  const refused = start([fail(new ApiError('POST', 403, 'Forbidden', 'scripted'))]);
  refused.events.record(KIND, object(), note('refused'));
  await refused.events.flush();
  assert.deepEqual([refused.told(), refused.warnings], [[], ['event not recorded']]);
});

it('a flush that may not wait gives up what waits', async () => {
  const fail = Array.from({ length: 10 }, () => () => Promise.reject(new Error('reset')));
  const { events, told } = start(fail);
  events.record(KIND, object(), note('lost'));
  events.record(KIND, object('b'), note('lost too'));
  const ending = new AbortController();
  const flushed = events.flush(ending.signal);
  ending.abort();
  await flushed;
  assert.deepEqual(told(), []);
});
