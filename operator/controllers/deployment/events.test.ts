import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ModelDeploymentStatus } from '../../api/model-deployment.ts';
import { newsOf } from './events.ts';

const condition = (type: string, status: 'True' | 'False', reason: string) => ({
  type,
  status,
  reason,
  message: `${reason} told`,
  lastTransitionTime: 'T',
});
const degraded = { conditions: [condition('Degraded', 'True', 'OOMKilled')] };
const unmonitored = { conditions: [condition('MonitoringActive', 'False', 'KindNotInstalled')] };
const revision = {
  currentRevision: 'r',
  models: [{ name: 'm', version: '1.0.0', digest: `sha256:${'a'.repeat(64)}` }],
};

describe('news', () => {
  const rows: [string, ModelDeploymentStatus | undefined, ModelDeploymentStatus, string[]][] = [
    ['of nothing new', degraded, degraded, []],
    ['of a problem', {}, degraded, ['Warning OOMKilled: OOMKilled told']],
    [
      'of another problem',
      { conditions: [condition('Degraded', 'True', 'Evicted')] },
      degraded,
      ['Warning OOMKilled: OOMKilled told'],
    ],
    [
      'of a problem that is over',
      degraded,
      { conditions: [condition('Degraded', 'False', 'AsExpected')] },
      [],
    ],
    ['of monitoring that is not there', {}, unmonitored, ['Warning KindNotInstalled: KindNotInstalled told']],
    [
      'of a key that had to be made again',
      { authSecret: { name: 's', key: 'k' } },
      { authSecret: { name: 's', key: 'k', renewedAt: 'T' } },
      ['Warning ApiKeyRenewed: Secret s was gone: it has a new key, with which all pods are started again'],
    ],
    ['of a revision', undefined, revision, ['Normal RevisionCreated: revision r: m@1.0.0']],
    [
      'of a revision that serves in full',
      revision,
      { ...revision, stableRevision: 'r', message: '2 of 2' },
      ['Normal RevisionAvailable: 2 of 2'],
    ],
  ];
  for (const [what, before, now, expected] of rows) {
    it(what, () => {
      const told = newsOf(before, now).map(({ type, reason, note }) => `${type} ${reason}: ${note}`);
      assert.deepEqual(told, expected);
    });
  }
});
