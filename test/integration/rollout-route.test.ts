/** Rollouts whose requests an HTTPRoute splits, on a real API server. The test plays kubelet, gateway and user. */
import assert from 'node:assert/strict';
import { after, before, it, type TestContext } from 'node:test';
import { HTTP_ROUTE, type HttpRoute } from '../../operator/controllers/kinds.ts';
import { timestamp } from '../../operator/runtime/conditions.ts';
import { httpRouteDefinition } from '../fixtures/http-route-crd.ts';
import { atRest, CRD, conditionOf, Environment, eventually, fetched, type Namespace } from './environment.ts';
import { digestOf, Pods, replicasOf, say, selected, served, untilStatus, updateModel } from './rollout.ts';

let environment: Environment;
let operator: Awaited<ReturnType<Environment['runOperator']>>;
before(async () => {
  environment = await Environment.start();
  operator = await environment.runOperator({ optionalKindsMs: 500 });
});
after(async () => {
  await operator.stop();
  await environment.stop();
});

async function scene(t: TestContext) {
  const namespace = await environment.namespace();
  const pods = new Pods(namespace);
  t.after(() => pods.stop());
  return { namespace, pods };
}

/** Says of a route what a gateway says once it has taken it over. */
async function accept(namespace: Namespace, name: string, status = 'True'): Promise<void> {
  const route = await namespace.find(HTTP_ROUTE, name);
  if (!route) return;
  const { generation } = route.metadata;
  const told = route.status?.parents?.[0]?.conditions?.[0];
  if (told?.observedGeneration === generation && told?.status === status) return;
  const conditions = ['Accepted', 'ResolvedRefs'].map((type) => ({
    type,
    status,
    reason: status === 'True' ? type : 'NotAllowedByListeners',
    message: '',
    observedGeneration: generation,
    lastTransitionTime: timestamp(Date.now()),
  }));
  const parents = [{ parentRef: { name: 'gateway' }, controllerName: 'test.io/gateway', conditions }];
  await namespace.patch(HTTP_ROUTE, name, { status: { parents } }, 'status');
}

/** A gateway that takes over whatever it is told. */
function gateway(t: TestContext, namespace: Namespace, name: string): void {
  const timer = setInterval(() => void accept(namespace, name).catch(() => undefined), 50);
  t.after(() => clearInterval(timer));
}

const backends = (route: HttpRoute, index: number) =>
  route.spec?.rules?.[index]?.backendRefs?.map(({ name, weight }) => [name, weight]);

const routed = (steps: readonly object[], gatewayAPI: object) => ({
  replicas: 2,
  strategy: { canary: { steps, trafficRouting: { gatewayAPI }, scaleDownDelaySeconds: 0 } },
});
const parentRefs = [{ name: 'gateway' }];

it('without the Gateway API it is told, and nobody is sent to the canary; once it is there the rollout goes on', async (t) => {
  const { namespace } = await scene(t);
  await namespace.model('m', { source: { builtin: { name: 'm' } }, digest: digestOf('a') });
  await namespace.endFetch('m', fetched({ digest: digestOf('a') }));
  await namespace.deployment('d', {
    models: [{ name: 'm' }],
    ...routed([{ setWeight: 20 }], { parentRefs }),
  });
  const told = await untilStatus(
    namespace,
    'd',
    ({ conditions }) => conditions?.some(({ reason }) => reason === 'KindNotInstalled'),
    'says so',
  );
  assert.equal(conditionOf(told, 'TrafficRouted')?.status, 'False');
  await eventually(
    'clients of the Service are served',
    async () =>
      conditionOf(await untilStatus(namespace, 'd', () => true, 'is there'), 'Available')?.status === 'True',
  );
  await environment.client.apply(CRD, httpRouteDefinition as never, { fieldManager: 'test' });
  gateway(t, namespace, 'd');
  const healthy = await namespace.untilDeployment('d', 'Healthy');
  assert.equal(conditionOf(healthy, 'TrafficRouted')?.reason, 'RouteAccepted');
});

