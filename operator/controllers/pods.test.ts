import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { aPod } from './builders.ts';
import { claimPlacement } from './claims.ts';
import type { Pod } from './kinds.ts';
import { givenUp, living, podProblem } from './pods.ts';

const unschedulable = (message: string) => [
  { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message },
];
const limits = { 'nvidia.com/gpu': '1' };
const crashed = {
  restartCount: 1,
  lastState: { terminated: { exitCode: 2, reason: 'Error', message: 'model.yaml: bad digest\n' } },
};

const ended = (terminated: object) => ({ restartCount: 1, lastState: { terminated } });
const readySince = (status: string, lastTransitionTime: string) => [
  { type: 'Ready', status, lastTransitionTime, message: 'containers with unready status: [c]' },
];
const running = { state: { running: { startedAt: '2026-01-01T00:10:00Z' } } };
const withSidecar = (pod: Pod): Pod =>
  ({
    ...pod,
    status: {
      ...pod.status,
      containerStatuses: [
        { name: 'sidecar', ready: true, restartCount: 0, state: { running: {} } },
        ...(pod.status?.containerStatuses ?? []),
      ],
    },
  }) as Pod;

const tied = (pod: Pod): Pod => {
  const { labels } = claimPlacement([{ claimName: 'c' }]);
  return { ...pod, metadata: { ...pod.metadata, labels } };
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
      'SecretNotFound',
      /"x" not found/,
    ],
    ...(
      [
        ['configmap "c" not found', 'ConfigMapNotFound'],
        ["couldn't find key k in Secret ns/s", 'KeyNotFound'],
        ['no user', 'CreateContainerConfigError'],
      ] as const
    ).map(([message, reason]): [string, readonly Pod[], string, RegExp] => [
      `what kubelet says: ${message}`,
      [aPod({ state: { waiting: { reason: 'CreateContainerConfigError', message } } })],
      reason,
      new RegExp(message),
    ]),
    [
      'room on the node of its claim',
      [tied(aPod({}, { conditions: unschedulable("0/2: 2 node(s) didn't match pod affinity rules") }))],
      'VolumeNodeFull',
      /same ReadWriteOnce claim have to run on one node$/,
    ],
    [
      'a node that an affinity of the user asks for',
      [aPod({}, { conditions: unschedulable("0/2: 2 node(s) didn't match pod affinity rules") })],
      'Unschedulable',
      /affinity rules$/,
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
    [
      'a claim of devices that nothing satisfies',
      [
        {
          ...aPod({}, { conditions: unschedulable('0/1: 1 cannot allocate all claims.') }),
          spec: { containers: [], resourceClaims: [{ name: 'accelerator' }] },
        } as Pod,
      ],
      'InsufficientGPU',
      /cannot allocate/,
    ],
    [
      'a damaged package',
      [
        aPod(
          ended({
            exitCode: 65,
            message: '{"error":{"reason":"DigestMismatch","model":"m","message":"a.onnx differs"}}',
          }),
        ),
      ],
      'PackageDamaged',
      /pod pod: model m: DigestMismatch: a\.onnx differs$/,
    ],
    [
      'a damaged package of which nothing more was said',
      [aPod(ended({ exitCode: 65 }))],
      'PackageDamaged',
      /the package of a model is damaged$/,
    ],
    [
      'too little memory',
      [aPod(ended({ exitCode: 137, reason: 'OOMKilled' }), { limits: { memory: '1Gi' } })],
      'OOMKilled',
      /more memory than its limit of 1Gi/,
    ],
    [
      'a startup probe that kubelet gave up on',
      [aPod(ended({ exitCode: 0, reason: 'Completed' }))],
      'ProbeFailing',
      /exit code 0/,
    ],
    [
      'a readiness that was lost',
      [aPod({ ...running }, { conditions: readySince('False', '2026-01-01T00:11:00Z') })],
      'ProbeFailing',
      /readiness probe fails: containers with unready/,
    ],
    [
      'not ready for the first time yet',
      [aPod({ ...running }, { conditions: readySince('False', '2026-01-01T00:09:00Z') })],
      undefined,
      /^$/,
    ],
    [
      'a crash beside a sidecar',
      [withSidecar(aPod(crashed))],
      'CrashLoopBackOff',
      /^pod pod: container c: exit code 2/,
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
  const inPhase = (phase: string) =>
    ({ ...aPod(crashed), status: { ...aPod(crashed).status, phase } }) as Pod;
  assert.equal(podProblem(living([inPhase('Failed'), inPhase('Succeeded')])), undefined);
  assert.equal(podProblem(living([inPhase('Running')]))?.reason, 'CrashLoopBackOff');
});

describe('a pod that its node gave up', () => {
  const evicted = (name: string, creationTimestamp: string): Pod => {
    const pod = aPod();
    const status = { phase: 'Failed', reason: 'Evicted', message: `${name} used too much` };
    return { ...pod, metadata: { ...pod.metadata, name, creationTimestamp }, status };
  };
  it('is told of the latest pod', () => {
    const pods = [evicted('b', '2026-01-02T00:00:00Z'), evicted('a', '2026-01-01T00:00:00Z'), aPod()];
    assert.deepEqual(givenUp(pods), { reason: 'Evicted', message: 'pod b: b used too much' });
  });
  it('is told with what kubelet says of one that it could not take', () => {
    const message = 'Allocate failed due to no healthy devices present';
    const status = { phase: 'Failed', reason: 'UnexpectedAdmissionError', message };
    assert.deepEqual(givenUp([{ ...aPod(), status }]), {
      reason: 'UnexpectedAdmissionError',
      message: `pod pod: ${message}`,
    });
  });
  it('is not told of pods that failed otherwise', () => {
    assert.equal(givenUp([{ ...aPod(), status: { phase: 'Failed' } }]), undefined);
  });
});
