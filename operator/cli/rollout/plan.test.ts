import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { modelDeploymentSpec } from '../../api/model-deployment.ts';
import { plain } from '../text.ts';
import { planOf, renderPlan } from './plan.ts';

const DRAWING = { now: 0, paint: plain };
const models = [{ name: 'a' }];
const steps = [{ setWeight: 20 }, { pause: { duration: '10m' } }, { setWeight: 50 }];
const page = (spec: object, replicas?: number) =>
  renderPlan(planOf('d', modelDeploymentSpec.parse({ models, ...spec }), replicas), DRAWING);

describe('the plan of a rollout', () => {
  it('by replicas shows what the pods make of the weights', () => {
    assert.equal(
      page({ replicas: 4, strategy: { canary: { steps } } }),
      `d: canary, split by replicas, 4 pods
STEP   WHAT                       WEIGHT   ACTUAL   CANARY   STABLE   MOST
1      set weight to 20 %         20 %     20 %     1        4        5
2      pause for 10m              20 %     20 %     1        4        5
3      set weight to 50 %         50 %     50 %     2        2        5
end    promote the new revision   100 %    100 %    4        0        5
at most 5 pods at once`,
    );
  });

  it('gives a canary that is judged before any request a pod, and no requests', () => {
    const probes = { name: 'probes', probeSet: { configMap: { name: 'p' }, minAuc: 0.9 } };
    const text = page({
      replicas: 4,
      strategy: { canary: { steps: [{ analysis: { metrics: [probes] } }, { setWeight: 25 }] } },
    });
    assert.match(text, /^1 +analysis of probes +0 % +0 % +1 +4 +5$/m);
  });

  it('by a router has full pods of the stable revision until the end, and counts accelerators', () => {
    const canary = { trafficRouting: { gatewayAPI: { httpRoute: 'r' } }, steps };
    assert.equal(
      page({ device: 'cuda', gpu: { count: 2 }, strategy: { canary } }, 10),
      `d: canary, split by gatewayAPI, 10 pods
STEP   WHAT                       WEIGHT   CANARY   STABLE   MOST
1      set weight to 20 %         20 %     2        10       12
2      pause for 10m              20 %     2        10       12
3      set weight to 50 %         50 %     5        10       15
end    promote the new revision   100 %    10       0        20
at most 20 pods at once, with 40 nvidia.com/gpu`,
    );
  });

  it('of blue-green switches at once', () => {
    assert.equal(
      page({ replicas: 2, strategy: { blueGreen: { autoPromotion: false } } }),
      `d: blueGreen, 2 pods
STEP   WHAT                         WEIGHT   CANARY   STABLE   MOST
1      scale the canary to 100 %    0 %      2        2        4
2      pause until promoted         0 %      2        2        4
end    switch to the new revision   100 %    2        0        4
at most 4 pods at once`,
    );
  });

  it('of an autoscaler is for its fewest pods', () => {
    const spec = { autoscaling: { minReplicas: 3, maxReplicas: 9 }, strategy: { canary: { steps } } };
    assert.match(page(spec), /^d: canary, split by replicas, 3 pods \(the fewest of the autoscaler\)$/m);
    assert.match(page(spec, 9), /^d: canary, split by replicas, 9 pods$/m);
  });

  it('of a strategy without steps has none', () => {
    assert.equal(
      page({ replicas: 1 }),
      'd: rollingUpdate, 1 pod\nno steps: pods are exchanged a few at a time',
    );
  });
});
