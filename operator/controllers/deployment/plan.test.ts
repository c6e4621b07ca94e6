import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { aDeployment, aModelDeployment, IMAGE, served } from '../builders.ts';
import { type PlanInput, planWorkload } from './plan.ts';

const ready = { served: [served()], problem: undefined };
const fetching = { reason: 'WeightsFetching', message: 'm', failed: false };
const gpu = { resourceClaimName: 'c' };

function plan(spec: object, input: Partial<PlanInput> = {}) {
  const owner = aModelDeployment(spec);
  return planWorkload({
    owner,
    spec: owner.spec,
    models: ready,
    image: IMAGE,
    deviceImages: { cuda: 'registry.test/cuda:1' },
    claimsServed: true,
    live: undefined,
    pods: [],
    podProblem: undefined,
    ...input,
  });
}

describe('pods', () => {
  type Row = { what: string; spec?: object; input?: Partial<PlanInput>; outcome: string };
  const rows: Row[] = [
    { what: 'of ready models are made', outcome: 'pods' },
    { what: 'of a configured device are made', spec: { device: 'cuda', gpu: {} }, outcome: 'pods' },
    {
      what: 'of a device without image are not',
      spec: { device: 'tensorrt', gpu: {} },
      outcome: 'DeviceImageMissing',
    },
    { what: 'with claims are made where claims exist', spec: { gpu }, outcome: 'pods' },
    {
      what: 'with claims are not made where they do not',
      spec: { gpu },
      input: { claimsServed: false },
      outcome: 'ResourceClaimsNotSupported',
    },
    {
      what: 'with a protected field are not made, whether models are ready or not',
      spec: { template: { spec: { hostPID: true } } },
      input: { models: { served: undefined, problem: fetching } },
      outcome: 'ProtectedField',
    },
    {
      what: 'wait for models that were never verified',
      input: { models: { served: undefined, problem: fetching }, live: aDeployment() },
      outcome: 'none',
    },
    {
      what: 'that are the first wait for models that are updated',
      input: { models: { served: [served()], problem: fetching } },
      outcome: 'none',
    },
    {
      what: 'that served before are made again while models are updated, whoever deleted their Deployment',
      input: {
        owner: { ...aModelDeployment(), status: { stableRevision: 'r1' } },
        models: { served: [served()], problem: fetching },
      },
      outcome: 'pods',
    },
    {
      what: 'that are there stay up to date while models are updated',
      input: { models: { served: [served()], problem: fetching }, live: aDeployment() },
      outcome: 'pods',
    },
  ];
  for (const { what, spec = {}, input, outcome } of rows) {
    it(what, () => {
      const { workload, problem } = plan(spec, input);
      assert.equal(problem?.reason ?? (workload ? 'pods' : 'none'), outcome);
    });
  }
});