it('makes a route, moves its weights, its header and mirror rules, and turns the services in time', async (t) => {
  const { namespace } = await scene(t);
  gateway(t, namespace, 'd');
  const match = [{ headerName: 'x-tester', exact: 'yes' }];
  const steps = [
    { setCanaryScale: { replicas: 1 } },
    { setHeaderRoute: { name: 'testers', match } },
    { setMirrorRoute: { name: 'shadow', percentage: 30 } },
    { pause: {} },
    { setHeaderRoute: { name: 'testers' } },
    { setMirrorRoute: { name: 'shadow', percentage: 0 } },
    { setCanaryScale: { matchTrafficWeight: true } },
    { setWeight: 20 },
    { pause: {} },
  ];
  const first = await served(namespace, routed(steps, { parentRefs, hostnames: ['d.test'] }));
  const made = await namespace.until(HTTP_ROUTE, 'd', () => true, 'is made');
  assert.deepEqual(backends(made, 0), [
    ['d-stable', 100],
    ['d-canary', 0],
  ]);

  await updateModel(namespace, 'm', digestOf('b'), '0.2.0');
  const shadowed = await untilStatus(namespace, 'd', ({ phase }) => phase === 'Paused', 'waits');
  const second = shadowed.status?.currentRevision ?? '';
  const withRules = await namespace.until(
    HTTP_ROUTE,
    'd',
    ({ spec }) => spec?.rules?.length === 2 && spec.rules[1]?.filters !== undefined,
    'has its rules',
  );
  assert.deepEqual(backends(withRules, 0), [['d-canary', 1]]);
  assert.deepEqual(withRules.spec?.rules?.[0]?.matches?.[0]?.headers, [
    { type: 'Exact', name: 'x-tester', value: 'yes' },
  ]);
  assert.deepEqual(backends(withRules, 1), [
    ['d-stable', 100],
    ['d-canary', 0],
  ]);
  const [mirror] = withRules.spec?.rules?.[1]?.filters ?? [];
  assert.deepEqual(
    [mirror?.requestMirror?.backendRef.name, mirror?.requestMirror?.percent],
    ['d-canary', 30],
  );
  assert.equal(await selected(namespace, 'd-canary'), second);

  await say(namespace, 'd', { pauseConditions: null });
  const weighed = await untilStatus(
    namespace,
    'd',
    ({ phase, canary }) => phase === 'Paused' && canary?.weights?.canary === 20,
    'weighs 20',
  );
  assert.equal(weighed.status?.canary?.weights?.verified, true);
  const split = await namespace.until(
    HTTP_ROUTE,
    'd',
    ({ spec }) => spec?.rules?.length === 1,
    'has the weighed rule alone',
  );
  assert.deepEqual(backends(split, 0), [
    ['d-stable', 80],
    ['d-canary', 20],
  ]);
  assert.equal(split.spec?.rules?.[0]?.filters, undefined);
  assert.equal(await replicasOf(namespace, first), 2);
  assert.equal(await selected(namespace, 'd'), first);

  await say(namespace, 'd', { pauseConditions: null });
  await untilStatus(
    namespace,
    'd',
    ({ phase, stableRevision }) => phase === 'Healthy' && stableRevision === second,
    'is done',
  );
  const done = await namespace.until(
    HTTP_ROUTE,
    'd',
    (route) => backends(route, 0)?.[1]?.[1] === 0,
    'is back',
  );
  assert.deepEqual(backends(done, 0), [
    ['d-stable', 100],
    ['d-canary', 0],
  ]);
  assert.equal(await selected(namespace, 'd-stable'), second);
  await eventually('the old pods go', async () => (await replicasOf(namespace, first)) === 0);
});

