/** What a verb writes is what the state machine understands: patch, then a pass of the operator. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { modelDeploymentSpec } from '../../api/model-deployment.ts';
import type { ModelDeployment } from '../../controllers/kinds.ts';
import type { RevisionObservation, RolloutDecision } from '../../rollout/contract.ts';
import { advance } from '../../rollout/state.ts';
import { stepHash } from '../../rollout/steps.ts';
import { ABORTED, ago, canary, HEALTHY, NOW, REVISIONS, rollout } from './builders.ts';
import * as verbs from './verbs.ts';

/** RFC 7386. */
function merged(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const base = typeof target === 'object' && target !== null && !Array.isArray(target) ? target : {};
  const members = Object.entries(patch).map(
    ([name, value]) => [name, merged((base as Record<string, unknown>)[name], value)] as const,
  );
  return Object.fromEntries(
    Object.entries({ ...base, ...Object.fromEntries(members) }).filter(([, value]) => value !== null),
  );
}

const observed = (revision: string, count: number, createdAt: string): RevisionObservation => ({
  revision,
  desired: count,
  replicas: count,
  ready: count,
  available: count,
  observed: true,
  createdAt: Date.parse(createdAt),
  problem: undefined,
  deadlineExceeded: false,
});

function pass({ spec, status }: ModelDeployment): RolloutDecision {
  return advance({
    spec: modelDeploymentSpec.parse(spec),
    status,
    nowMs: NOW,
    observation: {
      wantedRevision: 'r3',
      revisions: REVISIONS.map(({ revision, replicas, createdAt }) =>
        observed(revision, replicas, createdAt),
      ),
      analyses: [],
      traffic: {
        stable: status?.stableRevision,
        canary: 'r3',
        canaryWeight: status?.canary?.weights?.canary,
        verified: true,
        achieved: 25,
        problem: undefined,
      },
      wantedReplicas: 4,
      freeAccelerators: undefined,
    },
  });
}

/** As the operator would have left it. */
function known(status: object = {}, spec: object = canary()): ModelDeployment {
  const deployment = rollout(status, spec);
  const currentStepHash = stepHash(modelDeploymentSpec.parse(deployment.spec));
  return { ...deployment, status: { ...deployment.status, currentStepHash } } as ModelDeployment;
}

/** The decision after a verb. */
function after(verb: verbs.Verb, deployment: ModelDeployment): RolloutDecision {
  const decision = verb(deployment, NOW);
  assert.equal(decision.does, 'patch', JSON.stringify(decision));
  return pass(merged(deployment, decision.body) as ModelDeployment);
}

const mine = { reason: 'PausedByUser', startTime: ago(5) };
const atWeight = {
  phase: 'Progressing',
  currentStepIndex: 3,
  pauseConditions: undefined,
  controllerPause: undefined,
};

describe('a verb is heeded', () => {
  it('by itself the rollout waits', () => {
    const { phase, status } = pass(known());
    assert.deepEqual([phase, status.currentStepIndex], ['Paused', 1]);
  });

  it('promote: the next step is taken', () => {
    const { phase, status } = after(verbs.promote, known());
    assert.deepEqual([phase, status.currentStepIndex, status.pauseConditions], ['Progressing', 2, undefined]);
  });

  it('promote of a pause by a person goes on with the same step', () => {
    const deployment = known({ ...atWeight, phase: 'Paused', pauseConditions: [mine] });
    assert.equal(pass(deployment).phase, 'Paused');
    const { phase, status } = after(verbs.promote, deployment);
    assert.deepEqual([phase, status.currentStepIndex], ['Progressing', 3]);
  });

  it('promote --full: no step is left', () => {
    const { phase, status } = after(verbs.promoteFully, known());
    assert.deepEqual([phase, status.promoteFull, status.currentStepIndex], ['Progressing', true, 4]);
  });

  it('promote --full of an aborted rollout: no step is left, and it is not aborted any more', () => {
    const { phase, status } = after(verbs.promoteFully, known(ABORTED));
    assert.deepEqual([phase, status.abort, status.currentStepIndex], ['Progressing', undefined, 4]);
  });

  it('pause: what went on waits', () => {
    assert.equal(pass(known(atWeight)).phase, 'Progressing');
    const { phase, status } = after(verbs.pause, known(atWeight));
    assert.equal(phase, 'Paused');
    assert.deepEqual(
      status.pauseConditions?.map(({ reason }) => reason),
      ['PausedByUser'],
    );
  });

  it('resume: the pause of the step is still one', () => {
    const both = known({ pauseConditions: [...(known().status?.pauseConditions ?? []), mine] });
    const { phase, status } = after(verbs.resume, both);
    assert.deepEqual([phase, status.currentStepIndex], ['Paused', 1]);
  });

  it('abort: all pods of the stable revision come back, and Degraded', () => {
    const { phase, status, replicas, traffic } = after(verbs.abort, known());
    assert.equal(phase, 'Degraded');
    assert.equal(status.abort, true);
    assert.equal(status.completion?.status, 'Aborted');
    assert.equal(traffic?.canary, undefined);
    assert.equal(replicas.get('r2'), 4);
  });

  it('retry: the first step again', () => {
    const aborted = known(ABORTED);
    assert.equal(pass(aborted).phase, 'Degraded');
    const { status, events } = after(verbs.retry, aborted);
    assert.deepEqual([status.abort, status.abortedAt], [undefined, undefined]);
    assert.deepEqual(
      events.map(({ reason }) => reason),
      ['RolloutRetried', 'RolloutStepCompleted', 'RolloutPaused'],
    );
  });

  it('undo of a rollout: the stable revision is the one that is followed', () => {
    const { status } = after(verbs.undo(), known());
    assert.deepEqual([status.currentRevision, status.completion?.status], ['r2', 'FastRolledBack']);
  });

  it('undo of what serves: an older revision is rolled out', () => {
    const { status } = after(verbs.undo('r1'), known(HEALTHY));
    assert.deepEqual([status.currentRevision, status.stableRevision], ['r1', 'r3']);
  });

  it('undo --cancel: the spec is followed again', () => {
    const held = known(
      { ...HEALTHY, currentRevision: 'r2', stableRevision: 'r2' },
      { ...canary(), rollbackTo: 'r2' },
    );
    assert.equal(pass(held).status.currentRevision, 'r2');
    assert.equal(after(verbs.cancelUndo, held).status.currentRevision, 'r3');
  });
});
