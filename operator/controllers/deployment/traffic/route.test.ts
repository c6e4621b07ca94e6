import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { aModelDeployment } from '../../builders.ts';
import type { HttpRoute, HttpRouteRule } from '../../kinds.ts';
import { canaryWeightOf, desiredRoute, routedRules, routePatch, type Split, sendsCopies } from './route.ts';

const owner = aModelDeployment();
const backend = (name: string, weight?: number) => ({
  name,
  port: 80,
  ...(weight === undefined ? {} : { weight }),
});
const rule = (...backendRefs: NonNullable<HttpRouteRule['backendRefs']>): HttpRouteRule => ({ backendRefs });
const split = (changes: Partial<Split> = {}): Split => ({
  canaryWeight: 0,
  headers: [],
  mirror: undefined,
  ...changes,
});
const testers = { name: 'testers', match: [{ headerName: 'x-tester', exact: 'yes' }] };
const weights = (rules: readonly HttpRouteRule[]) =>
  rules.map(({ backendRefs }) => backendRefs?.map(({ name, weight }) => [name, weight]));

describe('the rules of a route', () => {
  it('get the weights where they name the stable service, and the canary as a backend where it is missing', () => {
    const rules = [
      rule(backend('docs')),
      rule(backend('d-stable')),
      rule(backend('d-canary', 7), backend('d-stable', 3)),
    ];
    assert.deepEqual(weights(routedRules(owner, rules, split({ canaryWeight: 20 }))), [
      [['docs', undefined]],
      [
        ['d-stable', 80],
        ['d-canary', 20],
      ],
      [
        ['d-canary', 20],
        ['d-stable', 80],
      ],
    ]);
  });

  it('leave services of that name in other namespaces, and other kinds, alone', () => {
    const rules = [
      rule({ ...backend('d-stable', 1), namespace: 'other' }),
      rule({ ...backend('d-stable', 1), kind: 'InferencePool', group: 'inference.networking.k8s.io' }),
      rule({ ...backend('d-stable', 1), namespace: 'ns' }),
    ];
    const routed = routedRules(owner, rules, split({ canaryWeight: 5 }));
    assert.deepEqual(routed.slice(0, 2), rules.slice(0, 2));
    assert.deepEqual(weights(routed)[2], [
      ['d-stable', 95],
      ['d-canary', 5],
    ]);
  });

  it('keep the weights of further backends as they are', () => {
    const rules = [rule(backend('d-stable', 50), backend('old', 50))];
    assert.deepEqual(weights(routedRules(owner, rules, split({ canaryWeight: 10 }))), [
      [
        ['d-stable', 90],
        ['old', 50],
        ['d-canary', 10],
      ],
    ]);
  });

  it('are preceded by header routes, which match what the rule matches and the headers', () => {
    const base: HttpRouteRule = {
      name: 'detect',
      matches: [{ path: { type: 'PathPrefix', value: '/a' } }, { headers: [{ name: 'x', value: 'y' }] }],
      backendRefs: [backend('d-stable')],
    };
    const [first, second] = routedRules(owner, [base], split({ headers: [testers] }));
    const header = { type: 'Exact', name: 'x-tester', value: 'yes' };
    assert.deepEqual(first?.matches, [
      { path: { type: 'PathPrefix', value: '/a' }, headers: [header] },
      { headers: [{ name: 'x', value: 'y' }, header] },
    ]);
    // Names of rules are unique.
    assert.equal(first?.name, undefined);
    assert.equal(second?.name, 'detect');
    assert.deepEqual(weights([first as HttpRouteRule]), [[['d-canary', 1]]]);
  });

  it('match a header by a regular expression where one is given', () => {
    const groups = { name: 'g', match: [{ headerName: 'x-group', regex: 'a.*' }] };
    const [first] = routedRules(owner, [rule(backend('d-stable'))], split({ headers: [groups] }));
    assert.deepEqual(first?.matches, [
      { headers: [{ type: 'RegularExpression', name: 'x-group', value: 'a.*' }] },
    ]);
  });

  it('mirror a share, and all without a percentage', () => {
    const mirrors = [30, 100].map((percentage) => {
      const [only] = routedRules(
        owner,
        [rule(backend('d-stable'))],
        split({ mirror: { name: 's', percentage } }),
      );
      return only?.filters?.[0]?.requestMirror;
    });
    assert.deepEqual(
      mirrors.map((mirror) => [mirror?.backendRef.name, mirror?.percent]),
      [
        ['d-canary', 30],
        ['d-canary', undefined],
      ],
    );
  });

  it('are again what they were once a rollout is over', () => {
    const filter = { type: 'RequestHeaderModifier' };
    const rules = [
      { ...rule(backend('docs')), filters: [filter] },
      { ...rule(backend('d-stable', 100), { ...backend('d-canary', 0) }), filters: [filter] },
    ];
    const during = routedRules(
      owner,
      rules,
      split({ canaryWeight: 40, headers: [testers], mirror: { name: 's', percentage: 10 } }),
    );
    assert.equal(during.length, 3);
    assert.ok(sendsCopies(owner, during));
    const afterwards = routedRules(owner, during, split());
    assert.deepEqual(afterwards, rules);
    assert.ok(!sendsCopies(owner, afterwards));
  });

  it('do not change by being routed twice', () => {
    const wanted = split({ canaryWeight: 40, headers: [testers], mirror: { name: 's', percentage: 10 } });
    const once = routedRules(owner, [rule(backend('d-stable'))], wanted);
    assert.deepEqual(routedRules(owner, once, wanted), once);
  });
});

