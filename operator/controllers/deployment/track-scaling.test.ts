import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { deploymentSpec } from '../builders.ts';
import type { Deployment, HorizontalPodAutoscaler } from '../kinds.ts';
import {
  scaleChanges,
  scaledTracks,
  type TrackScalingInput,
  WANTED_ANNOTATION,
  wantedReplicas,
} from './track-scaling.ts';

const deployment = (name: string, replicas: number) =>
  ({ metadata: { name }, spec: { replicas } }) as unknown as Deployment;
const autoscaler = (target: string, minReplicas: number, wanted?: string) =>
  ({
    metadata: { name: 'h', annotations: wanted === undefined ? {} : { [WANTED_ANNOTATION]: wanted } },
    spec: { scaleTargetRef: { name: target }, minReplicas },
  }) as unknown as HorizontalPodAutoscaler;

const autoscaling = { minReplicas: 2, maxReplicas: 20 };
const byPods = { autoscaling, strategy: { canary: {} } };
const byRoute = { autoscaling, strategy: { canary: { trafficRouting: { gatewayAPI: { httpRoute: 'r' } } } } };

const traffic = (canary: string | undefined, canaryWeight = 0) => ({
  stable: 'r1',
  canary,
  canaryWeight,
  headerRoutes: [],
  mirrorRoutes: [],
});

const input = (spec: object, changes: Partial<TrackScalingInput>): TrackScalingInput => ({
  spec: deploymentSpec(spec),
  traffic: traffic(undefined),
  replicas: new Map([['r1', 10]]),
  byRevision: new Map([
    ['r1', deployment('d-r1', 10)],
    ['r2', deployment('d-r2', 0)],
  ]),
  wantedReplicas: 10,
  aborted: false,
  ...changes,
});

describe('how many pods are wanted in all', () => {
  const rows: [
    what: string,
    count: number,
    spec: object,
    stable: Deployment | undefined,
    hpa?: HorizontalPodAutoscaler,
  ][] = [
    ['as the spec says', 3, { replicas: 3 }, deployment('d', 9)],
    ['at the minimum before there are any', 2, byPods, undefined],
    ['as the autoscaler has them', 7, byPods, deployment('d', 7)],
    ['at least the minimum, where somebody has scaled to 0', 2, byPods, deployment('d', 0)],
    ['at most the maximum', 20, byPods, deployment('d', 30)],
    ['as many as served when the rollout began', 12, byPods, deployment('d', 6), autoscaler('d', 6, '12')],
    ['as there are where the memory is no number', 6, byPods, deployment('d', 6), autoscaler('d', 6, 'many')],
  ];
  for (const [what, count, spec, stable, hpa] of rows) {
    it(what, () => assert.equal(wantedReplicas(deploymentSpec(spec), stable, hpa), count));
  }
});

describe('autoscalers', () => {
  const bounds = (made: ReturnType<typeof scaledTracks>) =>
    made.map(({ track, target, minReplicas, maxReplicas }) => [track, target, minReplicas, maxReplicas]);
  const counts = (stable: number, canary: number) =>
    new Map([
      ['r1', stable],
      ['r2', canary],
    ]);
  const rows: [what: string, spec: object, changes: Partial<TrackScalingInput>, expected: unknown[]][] = [
    ['are none without autoscaling', { replicas: 10, strategy: { canary: {} } }, {}, []],
    ['are none before it is decided who serves', byPods, { traffic: undefined }, []],
    ['have the bounds of the spec at rest', byPods, {}, [['stable', 'd-r1', 2, 20]]],
    [
      'share the maximum by weight where the split is of pods',
      byPods,
      { traffic: traffic('r2', 25), replicas: counts(8, 3) },
      [
        ['stable', 'd-r1', 8, 15],
        ['canary', 'd-r2', 3, 5],
      ],
    ],
    [
      'leave the stable revision its maximum where a router splits',
      byRoute,
      { traffic: traffic('r2', 25), replicas: counts(10, 3) },
      [
        ['stable', 'd-r1', 10, 20],
        ['canary', 'd-r2', 3, 5],
      ],
    ],
    [
      'keep a canary without requests at its count',
      byRoute,
      { traffic: traffic('r2', 0), replicas: counts(10, 1) },
      [
        ['stable', 'd-r1', 10, 20],
        ['canary', 'd-r2', 1, 1],
      ],
    ],
    [
      'leave an aborted canary alone',
      byRoute,
      { traffic: traffic('r2', 0), replicas: counts(10, 3), aborted: true },
      [['stable', 'd-r1', 10, 20]],
    ],
    [
      'scale no revision that is to have no pods',
      byPods,
      { traffic: traffic('r2', 100), replicas: counts(0, 10) },
      [['canary', 'd-r2', 10, 20]],
    ],
  ];
  for (const [what, spec, changes, expected] of rows) {
    it(what, () => assert.deepEqual(bounds(scaledTracks(input(spec, changes))), expected));
  }

  it('remember how many pods served when the rollout began, and only while it lasts', () => {
    const during = scaledTracks(input(byPods, { traffic: traffic('r2', 25), replicas: counts(8, 3) }));
    assert.deepEqual(during[0]?.annotations, { [WANTED_ANNOTATION]: '10' });
    assert.equal(scaledTracks(input(byPods, {}))[0]?.annotations, undefined);
  });
});

