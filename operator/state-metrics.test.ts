import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Registry } from 'prom-client';
import type { DeepfakeModel, ModelDeployment } from './controllers/kinds.ts';
import { type State, StateMetrics } from './state-metrics.ts';

const condition = (type: string, status: string, reason: string) => ({ type, status, reason });
const model = (name: string, fields: object = {}) =>
  ({
    metadata: { namespace: 'n', name },
    spec: { modality: 'image' },
    ...fields,
  }) as unknown as DeepfakeModel;
const deployment = (name: string, fields: object = {}) =>
  ({ metadata: { namespace: 'n', name }, spec: { device: 'cuda' }, ...fields }) as unknown as ModelDeployment;

async function told(state: State | undefined): Promise<string[]> {
  const registry = new Registry();
  new StateMetrics(registry).watch(() => state);
  return (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

it('tells of a model what it holds, its phase and its conditions', async () => {
  const status = {
    phase: 'Failed',
    digest: 'sha256:a',
    sizeBytes: 42,
    card: { version: '1.2' },
    conditions: [
      condition('Verified', 'False', 'DigestMismatch'),
      condition('Ready', 'False', 'FetchFailed'),
    ],
  };
  assert.deepEqual(await told({ models: [model('m', { status })], deployments: [] }), [
    'deepfake_deepfakemodel_info{namespace="n",name="m",modality="image",version="1.2",digest="sha256:a"} 1',
    'deepfake_deepfakemodel_size_bytes{namespace="n",name="m"} 42',
    'deepfake_deepfakemodel_status_phase{namespace="n",name="m",phase="Pending"} 0',
    'deepfake_deepfakemodel_status_phase{namespace="n",name="m",phase="Fetching"} 0',
    'deepfake_deepfakemodel_status_phase{namespace="n",name="m",phase="Ready"} 0',
    'deepfake_deepfakemodel_status_phase{namespace="n",name="m",phase="Failed"} 1',
    'deepfake_deepfakemodel_status_condition{namespace="n",name="m",condition="Verified",status="False",reason="DigestMismatch"} 1',
    'deepfake_deepfakemodel_status_condition{namespace="n",name="m",condition="Ready",status="False",reason="FetchFailed"} 1',
  ]);
});

it('tells of a deployment what it runs on, its pods, its phase and its conditions', async () => {
  const counts = { replicas: 4, readyReplicas: 3, availableReplicas: 2, updatedReplicas: 1 };
  const status = {
    phase: 'Healthy',
    ...counts,
    conditions: [condition('Available', 'True', 'PodsAvailable')],
  };
  assert.deepEqual(await told({ models: [], deployments: [deployment('d', { status })] }), [
    'deepfake_modeldeployment_info{namespace="n",name="d",device="cuda"} 1',
    'deepfake_modeldeployment_status_phase{namespace="n",name="d",phase="Healthy"} 1',
    'deepfake_modeldeployment_status_phase{namespace="n",name="d",phase="Progressing"} 0',
    'deepfake_modeldeployment_status_phase{namespace="n",name="d",phase="Paused"} 0',
    'deepfake_modeldeployment_status_phase{namespace="n",name="d",phase="Degraded"} 0',
    'deepfake_modeldeployment_status_condition{namespace="n",name="d",condition="Available",status="True",reason="PodsAvailable"} 1',
    'deepfake_modeldeployment_status_replicas{namespace="n",name="d"} 4',
    'deepfake_modeldeployment_status_ready_replicas{namespace="n",name="d"} 3',
    'deepfake_modeldeployment_status_available_replicas{namespace="n",name="d"} 2',
    'deepfake_modeldeployment_status_updated_replicas{namespace="n",name="d"} 1',
  ]);
});

it('tells nothing that a new object does not have yet, and nothing at all while it does not lead', async () => {
  const fresh = await told({ models: [model('m')], deployments: [deployment('d')] });
  assert.ok(fresh.every((line) => !line.includes('replicas') && !line.includes('condition')));
  assert.equal(fresh.length, 2 + 4 + 4);
  assert.deepEqual(await told(undefined), []);
});

it('tells of a rollout where it stands, its weights, its step and its measurements', async () => {
  const analysis = [{ id: 'background', metrics: [{ name: 'errors', successful: 3, failed: 1 }] }];
  const status = {
    phase: 'Paused',
    currentRevision: 'b',
    stableRevision: 'a',
    currentStepIndex: 2,
    canary: { weights: { stable: 75, canary: 25, achieved: 25, verified: true }, analysis },
  };
  const spec = { device: 'cpu', strategy: { canary: {} } };
  const lines = await told({ models: [], deployments: [deployment('d', { spec, status })] });
  const labels = 'namespace="n",name="d"';
  const measured = (result: string) =>
    `deepfake_operator_rollout_analysis_measurements{${labels},analysis="background",metric="errors",result="${result}"}`;
  assert.deepEqual(
    lines.filter((line) => line.includes('rollout')),
    [
      `deepfake_operator_rollout_phase{${labels},phase="Stable"} 0`,
      `deepfake_operator_rollout_phase{${labels},phase="Progressing"} 0`,
      `deepfake_operator_rollout_phase{${labels},phase="Paused"} 1`,
      `deepfake_operator_rollout_phase{${labels},phase="Aborted"} 0`,
      `deepfake_operator_rollout_weight{${labels},track="stable"} 75`,
      `deepfake_operator_rollout_weight{${labels},track="canary"} 25`,
      `deepfake_operator_rollout_step{${labels}} 2`,
      `${measured('successful')} 3`,
      `${measured('failed')} 1`,
      `${measured('inconclusive')} 0`,
      `${measured('error')} 0`,
    ],
  );
});

it('tells of where a rollout stands in a word', async () => {
  const rows = [
    [{ currentRevision: 'a', stableRevision: 'a', phase: 'Degraded' }, 'Stable'],
    [{ currentRevision: 'b', stableRevision: 'a', phase: 'Degraded', abort: true }, 'Aborted'],
    [{ currentRevision: 'b', stableRevision: 'a', phase: 'Progressing' }, 'Progressing'],
    [{ currentRevision: 'b' }, 'Progressing'],
  ] as const;
  for (const [status, phase] of rows) {
    const spec = { strategy: { blueGreen: {} } };
    const lines = await told({ models: [], deployments: [deployment('d', { spec, status })] });
    const now = lines.filter((line) => line.includes('rollout_phase') && line.endsWith(' 1'));
    assert.deepEqual(now, [`deepfake_operator_rollout_phase{namespace="n",name="d",phase="${phase}"} 1`]);
  }
});
