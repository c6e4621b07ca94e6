import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { aSpec } from './simulation.ts';
import { goalOf, type Position, positionAt, type StepPlanRow, splitOf, stepHash, stepPlan } from './steps.ts';

const metrics = [{ name: 'errors', builtin: { metric: 'errorRate', max: 0.1 } }];
const gatewayAPI = { httpRoute: 'route' };
const routed = (steps: object[], more = {}) =>
  aSpec({ strategy: { canary: { steps, trafficRouting: { gatewayAPI }, ...more } } });
const shared = (steps: object[], more = {}) => aSpec({ strategy: { canary: { steps, ...more } } });

describe('the hash of the steps', () => {
  const hash = stepHash(shared([{ setWeight: 20 }]));
  const rows: [string, ReturnType<typeof aSpec>, boolean][] = [
    ['is of the steps alone', shared([{ setWeight: 20 }], { maxSurge: 3 }), true],
    ['changes with a step', shared([{ setWeight: 30 }]), false],
    ['changes with a further step', shared([{ setWeight: 20 }, { pause: {} }]), false],
    ['changes with the strategy', aSpec({ strategy: { blueGreen: {} } }), false],
  ];
  for (const [name, spec, same] of rows) it(name, () => assert.equal(stepHash(spec) === hash, same));
});

describe('what the steps up to one ask for', () => {
  const header = { name: 'testers', match: [{ headerName: 'x-tester', exact: 'yes' }] };
  const steps = [
    { setCanaryScale: { replicas: 1 } },
    { analysis: { metrics } },
    { setMirrorRoute: { name: 'shadow', percentage: 30 } },
    { setHeaderRoute: header },
    { setWeight: 20 },
    { setCanaryScale: { matchTrafficWeight: true } },
    { setMirrorRoute: { name: 'shadow', percentage: 0 } },
    { setHeaderRoute: { name: 'testers' } },
    { pause: {} },
  ];
  const rows: [string, number, Partial<Position>][] = [
    ['a count apart from the weight', 0, { weight: 0, scale: { replicas: 1 }, needsPod: false }],
    ['a pod for an analysis', 1, { weight: 0, needsPod: true }],
    ['a mirror route', 2, { mirrorRoutes: [{ name: 'shadow', percentage: 30 }] }],
    ['a header route', 3, { headerRoutes: [header] }],
    ['a weight, with all that was before', 4, { weight: 20, scale: { replicas: 1 }, headerRoutes: [header] }],
    ['pods for the weight again', 5, { weight: 20, scale: undefined }],
    ['a mirror route that is taken away', 6, { mirrorRoutes: [] }],
    ['a header route that is taken away', 7, { headerRoutes: [] }],
    ['a pause changes nothing', 8, { weight: 20 }],
    ['all of it at the end', 9, { weight: 100, scale: undefined, mirrorRoutes: [] }],
  ];
  for (const [name, index, expected] of rows) {
    it(name, () => {
      const position = positionAt(routed(steps), index);
      assert.deepEqual({ ...position, ...expected }, position);
    });
  }
  it('nothing but pods for blueGreen, to the end', () => {
    const position = positionAt(aSpec({ strategy: { blueGreen: {} } }), 1);
    assert.deepEqual([position.weight, position.scale], [0, { weight: 100 }]);
  });
});

describe('who splits the traffic', () => {
  const rows: [string, object, string][] = [
    ['the ratio of pods by default', { canary: {} }, 'replicas'],
    ['the ratio of pods by name', { canary: { trafficRouting: { replicas: {} } } }, 'replicas'],
    ['a router', { canary: { trafficRouting: { gatewayAPI } } }, 'gatewayAPI'],
    ['nobody', { blueGreen: {} }, 'blueGreen'],
  ];
  for (const [name, strategy, split] of rows)
    it(name, () => assert.equal(splitOf(aSpec({ strategy })), split));
});

