import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { aModel, DIGEST, readyStatus } from '../builders.ts';
import type { DeepfakeModel } from '../kinds.ts';
import { resolveModels } from './models.ts';

const condition = (reason: string) => ({
  type: 'Ready',
  status: 'False' as const,
  reason,
  message: 'm',
  lastTransitionTime: 'T',
});
const models: Record<string, DeepfakeModel> = {
  good: aModel('good', { status: readyStatus() }),
  fresh: aModel('fresh'),
  fetching: aModel('fetching', { status: { phase: 'Fetching', conditions: [condition('Fetching')] } }),
  failing: aModel('failing', { status: { phase: 'Failed', conditions: [condition('DigestMismatch')] } }),
  retrying: aModel('retrying', {
    status: {
      phase: 'Fetching',
      fetch: { id: 'x', phase: 'Running', attempts: 2, reason: 'R' },
      conditions: [condition('R')],
    },
  }),
  updating: aModel('updating', {
    status: readyStatus({ phase: 'Fetching', conditions: [condition('Fetching')] }),
  }),
  changed: aModel('changed', { status: readyStatus({ observedGeneration: 0 }) }),
};

describe('models', () => {
  const rows: { names: string[]; served: boolean; reason?: string; failed?: boolean }[] = [
    { names: ['good'], served: true },
    { names: ['good', 'absent'], served: false, reason: 'ModelNotFound', failed: true },
    { names: ['fresh'], served: false, reason: 'ModelNotReady', failed: false },
    { names: ['good', 'fetching'], served: false, reason: 'WeightsFetching', failed: false },
    { names: ['fetching', 'failing'], served: false, reason: 'DigestMismatch', failed: true },
    { names: ['retrying'], served: false, reason: 'R', failed: true },
    { names: ['updating'], served: true, reason: 'WeightsFetching', failed: false },
    { names: ['changed'], served: true, reason: 'ModelNotReady', failed: false },
  ];
  for (const { names, served, reason, failed } of rows) {
    it(`${names.join(' and ')}: ${served ? 'served' : 'not served'}, ${reason ?? 'no problem'}`, () => {
      const resolution = resolveModels(names, (name) => models[name]);
      assert.equal(resolution.served?.length, served ? names.length : undefined);
      assert.equal(resolution.problem?.reason, reason);
      assert.equal(resolution.problem?.failed, failed);
    });
  }
});

it('what a model says of itself is passed on, how far its fetch is for example', () => {
  const { problem } = resolveModels(['fetching'], (name) => models[name]);
  assert.deepEqual(problem, {
    reason: 'WeightsFetching',
    message: 'DeepfakeModel fetching: Fetching: m',
    failed: false,
  });
});

it('the claim of a source.pvc is read-only, one of the operator is not', () => {
  const spec = { source: { pvc: { claimName: 'm-weights', path: 'p' } }, digest: DIGEST };
  const readOnly = (model: DeepfakeModel) => resolveModels(['m'], () => model).served?.[0]?.readOnly;
  const status = readyStatus();
  assert.deepEqual(
    [readOnly(aModel('m', { spec, status })), readOnly(aModel('m', { status }))],
    [true, undefined],
  );
});
