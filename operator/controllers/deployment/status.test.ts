import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { aDeployment, deploymentSpec, served } from '../builders.ts';
import type { Deployment, HorizontalPodAutoscaler } from '../kinds.ts';
import { type DeploymentObservation, summarize } from './status.ts';

const models = { served: [served()], problem: undefined };
const notReady = { reason: 'WeightsFetching', message: 'm is fetched', failed: false };
const modelFailed = { reason: 'DigestMismatch', message: 'm: DigestMismatch', failed: true };
const crash = { reason: 'CrashLoopBackOff', message: 'exit code 2' };
const base: DeploymentObservation = {
  spec: deploymentSpec(),
  models,
  planProblem: undefined,
  childProblem: undefined,
  podProblem: undefined,
  givenUp: undefined,
  live: aDeployment({ wanted: 2 }),
  autoscaler: undefined,
  autoscalerConflict: undefined,
  monitoring: undefined,
  revision: 'r1',
  current: true,
};
const rolling = aDeployment({ wanted: 2, total: 3, updated: 1, available: 2 });
const none = { live: undefined, current: false };
const blocked = { ...none, revision: undefined };

describe('the status of a ModelDeployment', () => {
  type Row = {
    what: string;
    seen: Partial<DeploymentObservation>;
    phase: string;
    available: string;
    progressing: string;
    ready: string;
    message: RegExp;
  };
  const rows: Row[] = [
    {
      what: 'with all pods there',
      seen: {},
      phase: 'Healthy',
      available: 'True PodsAvailable',
      progressing: 'True RevisionAvailable',
      ready: 'True Ready',
      message: /2 of 2 pods serve revision r1/,
    },
    {
      what: 'of which a change was not seen yet',
      seen: { current: false },
      phase: 'Progressing',
      available: 'True PodsAvailable',
      progressing: 'True RollingOut',
      ready: 'False RollingOut',
      message: /revision r1/,
    },
    {
      what: 'that Kubernetes did not look at yet',
      seen: { live: aDeployment({ behind: true }) },
      phase: 'Progressing',
      available: 'True PodsAvailable',
      progressing: 'True RollingOut',
      ready: 'False RollingOut',
      message: /revision r1/,
    },
    {
      what: 'rolling out',
      seen: { live: rolling },
      phase: 'Progressing',
      available: 'True PodsAvailable',
      progressing: 'True RollingOut',
      ready: 'False RollingOut',
      message: /1 of 2 pods updated, 2 available/,
    },
    {
      what: 'scaling up',
      seen: { live: aDeployment({ wanted: 4, total: 4, available: 2 }), stableRevision: 'r1' },
      phase: 'Progressing',
      available: 'True PodsAvailable',
      progressing: 'True Scaling',
      ready: 'True Ready',
      message: /2 of 4 pods available/,
    },
    {
      what: 'scaling up before Kubernetes looked at it',
      seen: { live: aDeployment({ wanted: 4, total: 2, behind: true }), stableRevision: 'r1' },
      phase: 'Progressing',
      available: 'False PodsUnavailable',
      progressing: 'True Scaling',
      ready: 'False Scaling',
      message: /2 of 4 pods available/,
    },
    {
      what: 'scaling down before Kubernetes looked at it',
      seen: { live: aDeployment({ wanted: 2, total: 4, behind: true }), stableRevision: 'r1' },
      phase: 'Progressing',
      available: 'True PodsAvailable',
      progressing: 'True Scaling',
      ready: 'True Ready',
      message: /4 of 2 pods available/,
    },
    {
      what: 'whose only pod starts again',
      seen: { live: aDeployment({ available: 0 }, { Available: 'False' }), stableRevision: 'r1' },
      phase: 'Progressing',
      available: 'False PodsUnavailable',
      progressing: 'True Scaling',
      ready: 'False Scaling',
      message: /0 of 1 pods available/,
    },
    {
      what: 'rolling back to what served before',
      seen: { live: rolling, stableRevision: 'r1' },
      phase: 'Progressing',
      available: 'True PodsAvailable',
      progressing: 'True RollingOut',
      ready: 'False RollingOut',
      message: /1 of 2 pods updated/,
    },
    {
      what: 'paused within a rollout',
      seen: { live: rolling, spec: deploymentSpec({ paused: true }) },
      phase: 'Paused',
      available: 'True PodsAvailable',
      progressing: 'Unknown Paused',
      ready: 'False Paused',
      message: /holds the rollout/,
    },
    {
      what: 'paused at rest',
      seen: { spec: deploymentSpec({ paused: true }) },
      phase: 'Healthy',
      available: 'True PodsAvailable',
      progressing: 'True RevisionAvailable',
      ready: 'True Ready',
      message: /revision r1/,
    },
    {
      what: 'scaled to zero',
      seen: { live: aDeployment({ wanted: 0 }) },
      phase: 'Healthy',
      available: 'True ScaledToZero',
      progressing: 'True RevisionAvailable',
      ready: 'True Ready',
      message: /0 of 0/,
    },
    {
      what: 'whose models are being fetched',
      seen: { ...blocked, models: { served: undefined, problem: notReady } },
      phase: 'Progressing',
      available: 'False WeightsFetching',
      progressing: 'True WeightsFetching',
      ready: 'False WeightsFetching',
      message: /^m is fetched$/,
    },
    {
      what: 'whose model cannot be had',
      seen: { ...blocked, models: { served: undefined, problem: modelFailed } },
      phase: 'Degraded',
      available: 'False DigestMismatch',
      progressing: 'False DigestMismatch',
      ready: 'False DigestMismatch',
      message: /^DigestMismatch: m: DigestMismatch$/,
    },
    {
      what: 'that serves on while an update of its model fails',
      seen: { models: { served: models.served, problem: modelFailed } },
      phase: 'Healthy',
      available: 'True PodsAvailable',
      progressing: 'True RevisionAvailable',
      ready: 'True Ready',
      message: /2 of 2/,
    },
    {
      what: 'whose pods crash',
      seen: { live: aDeployment({ wanted: 2, available: 0 }, { Available: 'False' }), podProblem: crash },
      phase: 'Degraded',
      available: 'False CrashLoopBackOff',
      progressing: 'True RollingOut',
      ready: 'False CrashLoopBackOff',
      message: /^CrashLoopBackOff: exit code 2$/,
    },
    {
      what: 'whose new pods crash while old ones serve',
      seen: { live: rolling, podProblem: crash },
      phase: 'Degraded',
      available: 'True PodsAvailable',
      progressing: 'True RollingOut',
      ready: 'False CrashLoopBackOff',
      message: /exit code 2/,
    },
    {
      what: 'with a child of somebody else',
      seen: { ...none, childProblem: { reason: 'OwnershipConflict', message: 'c' } },
      phase: 'Degraded',
      available: 'False OwnershipConflict',
      progressing: 'False OwnershipConflict',
      ready: 'False OwnershipConflict',
      message: /^OwnershipConflict: c$/,
    },
    {
      what: 'over its deadline',
      seen: { live: aDeployment({ wanted: 2, available: 1 }, { Available: 'False', Progressing: 'False' }) },
      phase: 'Degraded',
      available: 'False ProgressingReason',
      progressing: 'False ProgressingReason',
      ready: 'False ProgressingReason',
      message: /Progressing message/,
    },
    {
      what: 'whose spec cannot be followed while older pods serve',
      seen: { revision: undefined, current: false, planProblem: { reason: 'ProtectedField', message: 'p' } },
      phase: 'Degraded',
      available: 'True PodsAvailable',
      progressing: 'False ProtectedField',
      ready: 'False ProtectedField',
      message: /^ProtectedField: p$/,
    },
    {
      what: 'whose pods were evicted and did not come back',
      seen: {
        live: aDeployment({ wanted: 2, available: 0 }, { Available: 'False' }),
        givenUp: { reason: 'Evicted', message: 'disk' },
      },
      phase: 'Degraded',
      available: 'False Evicted',
      progressing: 'True RollingOut',
      ready: 'False Evicted',
      message: /^Evicted: disk$/,
    },
    {
      what: 'of which a pod was evicted long ago',
      seen: { givenUp: { reason: 'Evicted', message: 'disk' } },
      phase: 'Healthy',
      available: 'True PodsAvailable',
      progressing: 'True RevisionAvailable',
      ready: 'True Ready',
      message: /2 of 2/,
    },
    {
      what: 'rolling out for longer than its deadline allows',
      seen: { live: { ...rolling, spec: { ...rolling.spec, progressDeadlineSeconds: 900 } } as Deployment },
      phase: 'Progressing',
      available: 'True PodsAvailable',
      progressing: 'True RollingOut',
      ready: 'False RollingOut',
      message: /progressDeadlineSeconds counts as 900 instead of 600/,
    },
    {
      what: 'whose pods are refused',
      seen: { live: aDeployment({ wanted: 2, total: 0 }, { ReplicaFailure: 'True' }) },
      phase: 'Degraded',
      available: 'False ReplicaFailureReason',
      progressing: 'True RollingOut',
      ready: 'False ReplicaFailureReason',
      message: /ReplicaFailure message/,
    },
  ];
  for (const { what, seen, phase, available, progressing, ready, message } of rows) {
    it(what, () => {
      const summary = summarize({ ...base, ...seen });
      const told = (type: string) => {
        const found = summary.conditions.find((condition) => condition.type === type);
        return found && `${found.status} ${found.reason}`;
      };
      assert.equal(summary.phase, phase);
      assert.match(summary.message, message);
      assert.deepEqual(
        [told('Available'), told('Progressing'), told('Ready')],
        [available, progressing, ready],
      );
      assert.equal(told('Degraded')?.startsWith('True'), phase === 'Degraded');
      assert.equal(told('AutoscalingActive'), undefined);
    });
  }
});

