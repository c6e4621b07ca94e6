import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SingleFlight } from './single-flight.ts';

const patient = { signal: new AbortController().signal };

/** Work that ends when the test says so. */
function work() {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const starts: AbortSignal[] = [];
  const steps: ((step: number) => void)[] = [];
  const start = (signal: AbortSignal, tell: (step: number) => void) => {
    starts.push(signal);
    steps.push(tell);
    return promise;
  };
  return { start, starts, tell: (step: number) => steps[0]?.(step), resolve, reject };
}

describe('work that several ask for at the same time', () => {
  test('is done once, and everybody gets what it came to', async () => {
    const flights = new SingleFlight<string, number>();
    const { start, starts, resolve } = work();
    const all = [1, 2, 3].map(() => flights.join('key', patient, start));
    resolve('done');
    const landings = await Promise.all(all);
    assert.equal(starts.length, 1);
    assert.deepEqual(
      landings.map(({ value, joined }) => [value, joined]),
      [
        ['done', false],
        ['done', true],
        ['done', true],
      ],
    );
    assert.equal(flights.size, 0);
  });

  test('is done apart for other keys, and again after it has ended', async () => {
    const flights = new SingleFlight<string, number>();
    let count = 0;
    const start = async () => `${++count}`;
    await Promise.all([flights.join('a', patient, start), flights.join('b', patient, start)]);
    assert.deepEqual(await flights.join('a', patient, start), { value: '3', joined: false });
  });

  test('goes on when the first one leaves', async () => {
    const flights = new SingleFlight<string, number>();
    const { start, starts, resolve } = work();
    const leaver = new AbortController();
    const first = flights.join('key', { signal: leaver.signal }, start);
    const second = flights.join('key', patient, start);
    leaver.abort(new Error('gone'));
    await assert.rejects(first, /gone/);
    assert.equal(starts[0]?.aborted, false);
    resolve('done');
    assert.equal((await second).value, 'done');
  });

  test('is abandoned when the last one leaves, and starts anew for the next', async () => {
    const flights = new SingleFlight<string, number>();
    const abandoned = work();
    const leavers = [new AbortController(), new AbortController()];
    const waiting = leavers.map(({ signal }) => flights.join('key', { signal }, abandoned.start));
    for (const leaver of leavers) leaver.abort(new Error('gone'));
    for (const one of waiting) await assert.rejects(one, /gone/);
    assert.equal(abandoned.starts[0]?.aborted, true);
    const next = flights.join('key', patient, async () => 'anew');
    abandoned.reject(new Error('nobody hears this'));
    assert.deepEqual(await next, { value: 'anew', joined: false });
  });

  test('fails for all who wait', async () => {
    const flights = new SingleFlight<string, number>();
    const { start, reject } = work();
    const all = [1, 2].map(() => flights.join('key', patient, start));
    reject(new Error('broken'));
    for (const one of all) await assert.rejects(one, /broken/);
    assert.equal(flights.size, 0);
  });

  test('is not begun for one who has left already', async () => {
    const flights = new SingleFlight<string, number>();
    const { start, starts } = work();
    await assert.rejects(
      flights.join('key', { signal: AbortSignal.abort(new Error('gone')) }, start),
      /gone/,
    );
    assert.equal(starts.length, 0);
  });

  test('tells its steps to everybody who still waits', async () => {
    const flights = new SingleFlight<string, number>();
    const { start, tell, resolve } = work();
    const heard: string[] = [];
    const leaver = new AbortController();
    const first = flights.join(
      'key',
      { signal: leaver.signal, onStep: (step) => heard.push(`first ${step}`) },
      start,
    );
    tell(1);
    const second = flights.join('key', { ...patient, onStep: (step) => heard.push(`second ${step}`) }, start);
    tell(2);
    leaver.abort();
    await assert.rejects(first);
    tell(3);
    resolve('done');
    await second;
    assert.deepEqual(heard, ['first 1', 'first 2', 'second 2', 'second 3']);
  });
});
