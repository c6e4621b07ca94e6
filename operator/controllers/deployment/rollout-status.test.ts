import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RevisionObservation, RolloutDecision, RolloutObservation } from '../../rollout/contract.ts';
import { findCondition } from '../../runtime/conditions.ts';
import { deploymentSpec, served } from '../builders.ts';
import { type RolloutSummaryInput, reasoned, rolloutFields, summarizeRollout } from './rollout-status.ts';

const revision = (name: string, changes: Partial<RevisionObservation> = {}): RevisionObservation => ({
  revision: name,
  desired: 2,
  replicas: 2,
  ready: 2,
  available: 2,
  observed: true,
  createdAt: 0,
  problem: undefined,
  deadlineExceeded: false,
  ...changes,
});

const observation = (changes: Partial<RolloutObservation> = {}): RolloutObservation => ({
  wantedRevision: 'r1',
  revisions: [revision('r1')],
  analyses: [],
  traffic: { stable: 'r1', canary: 'r1', canaryWeight: 0, verified: true, achieved: 0, problem: undefined },
  wantedReplicas: 2,
  freeAccelerators: undefined,
  ...changes,
});

const decision = (changes: Partial<RolloutDecision> = {}): RolloutDecision => ({
  status: { currentRevision: 'r1', stableRevision: 'r1' },
  phase: 'Healthy',
  message: '2 of 2 pods available',
  replicas: new Map(),
  remove: [],
  traffic: undefined,
  analyses: [],
  events: [],
  lookAgainInMs: undefined,
  ...changes,
});

const summarize = (changes: Partial<RolloutSummaryInput> = {}) =>
  summarizeRollout({
    spec: deploymentSpec({ strategy: { canary: {} } }),
    models: { served: [served()], problem: undefined },
    observation: observation(),
    decision: decision(),
    planProblem: undefined,
    childProblem: undefined,
    givenUp: undefined,
    autoscaler: undefined,
    autoscalerConflict: undefined,
    monitoring: undefined,
    traffic: undefined,
    ...changes,
  });

const crash = { reason: 'CrashLoopBackOff', message: 'exit code 1' };
const aborted = decision({
  status: {
    currentRevision: 'r2',
    stableRevision: 'r1',
    abort: true,
    abortReason: 'AnalysisFailed: probes: AUC 0.6',
  },
  phase: 'Degraded',
  message: 'RolloutAborted: revision r2: AnalysisFailed: probes: AUC 0.6; r1 serves',
});
const waiting = decision({
  status: {
    currentRevision: 'r2',
    stableRevision: 'r1',
    pauseConditions: [{ reason: 'CanaryPauseStep', startTime: '2026-01-01T00:00:00Z' }],
  },
  phase: 'Paused',
  message: 'CanaryPauseStep at step 2',
});