describe('an autoscaler', () => {
  const rows: [string, Record<string, 'True' | 'False'>, string][] = [
    [
      'that reads its metrics',
      { AbleToScale: 'True', ScalingActive: 'True', ScalingLimited: 'False' },
      'True Active',
    ],
    ['without metrics', { AbleToScale: 'True', ScalingActive: 'False' }, 'False ScalingActiveReason'],
    ['that cannot scale', { AbleToScale: 'False' }, 'False AbleToScaleReason'],
    ['that did nothing yet', {}, 'Unknown Starting'],
  ];
  for (const [what, conditions, expected] of rows) {
    it(`${what} is told as ${expected}`, () => {
      const states = Object.entries(conditions).map(([type, status]) => ({
        type,
        status,
        reason: `${type}Reason`,
        message: '',
      }));
      const autoscaler = {
        metadata: { name: 'd' },
        status: { conditions: states },
      } as unknown as HorizontalPodAutoscaler;
      const summary = summarize({
        ...base,
        spec: deploymentSpec({ autoscaling: { maxReplicas: 2 } }),
        autoscaler,
      });
      const found = summary.conditions.find(({ type }) => type === 'AutoscalingActive');
      assert.equal(`${found?.status} ${found?.reason}`, expected);
    });
  }
});

it('an autoscaler that works against ours is told and degrades', () => {
  const autoscalerConflict = { reason: 'AutoscalerConflict', message: 'x scales' };
  const { phase, conditions } = summarize({ ...base, autoscalerConflict });
  const found = conditions.find(({ type }) => type === 'AutoscalingActive');
  assert.deepEqual(found, { type: 'AutoscalingActive', status: 'False', ...autoscalerConflict });
  assert.equal(phase, 'Degraded');
});

