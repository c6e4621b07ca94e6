import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Condition } from '../../../runtime/conditions.ts';
import { aModelDeployment } from '../../builders.ts';
import type { HttpRoute, Service } from '../../kinds.ts';
import { observeTraffic, type RouteSighting, type TrafficInput, trafficCondition } from './observe.ts';
import { desiredServices } from './services.ts';

const spec = (trafficRouting: object) => ({ strategy: { canary: { trafficRouting } } });
const byPods = aModelDeployment(spec({ replicas: {} }));
const byRoute = aModelDeployment(spec({ gatewayAPI: { parentRefs: [{ name: 'g' }] } }));

const servicesOf = (owner: typeof byPods, canaryWeight: number) => {
  const traffic = { stable: 'r1', canary: 'r2', canaryWeight, headerRoutes: [], mirrorRoutes: [] };
  const { clients, stable, canary } = desiredServices(owner, owner.spec, traffic);
  return { clients, stable, canary } as unknown as { clients: Service; stable: Service; canary: Service };
};

const input = (
  owner: typeof byPods,
  canaryWeight: number,
  changes: Partial<TrafficInput> = {},
): TrafficInput => ({
  owner,
  spec: owner.spec,
  services: servicesOf(owner, canaryWeight),
  sighting: undefined,
  refused: undefined,
  readyPods: { stable: 3, canary: 1 },
  ...changes,
});

describe('with replicas', () => {
  it('the stable revision alone has the requests while the weight is 0', () => {
    const { stable, canary, canaryWeight, achieved } = observeTraffic(input(byPods, 0));
    assert.deepEqual([stable, canary, canaryWeight, achieved], ['r1', 'r2', 0, 0]);
  });

  it('the split is that of the ready pods once both stand behind the service', () => {
    const owner = {
      ...byPods,
      status: { canary: { weights: { stable: 80, canary: 20, achieved: 0, verified: true } } },
    };
    const { canaryWeight, achieved, verified } = observeTraffic(input(owner, 20));
    assert.deepEqual([canaryWeight, achieved, verified], [20, 25, true]);
  });

  it('nothing is known before there is a service', () => {
    const none = { clients: undefined, stable: undefined, canary: undefined };
    const { stable, canaryWeight } = observeTraffic(input(byPods, 0, { services: none }));
    assert.deepEqual([stable, canaryWeight], [undefined, undefined]);
  });
});

const condition = (type: string, status: string, observedGeneration = 3) =>
  ({
    type,
    status,
    reason: `${type}${status}`,
    message: 'why',
    observedGeneration,
    lastTransitionTime: '',
  }) as Condition;
const taken = [condition('Accepted', 'True'), condition('ResolvedRefs', 'True')];
const parents = (...all: readonly (readonly Condition[])[]) =>
  all.map((conditions, index) => ({ parentRef: { name: `g${index}` }, conditions }));

const route = (status: HttpRoute['status'], backendName = 'd-stable'): HttpRoute => ({
  metadata: { name: 'd', generation: 3 },
  spec: {
    rules: [
      {
        backendRefs: [
          { name: backendName, weight: 80 },
          { name: 'd-canary', weight: 20 },
        ],
      },
    ],
  },
  ...(status === undefined ? {} : { status }),
});
const sighting = (changes: Partial<RouteSighting>): RouteSighting => ({
  kind: 'served',
  name: 'd',
  route: undefined,
  ...changes,
});

describe('with a route', () => {
  const rows: [what: string, sighting: Partial<RouteSighting>, reason: string, verified: boolean][] = [
    [
      'that every gateway has taken over',
      { route: route({ parents: parents(taken, taken) }) },
      'RouteAccepted',
      true,
    ],
    ['that no gateway has seen', { route: route(undefined) }, 'RouteNotSeen', false],
    [
      'of which a gateway tells of an older generation',
      {
        route: route({
          parents: parents(taken, [condition('Accepted', 'True', 2), condition('ResolvedRefs', 'True', 2)]),
        }),
      },
      'RouteNotSeen',
      false,
    ],
    [
      'that was refused in an older generation',
      { route: route({ parents: parents([condition('Accepted', 'False', 2)]) }) },
      'RouteNotSeen',
      false,
    ],
    [
      'that a gateway refuses',
      { route: route({ parents: parents(taken, [condition('Accepted', 'False')]) }) },
      'RouteNotAccepted',
      false,
    ],
    [
      'whose backends are not found',
      {
        route: route({
          parents: parents([condition('Accepted', 'True'), condition('ResolvedRefs', 'False')]),
        }),
      },
      'RouteRefsNotResolved',
      false,
    ],
    ['that does not exist', {}, 'RouteNotFound', false],
    [
      'that names other services',
      { route: route({ parents: parents(taken) }, 'docs') },
      'RouteWithoutBackend',
      false,
    ],
    ['whose kind is not installed', { kind: 'absent' }, 'KindNotInstalled', false],
    ['whose kind may not be listed', { kind: 'unlisted' }, 'KindNotListed', false],
    ['whose kind is not known yet', { kind: 'unknown' }, 'KindNotKnown', false],
  ];
  for (const [what, changes, reason, verified] of rows) {
    it(`${what}: ${reason}`, () => {
      const seen = input(byRoute, 20, { sighting: sighting(changes) });
      const told = trafficCondition(seen);
      assert.equal(told?.reason, reason);
      const observed = observeTraffic(seen);
      assert.equal(observed.verified, verified);
      // What is not known yet is no problem.
      assert.equal(observed.problem?.reason, told?.status === 'False' ? reason : undefined);
    });
  }

  it('weights are those of the route', () => {
    const seen = input(byRoute, 20, { sighting: sighting({ route: route({ parents: parents(taken) }) }) });
    const { canaryWeight, achieved } = observeTraffic(seen);
    assert.deepEqual([canaryWeight, achieved], [20, 20]);
  });

  it('a write that was refused is a problem whatever gateways say', () => {
    const refused = { reason: 'ChildRejected', message: 'no' };
    const seen = input(byRoute, 20, {
      refused,
      sighting: sighting({ route: route({ parents: parents(taken) }) }),
    });
    assert.deepEqual(observeTraffic(seen).problem, refused);
    assert.equal(trafficCondition(seen)?.reason, 'ChildRejected');
  });
});

it('without a route there is no condition', () =>
  assert.equal(trafficCondition(input(byPods, 0)), undefined));
