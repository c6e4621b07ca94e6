import assert from 'node:assert/strict';
import { it } from 'node:test';
import { mergeConditions, microTimestamp, timestamp } from './conditions.ts';

const verdict = { type: 'Ready', status: 'True', reason: 'R', message: 'm' } as const;

it('the transition time moves with the status alone', () => {
  const [first] = mergeConditions(undefined, [verdict], 1, 1_000);
  assert.equal(first?.lastTransitionTime, '1970-01-01T00:00:01Z');
  const [second] = mergeConditions(first && [first], [{ ...verdict, reason: 'Other' }], 2, 9_000);
  assert.deepEqual(second, {
    ...verdict,
    reason: 'Other',
    observedGeneration: 2,
    lastTransitionTime: first?.lastTransitionTime,
  });
  const [third] = mergeConditions(second && [second], [{ ...verdict, status: 'False' }], 2, 9_000);
  assert.equal(third?.lastTransitionTime, '1970-01-01T00:00:09Z');
});

it('a condition that is no longer judged goes', () => {
  const before = mergeConditions(undefined, [verdict, { ...verdict, type: 'Held' }], 1, 0);
  assert.deepEqual(
    mergeConditions(before, [verdict], 1, 0).map(({ type }) => type),
    ['Ready'],
  );
});

it('times are written as the API server reads them', () => {
  assert.equal(timestamp(1_234), '1970-01-01T00:00:01Z');
  assert.equal(microTimestamp(1_234), '1970-01-01T00:00:01.234000Z');
});