describe('pods that cannot be made are told by what refused them', () => {
  const rows: [string, string][] = [
    [
      'pods "d-1" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1',
      'QuotaExceeded',
    ],
    ['pods "d-1" is forbidden: violates PodSecurity "restricted:latest": …', 'PodSecurityViolation'],
    ['admission webhook "w" denied the request', 'ReplicaFailureReason'],
  ];
  for (const [message, reason] of rows) {
    it(reason, () => {
      const live = aDeployment({ wanted: 2, total: 0 }, { ReplicaFailure: 'True' });
      const conditions = live.status?.conditions?.map((condition) => ({ ...condition, message }));
      const refused = { ...live, status: { ...live.status, conditions } } as Deployment;
      assert.equal(summarize({ ...base, live: refused }).message, `${reason}: ${message}`);
    });
  }
});

describe('while pods of earlier revisions serve', () => {
  const available = (others: number) =>
    summarize({
      ...base,
      live: aDeployment({ wanted: 2, total: 1, available: 0 }, {}),
      others,
    }).conditions.find(({ type }) => type === 'Available');
  it('requests are answered, and whoever asks is told by whom', () => {
    assert.equal(available(2)?.status, 'True');
    assert.equal(available(2)?.message, '0 of 2 pods are available, and 2 of earlier revisions');
  });
  it('too few of them are too few', () => assert.equal(available(1)?.status, 'False'));
});
