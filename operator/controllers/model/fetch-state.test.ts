import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DIGEST } from '../builders.ts';
import type { FetchOutcome } from './fetch-outcome.ts';
import { type FetchState, nextFetch } from './fetch-state.ts';

const NOW = Date.parse('2026-01-01T00:10:00Z');
const at = (ms: number) => new Date(NOW + ms).toISOString().replace('.000', '');
const policy = { soon: { baseMs: 10_000, capMs: 80_000 }, seldom: { baseMs: 60_000, capMs: 600_000 } };
const step = (previous: FetchState | undefined, outcome?: FetchOutcome, id = 'x') =>
  nextFetch(previous, id, outcome, NOW, policy);

const running = (attempts = 1): FetchState => ({
  id: 'x',
  phase: 'Running',
  attempts,
  startedAt: at(-5_000),
});
const failedState = (nextRetryAt?: string): FetchState => ({
  id: 'x',
  phase: 'Failed',
  attempts: 2,
  reason: 'SourceUnreachable',
  message: 'm',
  ...(nextRetryAt === undefined ? {} : { nextRetryAt }),
});
const failure = (retry: 'soon' | 'seldom' | 'never'): FetchOutcome => ({
  state: 'failed',
  reason: 'R',
  message: 'm',
  retry,
  endedAt: at(0),
});
const card = { name: 'p', version: '1.0.0', modality: 'image' };
const success: FetchOutcome = {
  state: 'succeeded',
  endedAt: at(-1_000),
  result: { digest: DIGEST, sizeBytes: 1, durationMs: 1.6, card },
};

describe('a fetch', () => {
  it('begins with attempt 1, again whenever its id changes', () => {
    for (const previous of [undefined, { ...running(7), id: 'old' }, { ...failedState(), id: 'old' }]) {
      const { state, start } = step(previous);
      assert.deepEqual([state.phase, state.attempts, state.reason, start], ['Running', 1, undefined, true]);
    }
  });

  it('makes a Job that vanished again under the same attempt', () => {
    const { state, start } = step(running(3));
    assert.deepEqual([state.attempts, start], [3, true]);
  });

  it('waits while its Job runs, and a little for the last words of an ended one', () => {
    assert.deepEqual(step(running(), { state: 'running' }), { state: running(), start: false });
    assert.equal(step(running(), { state: 'unknown' }).requeueAfterMs, 1_000);
  });

  it('succeeds once and stays so', () => {
    const { state, result } = step(running(), success);
    assert.deepEqual([state.phase, state.durationMs, state.completedAt], ['Succeeded', 2, at(-1_000)]);
    assert.equal(result?.digest, DIGEST);
    assert.deepEqual(step(state), { state, start: false });
  });

  it('waits for the retry of a failure, then begins the next attempt and keeps telling why', () => {
    assert.equal(step(failedState(at(4_000))).requeueAfterMs, 4_000);
    const { state, start } = step(failedState(at(0)));
    assert.deepEqual(
      [state.attempts, state.phase, state.reason, start],
      [3, 'Running', 'SourceUnreachable', true],
    );
  });

  it('is not retried where that is of no use', () => {
    const { state, start, requeueAfterMs } = step(running(), failure('never'));
    assert.deepEqual(
      [state.phase, state.nextRetryAt, start, requeueAfterMs],
      ['Failed', undefined, false, undefined],
    );
    assert.deepEqual(step(failedState()), { state: failedState(), start: false });
  });

  it('does not move its retry when one failure is looked at twice', () => {
    const [first, later] = [NOW, NOW + 3_000].map(
      (now) => nextFetch(running(), 'x', failure('seldom'), now, policy).state,
    );
    assert.equal(first?.nextRetryAt, later?.nextRetryAt);
  });

  for (const { retry, attempt, least, most } of [
    { retry: 'soon', attempt: 1, least: 5_000, most: 11_000 },
    { retry: 'soon', attempt: 3, least: 20_000, most: 41_000 },
    { retry: 'soon', attempt: 30, least: 40_000, most: 81_000 },
    { retry: 'seldom', attempt: 1, least: 30_000, most: 61_000 },
    { retry: 'seldom', attempt: 30, least: 300_000, most: 601_000 },
  ] as const) {
    it(`tried ${attempt} times is retried ${retry}: in ${least} to ${most} ms`, () => {
      const wait = step(running(attempt), failure(retry)).requeueAfterMs ?? 0;
      assert.ok(wait >= least && wait <= most, `${wait}`);
    });
  }
});
