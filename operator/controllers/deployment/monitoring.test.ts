import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { aModelDeployment } from '../builders.ts';
import { desiredPodMonitor, type MonitoringObservation, monitoringCondition } from './monitoring.ts';

const build = (monitoring?: object) => {
  const owner = aModelDeployment(monitoring ? { monitoring } : {});
  return desiredPodMonitor(owner, owner.spec);
};

describe('the PodMonitor', () => {
  it('is absent where nobody asks for it', () => {
    assert.equal(build(), undefined);
    assert.equal(build({}), undefined);
  });

  it('scrapes the pods, with labels by which a Prometheus finds it that leave ours alone', () => {
    const labels = { release: 'prometheus', 'app.kubernetes.io/managed-by': 'me' };
    const monitor = build({ podMonitor: { labels, interval: '10s' } });
    assert.equal(monitor?.metadata.labels?.['release'], 'prometheus');
    assert.equal(monitor?.metadata.labels?.['app.kubernetes.io/managed-by'], 'deepfake-operator');
    const { spec } = monitor as unknown as { spec: { podMetricsEndpoints: object[]; selector: object } };
    assert.deepEqual(spec.podMetricsEndpoints, [{ port: 'http', path: '/metrics', interval: '10s' }]);
    assert.deepEqual(spec.selector, { matchLabels: { 'deepfake-operator.io/model-deployment': 'd' } });
  });
});

describe('MonitoringActive', () => {
  const rows: [string, MonitoringObservation, string][] = [
    ['the cluster lacks the kind', { kind: 'absent', problem: undefined }, 'False KindNotInstalled'],
    ['it may not be listed', { kind: 'unlisted', problem: undefined }, 'Unknown KindNotListed'],
    ['nothing is known of it', { kind: 'unknown', problem: undefined }, 'Unknown KindNotKnown'],
    [
      'it was refused',
      { kind: 'served', problem: { reason: 'ChildRejected', message: 'm' } },
      'False ChildRejected',
    ],
    ['it is there', { kind: 'served', problem: undefined }, 'True PodMonitorApplied'],
  ];
  for (const [what, seen, expected] of rows) {
    it(`${expected} where ${what}`, () => {
      const { status, reason } = monitoringCondition(seen);
      assert.equal(`${status} ${reason}`, expected);
    });
  }
});
