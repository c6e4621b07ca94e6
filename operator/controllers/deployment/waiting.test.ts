import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { aPod } from '../builders.ts';
import type { Pod } from '../kinds.ts';
import { stuckPod } from './waiting.ts';

const STARTED = '2026-01-01T00:00:00Z';
const LATER = Date.parse(STARTED) + 20_000;
const waiting = (reason: string) => ({ state: { waiting: { reason } } });

function pod(container: object, status: object = {}, deleted = false): Pod {
  const base = aPod(container, { deleted });
  return { ...base, status: { ...base.status, phase: 'Pending', startTime: STARTED, ...status } } as Pod;
}

describe('the events are read of', () => {
  const creating = waiting('ContainerCreating');
  const rows: [string, Pod[], number, 'now' | 'later' | 'never'][] = [
    ['a pod that gets no container', [pod(creating)], LATER, 'now'],
    ['a pod that just came to its node', [pod(creating)], LATER - 10_000, 'later'],
    ['a pod without a node', [pod(creating, { startTime: undefined })], LATER, 'never'],
    ['a pod that pulls its image in vain', [pod(waiting('ImagePullBackOff'))], LATER, 'never'],
    ['a pod that runs', [pod({ state: { running: {} } }, { phase: 'Running' })], LATER, 'never'],
    ['a pod that goes away', [pod(creating, {}, true)], LATER, 'never'],
    [
      'a pod whose init container waits for volumes',
      [
        pod(waiting('PodInitializing'), {
          initContainerStatuses: [{ name: 'i', ...waiting('ContainerCreating') }],
        }),
      ],
      LATER,
      'now',
    ],
  ];
  for (const [what, pods, now, expected] of rows) {
    it(`${what}: ${expected}`, () => {
      const stuck = stuckPod(pods, now);
      assert.equal(stuck ? (stuck.inMs > 0 ? 'later' : 'now') : 'never', expected);
    });
  }

  it('the one that waits longest', () => {
    const newer = pod(creating, { startTime: '2026-01-01T00:00:10Z' });
    const older = { ...pod(creating), metadata: { ...newer.metadata, name: 'older' } };
    assert.equal(stuckPod([newer, older], LATER)?.object.metadata.name, 'older');
  });
});