describe('conditions', () => {
  const rows: [
    what: string,
    changes: Partial<RolloutSummaryInput>,
    phase: string,
    expected: Record<string, [status: string, reason: string]>,
  ][] = [
    [
      'at rest',
      {},
      'Healthy',
      {
        Available: ['True', 'PodsAvailable'],
        Progressing: ['True', 'RevisionAvailable'],
        Paused: ['False', 'NotPaused'],
        Degraded: ['False', 'AsExpected'],
        Ready: ['True', 'Ready'],
      },
    ],
    [
      'while a person is waited for',
      { decision: waiting },
      'Paused',
      {
        Available: ['True', 'PodsAvailable'],
        Progressing: ['Unknown', 'Paused'],
        Paused: ['True', 'CanaryPauseStep'],
        Degraded: ['False', 'AsExpected'],
        Ready: ['False', 'Paused'],
      },
    ],
    [
      'after an abort, with the reason of it',
      { decision: aborted },
      'Degraded',
      {
        Available: ['True', 'PodsAvailable'],
        Progressing: ['False', 'AnalysisFailed'],
        Degraded: ['True', 'AnalysisFailed'],
        Ready: ['False', 'AnalysisFailed'],
      },
    ],
    [
      'when pods of the stable revision crash in mid-rollout',
      {
        decision: waiting,
        observation: observation({
          revisions: [revision('r1', { available: 0, problem: crash }), revision('r2', { available: 1 })],
        }),
      },
      'Degraded',
      { Available: ['False', 'CrashLoopBackOff'], Degraded: ['True', 'CrashLoopBackOff'] },
    ],
    [
      'when a child is refused',
      { childProblem: { reason: 'QuotaExceeded', message: 'q' } },
      'Degraded',
      { Degraded: ['True', 'QuotaExceeded'], Ready: ['False', 'QuotaExceeded'] },
    ],
    [
      'when the spec cannot be followed',
      { planProblem: { reason: 'DeviceImageMissing', message: 'd' } },
      'Degraded',
      { Progressing: ['False', 'DeviceImageMissing'], Degraded: ['True', 'DeviceImageMissing'] },
    ],
    [
      'while weights are fetched',
      {
        models: { served: undefined, problem: { reason: 'WeightsFetching', message: '5 %', failed: false } },
        observation: observation({ wantedRevision: undefined, revisions: [] }),
        decision: decision({ status: {}, phase: 'Progressing', message: 'there is no revision yet' }),
      },
      'Progressing',
      {
        Available: ['False', 'WeightsFetching'],
        Progressing: ['True', 'WeightsFetching'],
        Degraded: ['False', 'AsExpected'],
      },
    ],
    [
      'when a model failed before there were pods',
      {
        models: { served: undefined, problem: { reason: 'DigestMismatch', message: 'no', failed: true } },
        observation: observation({ wantedRevision: undefined, revisions: [] }),
        decision: decision({ status: {}, phase: 'Progressing', message: 'there is no revision yet' }),
      },
      'Degraded',
      {
        Available: ['False', 'DigestMismatch'],
        Progressing: ['False', 'DigestMismatch'],
        Degraded: ['True', 'DigestMismatch'],
      },
    ],
    [
      'with no pods asked for',
      {
        observation: observation({
          wantedReplicas: 0,
          revisions: [revision('r1', { desired: 0, available: 0 })],
        }),
      },
      'Healthy',
      { Available: ['True', 'ScaledToZero'], Ready: ['True', 'Ready'] },
    ],
    [
      'when traffic cannot be routed',
      {
        observation: observation({
          traffic: { ...observation().traffic, problem: { reason: 'RouteNotAccepted', message: 'r' } },
        }),
        traffic: { type: 'TrafficRouted', status: 'False', reason: 'RouteNotAccepted', message: 'r' },
      },
      'Degraded',
      { TrafficRouted: ['False', 'RouteNotAccepted'], Degraded: ['True', 'RouteNotAccepted'] },
    ],
  ];
  for (const [what, changes, phase, expected] of rows) {
    it(what, () => {
      const summary = summarize(changes);
      assert.equal(summary.phase, phase);
      for (const [type, [status, reason]] of Object.entries(expected)) {
        const found = summary.conditions.find((condition) => condition.type === type);
        assert.deepEqual([type, found?.status, found?.reason], [type, status, reason]);
      }
    });
  }
});

describe('why it is degraded', () => {
  const rows: [what: string, decision: RolloutDecision, reason: string, message: string][] = [
    ['stands in front of why it was aborted', aborted, 'AnalysisFailed', 'probes: AUC 0.6'],
    [
      'is the analysis that failed',
      decision({
        status: { abort: true, abortReason: 'analysis step-1 failed: AUC 0.6' },
        phase: 'Degraded',
      }),
      'AnalysisFailed',
      'analysis step-1 failed: AUC 0.6',
    ],
    [
      'is the deadline',
      decision({
        status: { abort: true, abortReason: 'no progress within progressDeadlineSeconds: 0 of 1' },
        phase: 'Degraded',
      }),
      'ProgressDeadlineExceeded',
      'no progress within progressDeadlineSeconds: 0 of 1',
    ],
    [
      'is the abort itself where a person did it',
      decision({ status: { abort: true, abortReason: 'aborted by a person' }, phase: 'Degraded' }),
      'RolloutAborted',
      'aborted by a person',
    ],
    [
      'stands in front of the message otherwise',
      decision({ phase: 'Degraded', message: 'InsufficientGPU: no accelerator is free' }),
      'InsufficientGPU',
      'no accelerator is free',
    ],
  ];
  for (const [what, given, reason, message] of rows) {
    it(what, () => assert.deepEqual(reasoned(given), { reason, message }));
  }
});

it('status says explicitly what is not so: a word that a user has patched in is taken back once it was followed', () => {
  assert.deepEqual(rolloutFields(decision()), {
    abort: false,
    promoteFull: false,
    controllerPause: false,
    pauseConditions: [],
    currentRevision: 'r1',
    stableRevision: 'r1',
  });
  assert.equal(rolloutFields(aborted).abort, true);
});

it('no condition is told twice', () => {
  const { conditions } = summarize({ decision: aborted });
  assert.equal(new Set(conditions.map(({ type }) => type)).size, conditions.length);
  assert.equal(findCondition(conditions as never, 'TrafficRouted'), undefined);
});
