import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { pino } from 'pino';
import type { KubeClient } from '../../runtime/client.ts';
import { ApiError } from '../../runtime/errors.ts';
import type { Applied, Kind } from '../../runtime/object.ts';
import { Store } from '../../runtime/store.ts';
import { aModelDeployment, served } from '../builders.ts';
import { applyChildren } from './children.ts';
import { desiredWorkload } from './workload.ts';

const owner = aModelDeployment({ monitoring: { podMonitor: {} } });
const workload = desiredWorkload({
  owner,
  spec: owner.spec,
  models: [served()],
  image: { name: 'i', pullPolicy: 'IfNotPresent' },
  replicas: 1,
  noSurge: false,
});

/** Children of a cluster that answers with the error to an apply of the kind. */
async function apply(failing: string, error: Error) {
  const applied: string[] = [];
  const client = {
    find: async () => undefined,
    tryCreate: async () => undefined,
    create: async () => undefined,
    apply: async ({ kind }: Kind, object: Applied) => {
      if (kind === failing) throw error;
      applied.push(kind);
      return object;
    },
  } as unknown as KubeClient;
  assert.ok('deployment' in workload);
  const outcome = await applyChildren({
    client,
    owner,
    spec: owner.spec,
    signal: AbortSignal.timeout(60_000),
    log: pino({ level: 'silent' }),
    stores: {
      deployments: new Store(),
      services: new Store(),
      autoscalers: new Store(),
      disruptionBudgets: new Store(),
      networkPolicies: new Store(),
      podMonitors: { state: () => 'served', store: new Store() },
    },
    operatorNamespace: 'operator',
    deployment: workload.deployment,
    live: undefined,
    rememberKey: async () => undefined,
  });
  return { applied, outcome };
}

describe('a PodMonitor over which the API server fails', () => {
  const rows: [string, ApiError][] = [
    ['a webhook of it does not answer', new ApiError('r', 500, 'InternalError', 'failed calling webhook')],
    ['its kind has just gone', new ApiError('r', 404, 'NotFound', 'the server could not find it')],
  ];
  for (const [what, error] of rows) {
    it(`is told and harms nobody, where ${what}`, async () => {
      const { applied, outcome } = await apply('PodMonitor', error);
      assert.deepEqual(applied, ['PodDisruptionBudget', 'Service', 'Deployment']);
      assert.equal(outcome.problem, undefined);
      assert.equal(outcome.monitoring?.problem?.reason, 'ChildRejected');
      assert.match(outcome.monitoring?.problem?.message ?? '', new RegExp(error.detail));
    });
  }

  it('is looked at again at once where the pass came too late', async () => {
    const late = new ApiError('r', 409, 'Conflict', 'the object has been modified');
    await assert.rejects(apply('PodMonitor', late), late);
  });
});

it('a webhook that does not answer is told, and nothing that comes later is made', async () => {
  const detail = 'Internal error occurred: failed calling webhook "w": context deadline exceeded';
  const { applied, outcome } = await apply('Deployment', new ApiError('r', 500, 'InternalError', detail));
  assert.deepEqual(applied, ['PodDisruptionBudget', 'Service', 'PodMonitor']);
  const message = `the API server refused Deployment d-stable: ${detail}`;
  assert.deepEqual(outcome.problem, { reason: 'ChildRejected', message });
});

it('a Service over which the API server fails is no refusal: the pass is repeated', async () => {
  const down = new ApiError('r', 500, 'InternalError', 'etcdserver: no leader');
  await assert.rejects(apply('Service', down), down);
});
