import assert from 'node:assert/strict';
import { it } from 'node:test';
import { FakeClock } from './fake-clock.ts';
import { TokenBucket } from './token-bucket.ts';

it('lets a burst pass, then one per period, and forgives what was reserved as time goes by', () => {
  const clock = new FakeClock();
  const bucket = new TokenBucket({ perSecond: 10, burst: 3 }, clock);
  const waits = Array.from({ length: 5 }, () => bucket.reserve());
  assert.deepEqual(waits, [0, 0, 0, 100, 200]);
  clock.advance(200);
  assert.equal(bucket.reserve(), 100);
  clock.advance(60_000);
  assert.deepEqual(
    Array.from({ length: 4 }, () => bucket.reserve()),
    [0, 0, 0, 100],
  );
});

it('refuses without taking when there is no token', () => {
  const clock = new FakeClock();
  const bucket = new TokenBucket({ perSecond: 1, burst: 1 }, clock);
  assert.deepEqual([bucket.tryTake(), bucket.tryTake(), bucket.tryTake()], [true, false, false]);
  clock.advance(999);
  assert.equal(bucket.tryTake(), false);
  clock.advance(1);
  assert.equal(bucket.tryTake(), true);
});