describe('where pods get to without a surge', () => {
  const rows: [string, ReturnType<typeof aSpec>, number, number, [number, number]][] = [
    ['as many of each as the weight asks for', routed([{ setWeight: 25 }]), 0, 8, [2, 6]],
    ['the last pod is the stable revision\u2019s', routed([{ setWeight: 25 }]), 0, 1, [0, 1]],
    ['until all of the traffic goes', routed([{ setWeight: 25 }]), 1, 1, [1, 0]],
    [
      'a scale leaves the stable revision what it serves with',
      routed([{ setCanaryScale: { replicas: 5 } }]),
      0,
      6,
      [1, 5],
    ],
    ['behind one Service by their ratio', shared([{ setWeight: 25 }]), 0, 8, [2, 6]],
    ['behind one Service in the place of one of several', shared([{ analysis: { metrics } }]), 0, 4, [1, 3]],
    ['behind one Service in the place of nobody alone', shared([{ analysis: { metrics } }]), 0, 1, [0, 1]],
  ];
  for (const [name, spec, index, replicas, [canary, stable]] of rows) {
    it(name, () =>
      assert.deepEqual(goalOf(spec, positionAt(spec, index), replicas, true), { canary, stable }),
    );
  }
});

describe('the plan of a rollout', () => {
  type Row = [description: string, weight: number, stable: number, canary: number, most: number];
  const tell = (row: StepPlanRow): Row => [
    row.description,
    row.weight,
    row.stablePods,
    row.canaryPods,
    row.maxPods,
  ];
  const steps = [{ setWeight: 20 }, { pause: { duration: '5m' } }, { setWeight: 50 }, { pause: {} }];
  const rows: [string, ReturnType<typeof aSpec>, number, Row[]][] = [
    [
      'of pods behind one Service',
      shared(steps, { maxSurge: 1 }),
      10,
      [
        ['set weight to 20 %', 20, 8, 2, 11],
        ['pause for 5m', 20, 8, 2, 10],
        ['set weight to 50 %', 50, 5, 5, 11],
        ['pause until promoted', 50, 5, 5, 10],
        ['promote the new revision', 100, 0, 10, 11],
      ],
    ],
    [
      'without a surge',
      shared([{ setWeight: 50 }], { maxSurge: 0, maxUnavailable: 1 }),
      4,
      [
        ['set weight to 50 %', 50, 2, 2, 4],
        ['promote the new revision', 100, 0, 4, 4],
      ],
    ],
    [
      'behind a router',
      routed([
        { setCanaryScale: { replicas: 1 } },
        { analysis: { metrics } },
        { setHeaderRoute: { name: 'testers', match: [{ headerName: 'x-tester', exact: 'yes' }] } },
        { setMirrorRoute: { name: 'shadow' } },
        { setCanaryScale: { matchTrafficWeight: true } },
        { setWeight: 25 },
      ]),
      10,
      [
        ['scale the canary to 1 pod', 0, 10, 1, 11],
        ['analysis of errors', 0, 10, 1, 11],
        ['route x-tester to the canary (testers)', 0, 10, 1, 11],
        ['mirror 100 % to the canary (shadow)', 0, 10, 1, 11],
        ['scale the canary as its weight', 0, 10, 1, 11],
        ['set weight to 25 %', 25, 10, 3, 13],
        ['promote the new revision', 100, 0, 10, 20],
      ],
    ],
    [
      'behind a router, with a stable revision that shrinks',
      routed([{ setWeight: 25 }], { dynamicStableScale: true }),
      10,
      [
        ['set weight to 25 %', 25, 8, 3, 13],
        ['promote the new revision', 100, 0, 10, 18],
      ],
    ],
    [
      'behind a router, with a stable revision that keeps the pods for its requests whatever the canary is scaled to',
      routed([{ setCanaryScale: { weight: 50 } }, { setWeight: 10 }], { dynamicStableScale: true }),
      10,
      [
        ['scale the canary to 50 %', 0, 10, 5, 15],
        ['set weight to 10 %', 10, 9, 5, 15],
        ['promote the new revision', 100, 0, 10, 19],
      ],
    ],
    [
      'of blueGreen',
      aSpec({ strategy: { blueGreen: { autoPromotion: false, prePromotionAnalysis: { metrics } } } }),
      3,
      [
        ['scale the canary to 100 %', 0, 3, 3, 6],
        ['analysis of errors', 0, 3, 3, 6],
        ['pause until promoted', 0, 3, 3, 6],
        ['switch to the new revision', 100, 0, 3, 6],
      ],
    ],
    [
      'of no pods',
      shared([{ setWeight: 50 }]),
      0,
      [
        ['set weight to 50 %', 50, 0, 0, 0],
        ['promote the new revision', 100, 0, 0, 0],
      ],
    ],
  ];
  for (const [name, spec, replicas, expected] of rows) {
    it(name, () => assert.deepEqual(stepPlan(spec, replicas).map(tell), expected));
  }
});
