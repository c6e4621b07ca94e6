import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { EXIT } from '../errors.ts';
import { ABORTED, ago, canary, HEALTHY, rollout } from './builders.ts';
import { endOf, progressText } from './wait.ts';

const timed = canary({ steps: [{ setWeight: 25 }, { pause: { duration: '10m' } }] });
const inconclusive = { reason: 'InconclusiveAnalysis', startTime: ago(1) };

describe('waiting for a rollout', () => {
  const cases: readonly [string, ReturnType<typeof rollout>, number | undefined][] = [
    ['ends when it is Healthy', rollout(HEALTHY), EXIT.ok],
    ['ends when it is Degraded', rollout(ABORTED), EXIT.degraded],
    ['ends at a pause that only a person ends', rollout(), EXIT.paused],
    ['goes on through a pause with a duration', rollout({}, timed), undefined],
    [
      'ends where a person has to look, whatever the step',
      rollout({ pauseConditions: [inconclusive] }, timed),
      EXIT.paused,
    ],
    ['goes on before an abort is heeded', rollout({ abort: true }), undefined],
    ['goes on before a retry is heeded', rollout({ ...ABORTED, abort: false }), undefined],
    ['goes on before a promotion is heeded', rollout({ pauseConditions: [] }), undefined],
    ['goes on before a promotion in full is heeded', rollout({ promoteFull: true }), undefined],
    [
      'ends where spec.paused holds everything',
      rollout({ pauseConditions: [] }, { ...canary(), paused: true }),
      EXIT.paused,
    ],
    ['goes on while it moves', rollout({ phase: 'Progressing' }), undefined],
    [
      'goes on while status speaks of an earlier spec',
      rollout({ ...HEALTHY, observedGeneration: 3 }),
      undefined,
    ],
  ];
  for (const [name, deployment, expected] of cases) {
    it(name, () => assert.equal(endOf(deployment), expected));
  }

  it('tells phase, step and message', () => {
    assert.equal(
      progressText(rollout()),
      'Paused at step 2/4 (pause until promoted): waits for a person at step 2 of 4',
    );
  });
});
