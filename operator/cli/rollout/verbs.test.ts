import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ModelDeployment } from '../../controllers/kinds.ts';
import { ABORTED, ago, canary, HEALTHY, NOW, REVISIONS, rollout } from './builders.ts';
import * as verbs from './verbs.ts';

const step = { reason: 'CanaryPauseStep', startTime: ago(300) };
const mine = { reason: 'PausedByUser', startTime: ago(0) };
const RUNNING = { phase: 'Progressing', currentStepIndex: 2, pauseConditions: undefined };
const blueGreen = { strategy: { blueGreen: {} } };
const rolling = { strategy: { rollingUpdate: {} } };

interface Row {
  readonly when: string;
  readonly verb: verbs.Verb;
  readonly given?: ModelDeployment;
  /** The patch, or a part of the refusal. */
  readonly does: { readonly status: object } | { readonly spec: object } | string;
}

const rows: readonly Row[] = [
  {
    when: 'promote ends the pause of a step',
    verb: verbs.promote,
    does: { status: { pauseConditions: null } },
  },
  {
    when: 'promote ends the pause of blue-green',
    verb: verbs.promote,
    given: rollout({ pauseConditions: [{ reason: 'BlueGreenPause', startTime: ago(9) }] }, blueGreen),
    does: { status: { pauseConditions: null } },
  },
  {
    when: 'promote ends every reason to wait at once',
    verb: verbs.promote,
    given: rollout({ pauseConditions: [step, { reason: 'InconclusiveAnalysis', startTime: ago(2) }, mine] }),
    does: { status: { pauseConditions: null } },
  },
  {
    when: 'promote of what waits for nobody',
    verb: verbs.promote,
    given: rollout(RUNNING),
    does: 'faces is Progressing at step 3/4 (analysis of errors) and waits for nobody: promote --full skips the remaining steps',
  },
  {
    when: 'promote while nothing is rolled out',
    verb: verbs.promote,
    given: rollout(HEALTHY),
    does: 'faces is Healthy and serves revision r3 alone: nothing is rolled out now; change the spec to begin a rollout',
  },
  {
    when: 'promote of what was aborted',
    verb: verbs.promote,
    given: rollout(ABORTED),
    does: 'faces is Degraded at step 1/4 (set weight to 25 %): the rollout was aborted; retry it, undo it or change the spec',
  },
  {
    when: 'promote with a strategy that has no steps',
    verb: verbs.promote,
    given: rollout({}, rolling),
    does: 'faces has no rollout to steer: its strategy is rollingUpdate',
  },
  {
    when: 'promote before the operator saw the latest change',
    verb: verbs.promote,
    given: rollout({ observedGeneration: 3 }),
    does: 'faces is Progressing: the operator has not looked at its latest change yet',
  },
  {
    when: 'promote before the operator saw anything',
    verb: verbs.promote,
    given: { ...rollout(), status: undefined } as unknown as ModelDeployment,
    does: 'the operator has not looked at its latest change yet',
  },
  {
    when: 'promote while spec.paused holds everything',
    verb: verbs.promote,
    given: rollout({}, { ...canary(), paused: true }),
    does: 'spec.paused is true: nothing is rolled out until it is false',
  },
  {
    when: 'promote of the first revision',
    verb: verbs.promote,
    given: rollout({ stableRevision: undefined, phase: 'Progressing' }),
    does: 'faces is Progressing and serves its first revision, which has no steps',
  },
  {
    when: 'promote --full skips what is left, a pause too',
    verb: verbs.promoteFully,
    does: { status: { promoteFull: true, pauseConditions: null } },
  },
  {
    when: 'promote --full needs no pause',
    verb: verbs.promoteFully,
    given: rollout(RUNNING),
    does: { status: { promoteFull: true, pauseConditions: null } },
  },
  {
    when: 'promote --full a second time',
    verb: verbs.promoteFully,
    given: rollout({ ...RUNNING, promoteFull: true }),
    does: 'was promoted in full already',
  },
  {
    when: 'promote --full of what was aborted overrules what aborted it',
    verb: verbs.promoteFully,
    given: rollout(ABORTED),
    does: { status: { promoteFull: true, pauseConditions: null } },
  },
  {
    when: 'pause holds what goes on',
    verb: verbs.pause,
    given: rollout(RUNNING),
    does: { status: { pauseConditions: [mine] } },
  },
  {
    when: 'pause keeps the other reasons to wait',
    verb: verbs.pause,
    does: { status: { pauseConditions: [step, mine] } },
  },
  {
    when: 'pause a second time',
    verb: verbs.pause,
    given: rollout({ pauseConditions: [mine] }),
    does: 'was paused by a person at 2026-03-04T12:00:00Z: resume ends that',
  },
  {
    when: 'pause while nothing is rolled out',
    verb: verbs.pause,
    given: rollout(HEALTHY),
    does: 'nothing is rolled out now; spec.paused: true holds later changes back',
  },
  { when: 'pause of what was aborted', verb: verbs.pause, given: rollout(ABORTED), does: 'was aborted' },
  {
    when: 'resume ends the pause of a person',
    verb: verbs.resume,
    given: rollout({ pauseConditions: [mine] }),
    does: { status: { pauseConditions: null } },
  },
  {
    when: 'resume leaves the pause of a step',
    verb: verbs.resume,
    given: rollout({ pauseConditions: [mine, step] }),
    does: { status: { pauseConditions: [step] } },
  },
  {
    when: 'resume of a pause that no person made',
    verb: verbs.resume,
    does: 'faces is Paused at step 2/4 (pause until promoted) because of CanaryPauseStep, not by a person: promote goes on',
  },
  {
    when: 'resume of what is not paused',
    verb: verbs.resume,
    given: rollout(RUNNING),
    does: 'and is not paused: there is nothing to resume',
  },
  { when: 'abort goes back to the stable revision', verb: verbs.abort, does: { status: { abort: true } } },
  {
    when: 'abort works while spec.paused holds everything',
    verb: verbs.abort,
    given: rollout({}, { ...canary(), paused: true }),
    does: { status: { abort: true } },
  },
  {
    when: 'abort while nothing is rolled out',
    verb: verbs.abort,
    given: rollout(HEALTHY),
    does: 'faces is Healthy and serves revision r3 alone: nothing is rolled out now; undo goes back to an earlier revision',
  },
  {
    when: 'abort a second time',
    verb: verbs.abort,
    given: rollout(ABORTED),
    does: 'and was aborted already: retry takes it up again',
  },
  {
    when: 'abort of the first revision',
    verb: verbs.abort,
    given: rollout({ stableRevision: undefined, phase: 'Progressing' }),
    does: 'serves its first revision',
  },
  {
    when: 'retry takes an aborted rollout up again',
    verb: verbs.retry,
    given: rollout(ABORTED),
    does: { status: { abort: false } },
  },
  {
    when: 'retry of what was not aborted',
    verb: verbs.retry,
    does: 'faces is Paused at step 2/4 (pause until promoted) and was not aborted: there is nothing to retry',
  },
  {
    when: 'retry of what is Degraded for another reason says that one',
    verb: verbs.retry,
    given: rollout({ ...RUNNING, phase: 'Degraded', message: 'pod x crashes' }),
    does: 'was not aborted: there is nothing to retry; what is wrong: pod x crashes',
  },
  {
    when: 'undo during a rollout goes back to the stable revision',
    verb: verbs.undo(),
    does: { spec: { rollbackTo: 'r2' } },
  },
  {
    when: 'undo after an abort makes the stable revision the wanted one',
    verb: verbs.undo(),
    given: rollout(ABORTED),
    does: { spec: { rollbackTo: 'r2' } },
  },
  {
    when: 'undo of what serves goes to the one before',
    verb: verbs.undo(),
    given: rollout(HEALTHY),
    does: { spec: { rollbackTo: 'r2' } },
  },
  {
    when: 'undo passes a revision that was never stable',
    verb: verbs.undo(),
    given: rollout({
      ...HEALTHY,
      revisions: REVISIONS.map(({ promotedAt, ...kept }) =>
        kept.revision === 'r2' || promotedAt === undefined ? kept : { ...kept, promotedAt },
      ),
    }),
    does: { spec: { rollbackTo: 'r1' } },
  },
  {
    when: 'undo of an undo goes one further back',
    verb: verbs.undo(),
    given: rollout(
      { ...HEALTHY, currentRevision: 'r2', stableRevision: 'r2' },
      { ...canary(), rollbackTo: 'r2' },
    ),
    does: { spec: { rollbackTo: 'r1' } },
  },
  {
    when: 'undo of a spec that was taken back goes to what it replaced',
    verb: verbs.undo(),
    given: rollout({ ...HEALTHY, currentRevision: 'r1', stableRevision: 'r1' }),
    does: { spec: { rollbackTo: 'r2' } },
  },
  {
    when: 'undo of an undo that went to the oldest goes no further',
    verb: verbs.undo(),
    given: rollout(
      { ...HEALTHY, currentRevision: 'r1', stableRevision: 'r1' },
      { ...canary(), rollbackTo: 'r1' },
    ),
    does: 'faces is Healthy and no revision was stable before it: kept are r3, r2, r1; --to-revision goes to any of them',
  },
  {
    when: 'undo to a revision of choice',
    verb: verbs.undo('r1'),
    does: { spec: { rollbackTo: 'r1' } },
  },
  {
    when: 'undo to a revision that is not kept',
    verb: verbs.undo('r0'),
    does: 'faces is Paused at step 2/4 (pause until promoted) and revision r0 is not kept: kept are r3, r2, r1; see rollout history',
  },
  {
    when: 'undo to what is served',
    verb: verbs.undo('r3'),
    given: rollout(HEALTHY),
    does: 'revision r3 is what it serves or goes to already: choose another with --to-revision',
  },
  {
    when: 'undo of the only revision',
    verb: verbs.undo(),
    given: rollout({ ...HEALTHY, revisions: REVISIONS.slice(0, 1) }),
    does: 'faces is Healthy and no revision was stable before it: kept are r3; --to-revision goes to any of them',
  },
  {
    when: 'undo with a strategy that keeps no revisions',
    verb: verbs.undo(),
    given: rollout({}, rolling),
    does: 'its strategy is rollingUpdate',
  },
  {
    when: 'undo --cancel',
    verb: verbs.cancelUndo,
    given: rollout(HEALTHY, { ...canary(), rollbackTo: 'r2' }),
    does: { spec: { rollbackTo: null } },
  },
  {
    when: 'undo --cancel of nothing',
    verb: verbs.cancelUndo,
    does: 'spec.rollbackTo is not set: there is no undo to cancel',
  },
];

describe('a verb', () => {
  for (const { when, verb, given = rollout(), does } of rows) {
    it(when, () => {
      const decision = verb(given, NOW);
      if (typeof does === 'string') {
        assert.equal(decision.does, 'refuse', JSON.stringify(decision));
        assert.ok(decision.because.includes(does), decision.because);
        return;
      }
      assert.equal(decision.does, 'patch', JSON.stringify(decision));
      assert.deepEqual(decision.body, does);
      assert.equal(decision.subresource, 'status' in does ? 'status' : undefined);
      assert.notEqual(decision.says, '');
    });
  }
});
