import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { aModelDeployment } from '../../builders.ts';
import type { Service } from '../../kinds.ts';
import { desiredServices } from './services.ts';

const replicas = { canary: { trafficRouting: { replicas: {} } } };
const gatewayAPI = { canary: { trafficRouting: { gatewayAPI: { httpRoute: 'mine' } } } };
const blueGreen = { blueGreen: {} };

describe('who is selected', () => {
  const rows: [
    what: string,
    strategy: object,
    canary: string | undefined,
    canaryWeight: number,
    selects: { clients: string; stable: string; canary: string },
  ][] = [
    ['at rest', replicas, undefined, 0, { clients: 'r1', stable: 'r1', canary: 'r1' }],
    ['before the canary gets requests', replicas, 'r2', 0, { clients: 'r1', stable: 'r1', canary: 'r2' }],
    ['by pods', replicas, 'r2', 1, { clients: 'all', stable: 'r1', canary: 'r2' }],
    ['by pods at 100 %', replicas, 'r2', 100, { clients: 'all', stable: 'r1', canary: 'r2' }],
    ['by a route', gatewayAPI, 'r2', 50, { clients: 'r1', stable: 'r1', canary: 'r2' }],
    ['before a switch', blueGreen, 'r2', 0, { clients: 'r1', stable: 'r1', canary: 'r2' }],
  ];
  for (const [what, strategy, canary, canaryWeight, selects] of rows) {
    it(what, () => {
      const owner = aModelDeployment({ strategy });
      const traffic = { stable: 'r1', canary, canaryWeight, headerRoutes: [], mirrorRoutes: [] };
      const services = Object.entries(desiredServices(owner, owner.spec, traffic));
      const selected = services.map(([role, service]) => {
        const { selector = {} } = (service as unknown as Service).spec ?? {};
        assert.equal(selector['deepfake-operator.io/model-deployment'], 'd');
        return [role, selector['deepfake-operator.io/revision'] ?? 'all'];
      });
      assert.deepEqual(Object.fromEntries(selected), selects);
    });
  }
});

it('the services are told apart by their names', () => {
  const owner = aModelDeployment({ strategy: replicas });
  const traffic = { stable: 'r1', canary: undefined, canaryWeight: 0, headerRoutes: [], mirrorRoutes: [] };
  const { clients, stable, canary } = desiredServices(owner, owner.spec, traffic);
  assert.deepEqual(
    [clients, stable, canary].map(({ metadata }) => metadata.name),
    ['d', 'd-stable', 'd-canary'],
  );
});
