import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { aPod } from './builders.ts';
import type { Pod } from './kinds.ts';
import { living, podProblem } from './pods.ts';

const unschedulable = (message: string) => [
  { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message },
];
const limits = { 'nvidia.com/gpu': '1' };
const crashed = {
  restartCount: 1,
  lastState: { terminated: { exitCode: 2, reason: 'Error', message: 'model.yaml: bad digest\n' } },
};

describe('the problem of pods', () => {
  const rows: [string, readonly Pod[], string | undefined, RegExp][] = [
    ['none there', [], undefined, /^$/],
    ['one that runs', [aPod({ ready: true, state: { running: {} } })], undefined, /^$/],
    [
      'no free accelerator',
      [aPod({}, { limits, conditions: unschedulable('0/1: 1 Insufficient nvidia.com/gpu.') })],
      'InsufficientGPU',
      /1 Insufficient nvidia/,
    ],
    [
      'no free CPU although it wants an accelerator',
      [aPod({}, { limits, conditions: unschedulable('1 Insufficient cpu') })],
      'Unschedulable',
      /Insufficient cpu/,
    ],
    [
      'its claim',
      [aPod({}, { conditions: unschedulable('pod has unbound immediate PersistentVolumeClaims') })],
      'PvcPending',
      /unbound/,
    ],
    [
      'a volume that is bound to another node',
      [aPod({}, { conditions: unschedulable('0/2: 1 node(s) had volume node affinity conflict') })],
      'PvcPending',
      /affinity conflict/,
    ],
    [
      'its image',
      [aPod({ state: { waiting: { reason: 'ImagePullBackOff', message: 'Back-off pulling' } } })],
      'ImagePullBackOff',
      /pod pod: Back-off/,
    ],
    [
      'a missing Secret',
      [
        aPod({
          state: { waiting: { reason: 'CreateContainerConfigError', message: 'secret "x" not found' } },
        }),
      ],
      'CreateContainerConfigError',
      /"x" not found/,
    ],
    [
      'a crash, with its last words',
      [aPod({ ...crashed, state: { waiting: { reason: 'CrashLoopBackOff' } } })],
      'CrashLoopBackOff',
      /exit code 2 \(Error\): model\.yaml: bad digest$/,
    ],
    [
      'a crash while it runs again',
      [aPod({ ...crashed, state: { running: {} } })],
      'CrashLoopBackOff',
      /exit code 2/,
    ],
    [
      'a crash long ago of a pod that is ready',
      [aPod({ ...crashed, ready: true, state: { running: {} } })],
      undefined,
      /^$/,
    ],
    ['starting up', [aPod({ state: { waiting: { reason: 'ContainerCreating' } } })], undefined, /^$/],
    [
      'one that goes away',
      [aPod({ state: { waiting: { reason: 'ErrImagePull' } } }, { deleted: true })],
      undefined,
      /^$/,
    ],
    [
      'the scheduler before crashes of others',
      [aPod(crashed), aPod({}, { conditions: unschedulable('no node') })],
      'Unschedulable',
      /no node/,
    ],
  ];
  for (const [what, pods, reason, message] of rows) {
    it(`${what}: ${reason ?? 'none'}`, () => {
      const problem = podProblem(pods);
      assert.equal(problem?.reason, reason);
      assert.match(problem?.message ?? '', message);
    });
  }
});

it('serving pods that ended count no more, evicted in the middle of a crash or not', () => {
  const ended = (phase: string) => ({ ...aPod(crashed), status: { ...aPod(crashed).status, phase } }) as Pod;
  assert.equal(podProblem(living([ended('Failed'), ended('Succeeded')])), undefined);
  assert.equal(podProblem(living([ended('Running')]))?.reason, 'CrashLoopBackOff');
});
