/** The life of fetches under operators that crash at any point, on a clock that is moved: nothing is lost, nothing doubled. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { timestamp } from '../../runtime/conditions.ts';
import { FakeClock } from '../../runtime/fake-clock.ts';
import type { FetchOutcome } from './fetch-outcome.ts';
import { currentAttempt, type FetchState, nextFetch, type RetryPolicy } from './fetch-state.ts';

const POLICY: RetryPolicy = {
  soon: { baseMs: 10_000, capMs: 60_000 },
  seldom: { baseMs: 60_000, capMs: 600_000 },
};

/** What the API server knows: status as last written, and the Jobs that were made. */
interface World {
  status: FetchState | undefined;
  readonly jobs: Map<string, FetchOutcome>;
  /** Names of Jobs in the order in which they were made. */
  readonly made: string[];
}

type Step =
  /** A whole pass. */
  | { readonly do: 'pass' }
  /** A pass that dies before or after it made its Job, and never writes status. */
  | { readonly do: 'die'; readonly made: boolean }
  | { readonly do: 'time'; readonly ms: number }
  /** The running Job ends. */
  | { readonly do: 'end'; readonly how: 'succeeded' | 'soon' | 'seldom' | 'never' }
  /** Somebody deletes the Job. */
  | { readonly do: 'lose' }
  /** The spec changes in what the fetch does not depend on: a person may have mended what failed. */
  | { readonly do: 'edit' }
  /** The spec changes: another fetch. */
  | { readonly do: 'change'; readonly id: string };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.constant({ do: 'pass' as const }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('die' as const), made: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('time' as const), ms: fc.integer({ min: 1, max: 700_000 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('end' as const),
      how: fc.constantFrom('succeeded' as const, 'soon' as const, 'seldom' as const, 'never' as const),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'lose' as const }) },
  { weight: 1, arbitrary: fc.constant({ do: 'edit' as const }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('change' as const), id: fc.constantFrom('a', 'b') }) },
);

const nameOf = (id: string, attempt: number) => `${id}-${attempt}`;

function outcome(how: (Step & { do: 'end' })['how'], endedAt: string): FetchOutcome {
  if (how !== 'succeeded') return { state: 'failed', reason: 'X', message: how, retry: how, endedAt };
  const card = { name: 'n', version: '1.0.0', modality: 'image' };
  const result = { digest: `sha256:${'a'.repeat(64)}`, sizeBytes: 1, durationMs: 1, card };
  return { state: 'succeeded', result, endedAt };
}

class Life {
  readonly world: World = { status: undefined, jobs: new Map(), made: [] };
  readonly clock = new FakeClock(Date.parse('2026-01-01T00:00:00Z'));
  id = 'a';

  edited = false;

  take(next: Step): void {
    switch (next.do) {
      case 'pass':
        this.#pass('whole');
        break;
      case 'die':
        this.#pass(next.made ? 'made' : 'nothing');
        break;
      case 'time':
        this.clock.advance(next.ms);
        break;
      case 'end':
        this.#end(next.how);
        break;
      case 'lose':
        this.world.jobs.delete(this.current);
        break;
      case 'edit':
        this.edited = true;
        break;
      case 'change':
        this.id = next.id;
    }
  }

  get current(): string {
    return nameOf(this.id, currentAttempt(this.world.status, this.id));
  }

  #pass(gets: 'whole' | 'made' | 'nothing'): void {
    const { world, clock, id, edited } = this;
    const previous = world.status;
    const seen = world.jobs.get(this.current);
    const turn = { edited, idle: true, mayBegin: true };
    const input = { previous, id, outcome: seen, ...turn, nowMs: clock.now(), policy: POLICY };
    const { state, start } = nextFetch(input);
    this.#check(previous, state, start);
    if (gets === 'nothing') return;
    const name = state && nameOf(id, state.attempts);
    if (name !== undefined && start && !world.jobs.has(name)) {
      world.jobs.set(name, { state: 'running' });
      world.made.push(name);
    }
    if (gets === 'made') return;
    for (const other of world.jobs.keys()) if (other !== name) world.jobs.delete(other);
    world.status = state;
    this.edited = false;
  }

  #check(before: FetchState | undefined, state: FetchState | undefined, start: boolean): void {
    if (before?.id !== this.id || !state) {
      assert.deepEqual([state?.id, state?.attempts, start], [this.id, 1, true]);
      return;
    }
    if (before.phase === 'Succeeded')
      assert.deepEqual([state, start], [before, false], 'what is done stays done');
    if (state.phase === 'Succeeded' && before.phase !== 'Succeeded') {
      assert.equal(this.world.jobs.get(this.current)?.state, 'succeeded', 'success is what a Job reported');
    }
    assert.ok([0, 1].includes(state.attempts - before.attempts), 'attempts grow, one at a time');
    if (state.attempts > before.attempts) this.#checkRetry(before, start);
  }

  #checkRetry({ phase, nextRetryAt }: FetchState, start: boolean): void {
    assert.ok(start, 'a counted attempt has a Job');
    if (phase !== 'Failed' || this.edited) return;
    assert.notEqual(nextRetryAt, undefined, 'no retry without a time');
    assert.ok(Date.parse(nextRetryAt ?? '') <= this.clock.now(), 'no retry before its time');
  }

  #end(how: (Step & { do: 'end' })['how']): void {
    const name = [...this.world.jobs].find(([, { state }]) => state === 'running')?.[0];
    if (name !== undefined) this.world.jobs.set(name, outcome(how, timestamp(this.clock.now())));
  }
}

it('whenever passes die, attempts only grow, wait for their time, and are made by one Job each', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), (steps) => {
      const life = new Life();
      for (const next of steps) {
        const lost = next.do === 'lose' || next.do === 'change';
        const before = life.world.made.length;
        life.take(next);
        if (!lost) assert.ok(life.world.made.length <= before + 1);
      }
      const undisturbed = steps.every(({ do: what }) => what !== 'lose' && what !== 'change');
      const { made } = life.world;
      if (undisturbed)
        assert.equal(new Set(made).size, made.length, 'a Job that nobody took away is made once');
    }),
    { numRuns: 2_000, seed: 1 },
  );
});

it('once passes live and Jobs succeed, the fetch that is asked for is done, whatever was before', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const life = new Life();
      for (const next of steps) life.take(next);
      // A failure that no retry mends is mended by an edit.
      const mended: Step[] = [{ do: 'pass' }, { do: 'pass' }, { do: 'edit' }];
      const round: Step[] = [{ do: 'pass' }, { do: 'end', how: 'succeeded' }, { do: 'time', ms: 3_600_000 }];
      for (const next of [...mended, ...round, ...round, ...round, ...round]) life.take(next);
      assert.deepEqual([life.world.status?.id, life.world.status?.phase], [life.id, 'Succeeded']);
    }),
    { numRuns: 2_000, seed: 2 },
  );
});
