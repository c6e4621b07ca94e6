import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DIGEST } from '../builders.ts';
import type { FetchOutcome } from './fetch-outcome.ts';
import { type FetchInput, type FetchState, type FetchStep, MAX_REPAIRS, nextFetch } from './fetch-state.ts';

const NOW = Date.parse('2026-01-01T00:10:00Z');
const at = (ms: number) => new Date(NOW + ms).toISOString().replace('.000', '');
const policy = { soon: { baseMs: 10_000, capMs: 80_000 }, seldom: { baseMs: 60_000, capMs: 600_000 } };
const step = (
  previous: FetchState | undefined,
  outcome?: FetchOutcome,
  more: Partial<FetchInput> = {},
): FetchStep & { state: FetchState } => {
  const next = nextFetch({
    previous,
    id: 'x',
    outcome,
    edited: false,
    idle: false,
    mayBegin: true,
    nowMs: NOW,
    policy,
    ...more,
  });
  assert.ok(next.state);
  return { ...next, state: next.state };
};

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
      (nowMs) => step(running(), failure('seldom'), { nowMs }).state,
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

  it('that failed is tried again at once when the spec was edited, whatever for', () => {
    for (const previous of [failedState(at(4_000)), failedState()]) {
      const { state, start } = step(previous, undefined, { edited: true });
      assert.deepEqual([state.attempts, state.phase, start], [3, 'Running', true]);
    }
  });

  it('that failed is tried again later although it could not begin when the spec was edited', () => {
    for (const previous of [failedState(at(4_000)), failedState()]) {
      const held = step(previous, undefined, { edited: true, mayBegin: false });
      assert.deepEqual([held.start, held.waits, held.state.phase], [false, true, 'Failed']);
      assert.deepEqual([step(held.state).start, step(held.state).state.attempts], [true, 3]);
    }
  });

  it('that fails after the spec was edited is tried again at once', () => {
    const { state, start } = step(running(), failure('never'), { edited: true });
    assert.deepEqual([state.attempts, state.phase, state.reason, start], [2, 'Running', 'R', true]);
  });

  it('whose pod does not run yet begins anew when the spec was edited, even out of turn', () => {
    const edit = { edited: true, idle: true, mayBegin: false };
    const { state, start } = step(running(), { state: 'running' }, edit);
    assert.deepEqual([state.attempts, state.phase, start], [2, 'Running', true]);
    for (const more of [{ edited: true }, { idle: true }]) {
      assert.deepEqual(step(running(), { state: 'running' }, more), { state: running(), start: false });
    }
  });

  it('that another model holds up begins nothing, and keeps what is known', () => {
    const wait = { mayBegin: false };
    const first = {
      previous: undefined,
      id: 'x',
      outcome: undefined,
      edited: true,
      idle: false,
      nowMs: NOW,
      policy,
    };
    assert.deepEqual(nextFetch({ ...first, ...wait }), { state: undefined, start: false, waits: true });
    const due = failedState(at(0));
    assert.deepEqual(step(due, undefined, wait), { state: due, start: false, waits: true });
    // One that was begun goes on.
    assert.deepEqual(step(running(), { state: 'running' }, wait), { state: running(), start: false });
  });

  it('is looked at again when time may change its outcome', () => {
    assert.equal(step(running(), { state: 'running', lookAgainMs: 7 }).requeueAfterMs, 7);
  });
});

describe('a package found damaged', () => {
  const damage = { reason: 'PackageDamaged', message: 'pod p: DigestMismatch: a.onnx' };
  const verified = (repairs?: number, completedAt = at(-1_000)): FetchState => ({
    id: 'x',
    phase: 'Succeeded',
    attempts: 4,
    completedAt,
    ...(repairs === undefined ? {} : { repairs }),
  });

  it('is repaired at once for the first time, which is counted and told', () => {
    const { state, start } = step(verified(), undefined, { damage });
    assert.deepEqual(
      [state.phase, state.attempts, state.repairs, state.reason, state.message, start],
      ['Running', 5, 1, damage.reason, damage.message, true],
    );
    assert.deepEqual(step(state, success).state.repairs, 1);
  });

  it('is repaired after growing pauses from then on', () => {
    const waits = [1, 2, 3].map(
      (repairs) => step(verified(repairs), undefined, { damage }).requeueAfterMs ?? 0,
    );
    assert.ok(
      waits.every((wait, index) => wait > 29_000 * 2 ** index && wait < 60_000 * 2 ** index),
      `${waits}`,
    );
    assert.deepEqual(step(verified(1), undefined, { damage }).damage, damage);
    assert.equal(step(verified(1, at(-61_000)), undefined, { damage }).state.repairs, 2);
  });

  it('is damaged no more in the very pass that sees its repair succeed', () => {
    const repaired = step({ ...running(5), repairs: 1 }, success, { damage });
    assert.deepEqual([repaired.state.phase, repaired.damage], ['Succeeded', undefined]);
  });

  it('again and again is repaired no more, until the spec is edited', () => {
    const given = step(verified(MAX_REPAIRS), undefined, { damage });
    assert.deepEqual(
      [given.state.phase, given.state.reason, given.start, given.requeueAfterMs],
      ['Failed', 'DamagedAgain', false, undefined],
    );
    assert.match(given.state.message ?? '', /repaired 5 times.*then delete the claim or edit the spec/);
    assert.deepEqual(step(given.state, undefined, { damage }), { state: given.state, start: false });
    assert.equal(step(given.state, undefined, { damage, edited: true }).start, true);
  });

  it('a day after the last repair is repaired as if for the first time', () => {
    const { state } = step(verified(MAX_REPAIRS, at(-24 * 3_600_000 - 1_000)), undefined, { damage });
    assert.deepEqual([state.phase, state.repairs], ['Running', 1]);
  });

  it('stays damaged until the repair of it has its turn', () => {
    assert.deepEqual(step(verified(), undefined, { damage, mayBegin: false }), {
      state: verified(),
      start: false,
      waits: true,
    });
  });
});