describe('the weight of the canary in a route', () => {
  const rows: [what: string, rules: readonly HttpRouteRule[], weight: number | undefined][] = [
    ['is unknown where no rule takes part', [rule(backend('docs'))], undefined],
    ['is 0 without it as a backend', [rule(backend('d-stable'))], 0],
    [
      'is its share of both tracks',
      [rule(backend('d-stable', 3), backend('d-canary', 1), backend('x', 96))],
      25,
    ],
    ['is half where nobody has a weight', [rule(backend('d-stable'), backend('d-canary'))], 50],
    ['is all where the stable service has none', [rule(backend('d-stable', 0), backend('d-canary', 5))], 100],
    [
      'is the highest of all rules',
      [rule(backend('d-stable', 1)), rule(backend('d-stable', 9), backend('d-canary', 1))],
      10,
    ],
  ];
  for (const [what, rules, weight] of rows) {
    it(what, () => assert.equal(canaryWeightOf(owner, rules), weight));
  }
});

it('the route that is made belongs to its deployment and names gateways and hosts', () => {
  const routing = { parentRefs: [{ name: 'gateway' }], hostnames: ['d.test'] };
  const { metadata, spec } = desiredRoute(owner, routing, split({ canaryWeight: 1 })) as HttpRoute & {
    spec: object;
  };
  assert.equal(metadata.name, 'd');
  assert.equal(metadata.ownerReferences?.[0]?.uid, 'uid-d');
  assert.deepEqual(spec, {
    parentRefs: [{ name: 'gateway' }],
    hostnames: ['d.test'],
    rules: [
      {
        matches: [{ path: { type: 'PathPrefix', value: '/' } }],
        backendRefs: [
          { group: '', kind: 'Service', ...backend('d-stable', 99) },
          { group: '', kind: 'Service', ...backend('d-canary', 1) },
        ],
      },
    ],
  });
});

it("a user's route is written onto the state that was read, and only where it differs", () => {
  const rules = [rule(backend('d-stable', 90), backend('d-canary', 10))];
  const route = { metadata: { name: 'mine', resourceVersion: '7' }, spec: { rules } };
  assert.equal(routePatch(owner, route, split({ canaryWeight: 10 })), undefined);
  assert.deepEqual(routePatch(owner, route, split({ canaryWeight: 30 })), {
    metadata: { resourceVersion: '7' },
    spec: { rules: [rule(backend('d-stable', 70), backend('d-canary', 30))] },
  });
});