describe('counts are written', () => {
  const write = (
    spec: object,
    has: [number, number],
    decided: [number, number],
    { weight = 25, before = [] as HorizontalPodAutoscaler[], mayShrink = true, resting = false } = {},
  ) => {
    const whole = input(spec, {
      traffic: resting ? traffic(undefined) : traffic('r2', weight),
      replicas: new Map([
        ['r1', decided[0]],
        ['r2', decided[1]],
      ]),
      byRevision: new Map([
        ['r1', deployment('d-r1', has[0])],
        ['r2', deployment('d-r2', has[1])],
      ]),
    });
    return scaleChanges(whole, scaledTracks(whole), before, mayShrink).map(
      ({ deployment: { metadata }, replicas }) => [metadata.name, replicas],
    );
  };
  const fixed = { replicas: 10, strategy: { canary: {} } };

  it('where they differ, more pods first', () => {
    assert.deepEqual(write(fixed, [10, 0], [7, 3]), [
      ['d-r2', 3],
      ['d-r1', 7],
    ]);
    assert.deepEqual(write(fixed, [7, 3], [7, 3]), []);
  });
  it('but none lower while requests may still go there', () => {
    assert.deepEqual(write(fixed, [10, 0], [7, 3], { mayShrink: false }), [['d-r2', 3]]);
  });
  const rolling = (target: string, floor: number) => autoscaler(target, floor, '10');
  it('up to the floor of an autoscaler, which may have gone beyond it', () => {
    const before = [rolling('d-r1', 8), rolling('d-r2', 2)];
    assert.deepEqual(write(byPods, [9, 2], [8, 3], { before }), [['d-r2', 3]]);
  });
  it('down with the floor, with what an autoscaler has added to it', () => {
    const before = [rolling('d-r1', 8), rolling('d-r2', 3)];
    assert.deepEqual(write(byPods, [9, 3], [5, 5], { weight: 50, before }), [
      ['d-r2', 5],
      ['d-r1', 6],
    ]);
  });
  it('down from what served at rest, as the rollout begins', () => {
    assert.deepEqual(write(byPods, [10, 3], [8, 3], { before: [autoscaler('d-r1', 2)] }), [['d-r1', 8]]);
  });
  it('no higher than the share of the maximum, whatever was added', () => {
    const before = [rolling('d-r1', 8), rolling('d-r2', 1)];
    assert.deepEqual(write(byPods, [8, 9], [8, 2], { before }), [['d-r2', 5]]);
  });
  it('not at rest, where the autoscaler decides, unless there are no pods', () => {
    assert.deepEqual(write(byPods, [13, 0], [10, 0], { resting: true }), []);
    assert.deepEqual(write(byPods, [0, 0], [2, 0], { resting: true }), [['d-r1', 2]]);
  });
  it('to 0 whatever an autoscaler thinks', () => {
    assert.deepEqual(write(byPods, [10, 4], [10, 0], { weight: 0 }), [['d-r2', 0]]);
  });
});
