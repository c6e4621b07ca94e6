import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { pino } from 'pino';
import { TerminalError } from '../runtime/errors.ts';
import { aModel, aModelDeployment } from './builders.ts';
import { DeploymentReconciler, type DeploymentReconcilerOptions } from './deployment/controller.ts';
import { ModelReconciler, type ModelReconcilerOptions } from './model/controller.ts';

type Written = {
  metadata: object;
  status: { phase: string; conditions: { type: string; status: string; reason: string }[] };
};

describe('a spec that another version of the definition let through is told in the status of', () => {
  const written: Written[] = [];
  const applyStatus = async (_kind: unknown, body: Written) => {
    written.push(body);
    return body;
  };
  const client = { applyStatus };
  const clock = { now: () => 0 };
  const store = (object?: object) => ({ get: () => object, byIndex: () => [] });
  const model = { ...aModel(), spec: { source: {}, version: 'v1' } };
  const owner = { ...aModelDeployment(), spec: { models: [] } };
  const models = { client, clock, models: store(model), deployments: store() };
  const deployments = { client, clock, modelDeployments: store(owner) };
  const rows = [
    ['a model', new ModelReconciler(models as unknown as ModelReconcilerOptions), 'Failed'],
    [
      'a deployment',
      new DeploymentReconciler(deployments as unknown as DeploymentReconcilerOptions),
      'Degraded',
    ],
  ] as const;
  for (const [what, reconciler, phase] of rows) {
    it(what, async () => {
      const context = { signal: new AbortController().signal, log: pino({ level: 'silent' }) };
      await assert.rejects(reconciler.reconcile({ namespace: 'ns', name: 'x' }, context), TerminalError);
      const { status } = written.pop() ?? {};
      assert.equal(status?.phase, phase);
      const ready = status?.conditions.find(({ type }) => type === 'Ready');
      assert.deepEqual([ready?.status, ready?.reason], ['False', 'InvalidSpec']);
    });
  }
});
