import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { EventsV1Event } from '@kubernetes/client-node';
import type { Raw } from '../../runtime/object.ts';
import { aJob, aPod } from '../builders.ts';
import type { Job, PersistentVolumeClaim, Pod } from '../kinds.ts';
import { complaintOf, stuckObject } from './complaints.ts';

const CREATED = '2026-01-01T00:00:00Z';
const LATER = Date.parse(CREATED) + 20_000;
const created = <T extends Job | Pod>(object: T): T => ({
  ...object,
  metadata: { ...object.metadata, creationTimestamp: CREATED },
});
const job = created(aJob());
const scheduled = [{ type: 'PodScheduled', status: 'True' }];
const unscheduled = [{ type: 'PodScheduled', status: 'False' }];
const pod = (container: object, conditions: object[], phase = 'Pending'): Pod => {
  const base = created(aPod(container, { conditions }));
  return { ...base, status: { ...base.status, phase, startTime: CREATED } };
};
const creating = { state: { waiting: { reason: 'ContainerCreating' } } };
const claim = (phase: string) =>
  ({
    metadata: { name: 'c', uid: 'uid-c', creationTimestamp: CREATED },
    status: { phase },
  }) as PersistentVolumeClaim;

describe('who is asked about', () => {
  type Row = [string, Pod[], PersistentVolumeClaim | undefined, number, string | undefined];
  const rows: Row[] = [
    ['a Job without a pod', [], undefined, LATER, 'Job now'],
    ['a young Job', [], undefined, LATER - 10_000, 'Job later'],
    ['a pod without its volumes', [pod(creating, scheduled)], undefined, LATER, 'Pod now'],
    ['a pod whose node has not said anything', [pod({ state: {} }, scheduled)], undefined, LATER, undefined],
    [
      'a pod without a node and its claim',
      [pod({}, unscheduled)],
      claim('Pending'),
      LATER,
      'PersistentVolumeClaim now',
    ],
    ['a pod without a node that has its claim', [pod({}, unscheduled)], claim('Bound'), LATER, undefined],
    ['a pod that runs', [pod({ state: { running: {} } }, scheduled, 'Running')], undefined, LATER, undefined],
    [
      'a pod whose container says why itself',
      [pod({ state: { waiting: { reason: 'ErrImagePull' } } }, scheduled)],
      undefined,
      LATER,
      undefined,
    ],
  ];
  for (const [what, pods, bound, now, expected] of rows) {
    it(`${what}: ${expected ?? 'nobody'}`, () => {
      const stuck = stuckObject(job, pods, bound, now);
      assert.equal(stuck && `${stuck.kind} ${stuck.inMs > 0 ? 'later' : 'now'}`, expected);
    });
  }
});

describe('what events say', () => {
  type Event = Raw<EventsV1Event>;
  const stuck = { kind: 'Job', object: job, inMs: 0 } as const;
  const event = (reason: string, note: string, more: object = {}): Event =>
    ({
      metadata: { name: 'e' },
      type: 'Warning',
      regarding: { uid: job.metadata.uid },
      deprecatedLastTimestamp: CREATED,
      reason,
      note,
      ...more,
    }) as Event;
  const rows: [string, string, string][] = [
    ['FailedCreate', 'pods "p" is forbidden: exceeded quota: q, requested: pods=1', 'QuotaExceeded'],
    ['FailedCreate', 'pods "p" is forbidden: maximum memory usage per Container is 1Mi', 'PodRejected'],
    [
      'FailedMount',
      'MountVolume.SetUp failed for volume "registry" : secret "s" not found',
      'SecretNotFound',
    ],
    [
      'FailedMount',
      'MountVolume.SetUp failed for volume "ca" : configmap "c" not found',
      'ConfigMapNotFound',
    ],
    ['FailedMount', 'configmap references non-existent config key: k', 'KeyNotFound'],
    ['FailedMount', 'timed out', 'FailedMount'],
    ['FailedAttachVolume', 'Multi-Attach error for volume "v"', 'VolumeInUse'],
    ['ProvisioningFailed', 'storageclass "x" not found', 'PvcPending'],
  ];
  for (const [reason, note, told] of rows) {
    it(`${reason} ${note}: ${told}`, () => {
      assert.deepEqual(complaintOf(stuck, [event(reason, note)]), {
        reason: told,
        message: `Job job: ${reason}: ${note}`,
      });
    });
  }

  it('is the latest warning about that very object', () => {
    const later = '2026-01-01T00:01:00Z';
    const events = [
      event('New', 'n', { series: { count: 2, lastObservedTime: later } }),
      event('Old', 'o'),
      event('Namesake', 's', { regarding: { uid: 'gone' }, eventTime: later }),
      event('Fine', 'f', { type: 'Normal', deprecatedLastTimestamp: '2026-01-01T00:02:00Z' }),
    ];
    assert.equal(complaintOf(stuck, events)?.reason, 'New');
    assert.equal(complaintOf(stuck, []), undefined);
  });
});
