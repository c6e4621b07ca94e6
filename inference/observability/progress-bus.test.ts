import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type ProgressEvent, parseProgressEvent } from './progress.ts';
import { ProgressBus } from './progress-bus.ts';

const event = (id: string, overrides: Partial<ProgressEvent> = {}): ProgressEvent => ({
  id,
  media_id: 'm',
  user_id: null,
  event: 'FRAME_ANALYSIS_PROGRESS',
  message: '',
  data: { model_name: null, progress: 1, total: 2, details: {} },
  ...overrides,
});
const end = (id: string) => event(id, { event: 'ANALYSIS_COMPLETE' });
const idsOf = (events: readonly ProgressEvent[]) => events.map(({ id }) => id);

describe('the bus', () => {
  test('tells each listener of its own media, in order and once', () => {
    const published: string[] = [];
    const bus = new ProgressBus({ publish: ({ id }) => published.push(id) });
    const heard: string[] = [];
    const stop = bus.listen('m', ({ id }) => heard.push(id));
    for (const one of [event('a-1'), event('b-1', { media_id: 'other' }), event('a-2')]) bus.publish(one);
    bus.receive(event('a-1'));
    bus.receive(event('c-1'));
    stop();
    bus.publish(event('a-3'));
    assert.deepEqual(heard, ['a-1', 'a-2', 'c-1']);
    assert.deepEqual(published, ['a-1', 'b-1', 'a-2', 'a-3']);
    assert.equal(bus.listenerCount, 0);
  });

  const missed: { name: string; events: ProgressEvent[]; lastId?: string; expected: string[] }[] = [
    { name: 'nothing of an unknown media', events: [], expected: [] },
    {
      name: 'the analysis that is under way',
      events: [event('a-1'), event('a-2')],
      expected: ['a-1', 'a-2'],
    },
    { name: 'nothing of an analysis that is over', events: [event('a-1'), end('a-2')], expected: [] },
    { name: 'the next analysis alone', events: [end('a-1'), event('b-1')], expected: ['b-1'] },
    {
      name: 'what came after the last event',
      events: [event('a-1'), event('a-2'), end('a-3')],
      lastId: 'a-1',
      expected: ['a-2', 'a-3'],
    },
    {
      name: 'all after an unknown event',
      events: [event('a-1'), end('a-2')],
      lastId: 'x-9',
      expected: ['a-1', 'a-2'],
    },
    { name: 'nothing after the last event', events: [event('a-1')], lastId: 'a-1', expected: [] },
  ];
  for (const { name, events, lastId, expected } of missed) {
    test(`gives latecomers ${name}`, () => {
      const bus = new ProgressBus();
      for (const one of events) bus.publish(one);
      assert.deepEqual(idsOf(bus.missed('m', lastId)), expected);
    });
  }

  test('knows when nothing follows', () => {
    const bus = new ProgressBus();
    bus.publish(event('a-1'));
    assert.equal(bus.isOver('m', 'a-1'), false);
    bus.publish(end('a-2'));
    assert.equal(bus.isOver('m', 'a-1'), false);
    assert.equal(bus.isOver('m', 'a-2'), true);
  });

  test('remembers a few events of a media, for a minute', () => {
    let now = 1;
    const bus = new ProgressBus(undefined, () => now);
    for (let number = 1; number <= 100; number += 1) bus.publish(event(`a-${number}`));
    assert.deepEqual([bus.missed('m', undefined).length, bus.missed('m', 'a-99')[0]?.id], [64, 'a-100']);
    now = 60_002;
    assert.deepEqual(bus.missed('m', undefined), []);
  });
});

describe('a message on the channel', () => {
  const good = event('a-1');
  test('from another pod is passed on as it is', () =>
    assert.deepEqual(parseProgressEvent(JSON.stringify(good)), good));

  const foreign = [
    { name: 'no JSON', message: 'hello' },
    { name: 'an event of another program', message: JSON.stringify({ ...good, id: undefined }) },
    { name: 'an id that would break a stream', message: JSON.stringify({ ...good, id: 'a\ndata: x' }) },
    { name: 'far too long', message: JSON.stringify({ ...good, message: 'x'.repeat(20_000) }) },
  ];
  for (const { name, message } of foreign)
    test(`is ignored when it is ${name}`, () => assert.equal(parseProgressEvent(message), undefined));
});
