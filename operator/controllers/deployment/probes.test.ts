import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { probes, progressDeadlineS, startupBudgetS } from './probes.ts';

const GIB = 1024 ** 3;
const models = (...sizes: number[]) => sizes.map((sizeBytes) => ({ sizeBytes }));

describe('a pod may take to become ready', () => {
  const rows: [string, Parameters<typeof startupBudgetS>, number][] = [
    ['with one small model', [models(1e6), 'cpu'], 301],
    ['with several models, for each of them', [models(1e6, 1e6), 'cpu'], 361],
    ['with a large model, for its bytes', [models(10 * GIB), 'cuda'], 812],
    ['where engines are built first', [models(GIB), 'tensorrt'], 892],
  ];
  for (const [what, args, seconds] of rows) {
    it(`${seconds} s ${what}`, () => assert.equal(startupBudgetS(...args), seconds));
  }
});

it('kubelet waits for that long', () => {
  const { startupProbe } = probes(301);
  assert.ok(startupProbe.failureThreshold * startupProbe.periodSeconds >= 301);
});

describe('the deadline of a rollout', () => {
  const rows: [string, number, number, number][] = [
    ['is that of the spec where pods are faster', 600, 300, 600],
    ['leaves pods the time that they may take', 600, 900, 960],
  ];
  for (const [what, asked, budget, expected] of rows) {
    it(what, () => assert.equal(progressDeadlineS({ progressDeadlineSeconds: asked }, budget), expected));
  }
});
