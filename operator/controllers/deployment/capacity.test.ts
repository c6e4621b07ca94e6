import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { deploymentSpec } from '../builders.ts';
import type { Node, Pod } from '../kinds.ts';
import { acceleratorDemand, freeAccelerators } from './capacity.ts';

const GPU = 'nvidia.com/gpu';

const node = (
  name: string,
  allocatable: number,
  changes: { spec?: object; labels?: object; ready?: string } = {},
) =>
  ({
    metadata: { name, labels: changes.labels ?? {} },
    spec: changes.spec ?? {},
    status: {
      allocatable: { [GPU]: String(allocatable) },
      conditions: [{ type: 'Ready', status: changes.ready ?? 'True' }],
    },
  }) as unknown as Node;

const pod = (nodeName: string | undefined, count: number, changes: { phase?: string; init?: number } = {}) =>
  ({
    metadata: { name: 'p' },
    spec: {
      nodeName,
      containers: [{ name: 'c', resources: { limits: { [GPU]: String(count) } } }, { name: 'sidecar' }],
      initContainers: [{ name: 'i', resources: { limits: { [GPU]: String(changes.init ?? 0) } } }],
    },
    status: { phase: changes.phase ?? 'Running' },
  }) as unknown as Pod;

const demand = (changes: object = {}) => ({ resource: GPU, perPod: 1, placement: {}, ...changes });
const taint = (key: string, effect = 'NoSchedule') => ({ key, value: 'v', effect });

describe('how many further pods fit', () => {
  const rows: [what: string, free: number, nodes: Node[], pods: Pod[], demand?: object][] = [
    ['what nobody has asked for', 3, [node('a', 4)], [pod('a', 1)]],
    ['whole pods on each node', 2, [node('a', 3), node('b', 3)], [], { perPod: 2 }],
    ['none of what is taken', 0, [node('a', 1)], [pod('a', 1)]],
    ['none below nothing', 0, [node('a', 1)], [pod('a', 2)]],
    ['what ended pods have left', 1, [node('a', 1)], [pod('a', 1, { phase: 'Succeeded' })]],
    ['less those that wait for a node', 1, [node('a', 2)], [pod(undefined, 1, { phase: 'Pending' })]],
    ['whatever waits without an accelerator', 2, [node('a', 2)], [pod(undefined, 0)]],
    ['less what an init container takes', 0, [node('a', 2)], [pod('a', 0, { init: 2 })]],
    ['nothing on a cordoned node', 0, [node('a', 2, { spec: { unschedulable: true } })], []],
    ['nothing on a node that is not ready', 0, [node('a', 2, { ready: 'Unknown' })], []],
    ['nothing behind a taint', 0, [node('a', 2, { spec: { taints: [taint('team')] } })], []],
    [
      'what is behind a taint that pods tolerate',
      2,
      [node('a', 2, { spec: { taints: [taint('team')] } })],
      [],
      { placement: { tolerations: [{ key: 'team', operator: 'Exists' }] } },
    ],
    [
      'nothing behind a taint with another value',
      0,
      [node('a', 2, { spec: { taints: [taint('team')] } })],
      [],
      { placement: { tolerations: [{ key: 'team', value: 'w' }] } },
    ],
    [
      'what is behind a taint named after the resource',
      2,
      [node('a', 2, { spec: { taints: [taint(GPU)] } })],
      [],
    ],
    [
      'what is behind a mere preference',
      2,
      [node('a', 2, { spec: { taints: [taint('t', 'PreferNoSchedule')] } })],
      [],
    ],
    [
      'only what the selector of the pods matches',
      1,
      [node('a', 1, { labels: { zone: 'x' } }), node('b', 1)],
      [],
      { placement: { nodeSelector: { zone: 'x' } } },
    ],
    ['nothing of another resource', 0, [node('a', 2)], [], { resource: 'amd.com/gpu' }],
  ];
  for (const [what, free, nodes, pods, changes] of rows) {
    it(what, () => assert.equal(freeAccelerators(demand(changes), nodes, pods), free));
  }
});

describe('what pods demand', () => {
  it('is the resource and count of the spec', () => {
    const spec = deploymentSpec({ gpu: { resourceName: 'nvidia.com/mig-1g.10gb', count: 2 } });
    const { resource, perPod } = acceleratorDemand(spec, undefined) ?? {};
    assert.deepEqual([resource, perPod], ['nvidia.com/mig-1g.10gb', 2]);
  });
  it('is not counted without an accelerator, nor where a claim asks for it', () => {
    for (const gpu of [undefined, { resourceClaimName: 'c' }, { resourceClaimTemplateName: 't' }]) {
      assert.equal(acceleratorDemand(deploymentSpec(gpu ? { gpu } : {}), undefined), undefined);
    }
  });
});
