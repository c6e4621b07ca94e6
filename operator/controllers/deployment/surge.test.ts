import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { aDeployment, aPod } from '../builders.ts';
import type { Pod } from '../kinds.ts';
import { needsNoSurge } from './surge.ts';

describe('an old pod has to go first', () => {
  const noGpu = {
    reason: 'InsufficientGPU',
    message: '0/2 nodes are available: 2 Insufficient nvidia.com/gpu.',
  };
  const holder = (resource: string, nodeName?: string): Pod => {
    const pod = aPod({}, { limits: { [resource]: '1' } });
    return { ...pod, spec: { ...pod.spec, nodeName } } as Pod;
  };
  const crash = { reason: 'CrashLoopBackOff', message: 'exit code 2' };
  const pvc = (message: string) => ({ reason: 'PvcPending', message });
  const stuck = { wanted: 1, total: 2, updated: 1, available: 1 };
  type Args = Parameters<typeof needsNoSurge>;
  const rows: [string, [Args[0], Args[1], Args[2]?], boolean][] = [
    ['there is no Deployment', [undefined, noGpu], false],
    ['a surge pod finds no accelerator, for another has it', [aDeployment(stuck), noGpu], true],
    [
      'a surge pod wants an accelerator of another name than others have',
      [aDeployment(stuck), noGpu, [holder('amd.com/gpu', 'n')]],
      false,
    ],
    [
      'a surge pod wants an accelerator that no pod got',
      [aDeployment(stuck), noGpu, [holder('nvidia.com/gpu')]],
      false,
    ],
    [
      'a surge pod finds no room where its volume is',
      [aDeployment(stuck), pvc('1 Insufficient cpu, 2 node(s) had volume node affinity conflict')],
      true,
    ],
    [
      'a surge pod wants a claim that one pod at a time may have',
      [
        aDeployment(stuck),
        pvc('node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode'),
      ],
      true,
    ],
    [
      'a surge pod wants a claim that does not exist',
      [aDeployment(stuck), pvc('persistentvolumeclaim "scratch" not found')],
      false,
    ],
    [
      'a surge pod wants a claim without a volume',
      [aDeployment(stuck), pvc('pod has unbound immediate PersistentVolumeClaims')],
      false,
    ],
    [
      'a surge pod finds no room beside those of its volume',
      [aDeployment(stuck), { reason: 'VolumeNodeFull', message: '' }],
      true,
    ],
    ['a surge pod crashes', [aDeployment(stuck), crash], false],
    ['nothing serves anyway', [aDeployment({ ...stuck, available: 0 }), noGpu], false],
    ['no rollout is on', [aDeployment(), noGpu], false],
    ['it was decided before in this rollout', [aDeployment({ ...stuck, maxSurge: 0 }), undefined], true],
    ['that rollout is over', [aDeployment({ maxSurge: 0 }), undefined], false],
  ];
  for (const [what, [live, problem, pods = [holder('nvidia.com/gpu', 'n')]], expected] of rows) {
    it(`${what}: ${expected}`, () => assert.equal(needsNoSurge(live, problem, pods), expected));
  }
});