it('sets the weights in a route of the user, and leaves all else in it alone', async (t) => {
  const { namespace } = await scene(t);
  gateway(t, namespace, 'mine');
  const rules = [
    {
      matches: [{ path: { type: 'PathPrefix', value: '/docs' } }],
      backendRefs: [{ name: 'docs', port: 80 }],
    },
    {
      matches: [{ path: { type: 'PathPrefix', value: '/detect' }, method: 'POST' }],
      filters: [
        { type: 'RequestHeaderModifier', requestHeaderModifier: { set: [{ name: 'x', value: 'y' }] } },
      ],
      backendRefs: [
        { name: 'd-stable', port: 80 },
        { name: 'd-canary', port: 80, weight: 0 },
      ],
      timeouts: { request: '10s' },
    },
  ];
  await namespace.create(HTTP_ROUTE, {
    metadata: { name: 'mine', namespace: namespace.name },
    spec: { parentRefs, hostnames: ['mine.test'], rules },
  } as HttpRoute);
  const steps = [{ setWeight: 50 }, { pause: {} }];
  await served(namespace, routed(steps, { httpRoute: 'mine' }));
  await updateModel(namespace, 'm', digestOf('b'), '0.2.0');
  await untilStatus(namespace, 'd', ({ phase }) => phase === 'Paused', 'waits');
  const split = (await namespace.find(HTTP_ROUTE, 'mine')) as HttpRoute & { spec: { hostnames: string[] } };
  assert.deepEqual(split.spec.hostnames, ['mine.test']);
  assert.deepEqual(backends(split, 0), [['docs', 1]]);
  assert.deepEqual(backends(split, 1), [
    ['d-stable', 50],
    ['d-canary', 50],
  ]);
  const kept = split.spec.rules?.[1] as (typeof rules)[number];
  assert.deepEqual(kept.matches, rules[1]?.matches);
  assert.deepEqual(kept.filters, rules[1]?.filters);
  assert.deepEqual(kept.timeouts, rules[1]?.timeouts);

  // Somebody writes it anew: the split is put back.
  await namespace.patch(HTTP_ROUTE, 'mine', { spec: { rules } });
  await namespace.until(HTTP_ROUTE, 'mine', (route) => backends(route, 1)?.[1]?.[1] === 50, 'is split again');

  await say(namespace, 'd', { abort: true });
  await untilStatus(namespace, 'd', ({ phase }) => phase === 'Degraded', 'is aborted');
  await namespace.until(HTTP_ROUTE, 'mine', (route) => backends(route, 1)?.[1]?.[1] === 0, 'sends nobody');
});

it('tells what a gateway has against the route, and sends nobody to the canary', async (t) => {
  const { namespace } = await scene(t);
  let verdict = 'True';
  const timer = setInterval(() => void accept(namespace, 'd', verdict).catch(() => undefined), 50);
  t.after(() => clearInterval(timer));
  const first = await served(namespace, routed([{ setWeight: 50 }], { parentRefs }));
  verdict = 'False';
  const told = await untilStatus(
    namespace,
    'd',
    ({ conditions }) => conditions?.some(({ reason }) => reason === 'RouteNotAccepted'),
    'says so',
  );
  assert.match(conditionOf(told, 'TrafficRouted')?.message ?? '', /NotAllowedByListeners at gateway/);
  await updateModel(namespace, 'm', digestOf('b'), '0.2.0');
  const begun = await untilStatus(namespace, 'd', (now) => now.currentRevision !== first, 'begins');
  const second = begun.status?.currentRevision ?? '';
  await eventually('its pods are there', async () => (await replicasOf(namespace, second)) === 1);
  const still = await atRest('the route', async () => (await namespace.find(HTTP_ROUTE, 'd'))?.spec?.rules);
  assert.deepEqual(
    still?.map(({ backendRefs }) => backendRefs?.map(({ weight }) => weight)),
    [[100, 0]],
  );
  verdict = 'True';
  await untilStatus(
    namespace,
    'd',
    ({ phase, stableRevision }) => phase === 'Healthy' && stableRevision !== first,
    'ends well',
  );
});
