import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { plain } from '../text.ts';
import { ABORTED, ago, canary, HEALTHY, NOW, pod, rollout, workload } from './builders.ts';
import { historyOf, renderHistory } from './history.ts';
import { renderRollout } from './render.ts';
import { type Observed, viewOf } from './view.ts';

const DRAWING = { now: NOW, paint: plain };
const page = (observed: Partial<Observed>, wide = false) =>
  renderRollout(viewOf({ deployment: rollout(), deployments: [], pods: [], ...observed }), DRAWING, wide);

const measured = (value: string, phase = 'Successful', message?: string) => ({
  phase,
  startedAt: ago(40),
  finishedAt: ago(30),
  value,
  message,
});
const ANALYSES = [
  {
    id: 'background',
    revision: 'r3',
    phase: 'Running',
    startedAt: ago(500),
    metrics: [
      {
        name: 'errors',
        phase: 'Running',
        count: 5,
        successful: 4,
        failed: 1,
        measurements: [measured('0.002')],
      },
      {
        name: 'drift',
        phase: 'Running',
        count: 2,
        inconclusive: 2,
        error: 1,
        message: '31 of 200 scores',
        measurements: [measured('{"psi":0.04}', 'Inconclusive', '31 of 200 scores')],
      },
    ],
  },
  {
    id: 'step-0',
    revision: 'r3',
    step: 0,
    phase: 'Failed',
    message: 'metric probes failed',
    startedAt: ago(590),
    finishedAt: ago(510),
    metrics: [
      {
        name: 'probes',
        phase: 'Failed',
        count: 1,
        failed: 1,
        message: 'AUC 0.71 is below 0.9',
        measurements: [
          { ...measured('{"auc":0.71}', 'Failed', 'AUC 0.71 is below 0.9'), job: 'faces-probe-1' },
        ],
      },
    ],
  },
];
const PODS = [
  pod('r3', 'x1', { ready: false, restartCount: 2, state: { waiting: { reason: 'CrashLoopBackOff' } } }),
  pod('r2', 'y1'),
  pod('r2', 'y2'),
];
const DEPLOYMENTS = [workload('r1', 0, 0, 90_000), workload('r2', 2, 2, 7_200), workload('r3', 1, 0)];

describe('the page of a rollout', () => {
  it('that waits shows the step, the weights, both revisions and every analysis', () => {
    const weights = { stable: 75, canary: 25, achieved: 33.333, verified: false };
    const deployment = rollout({ canary: { weights, analysis: ANALYSES } });
    assert.equal(
      page({ deployment, deployments: DEPLOYMENTS, pods: PODS }),
      `Name:        faces
Namespace:   prod
Status:      ‖ Paused
Message:     waits for a person at step 2 of 4
Strategy:    canary, split by replicas
Step:        2/4 (pause until promoted)
Weight:      canary 25 %, actual 33.3 %, not yet taken over
Current:     r3 (cnn 0.3.0)
Stable:      r2 (cnn 0.2.0)
Paused:      CanaryPauseStep since 5m
Pods:        4, of them 4 ready

NAME                   KIND              STATUS               AGE   INFO
faces                  ModelDeployment   ‖ Paused             3d
├─ revision r3                                                10m   current, cnn 0.3.0
│  └─ faces-r3         Deployment        ◌ 0/1 ready          10m
│     └─ faces-r3-x1   Pod               ✖ CrashLoopBackOff   5m    not ready, 2 restarts, on node-1
└─ revision r2                                                2h    stable, cnn 0.2.0
   └─ faces-r2         Deployment        ✔ 2/2 ready          2h
      ├─ faces-r2-y1   Pod               ✔ Running            5m    ready, on node-1
      └─ faces-r2-y2   Pod               ✔ Running            5m    ready, on node-1

ANALYSES
NAME         PHASE       AGE   COUNTS                          LAST           INFO
background   ◌ Running   8m                                                   of revision r3
├─ errors    ◌ Running   30s   5: 4 successful, 1 failed       0.002
└─ drift     ◌ Running   30s   3: 2 inconclusive, 1 in error   {"psi":0.04}   31 of 200 scores
step-0       ✖ Failed    9m                                                   of revision r3, ended 8m ago, metric probes failed
└─ probes    ✖ Failed    30s   1: 1 failed                     {"auc":0.71}   AUC 0.71 is below 0.9`,
    );
  });

  it('that was aborted says when and why, and how it ended', () => {
    const completion = { status: 'Aborted', revision: 'r3', at: ago(60) };
    const scaleDownAt = new Date(NOW + 25_000).toISOString();
    const deployment = rollout({
      ...ABORTED,
      abortReason: 'metric errors failed',
      completion,
      canary: { scaleDownAt, weights: { stable: 100, canary: 0, achieved: 0, verified: true } },
    });
    assert.equal(
      page({ deployment }).split('\n\n')[0],
      `Name:         faces
Namespace:    prod
Status:       ✖ Degraded
Message:      aborted: metric errors failed
Strategy:     canary, split by replicas
Step:         1/4 (set weight to 25 %)
Weight:       canary 0 %, actual 0 %
Current:      r3 (cnn 0.3.0)
Stable:       r2 (cnn 0.2.0)
Aborted:      60s ago, metric errors failed
Last end:     Aborted, revision r3, 60s ago
Scale down:   of the revision that was left, in 25s
Pods:         4, of them 4 ready`,
    );
  });

  it('that is over has no step, no weight and one revision; an undo is told', () => {
    const completion = { status: 'Promoted', revision: 'r3', at: ago(7_300) };
    const weights = { stable: 100, canary: 0, achieved: 20, verified: true };
    const deployment = rollout(
      { ...HEALTHY, canary: { weights }, completion },
      { ...canary(), rollbackTo: 'r3' },
    );
    assert.equal(
      page({ deployment, deployments: [workload('r3', 1, 1)], pods: [pod('r3', 'x1')] }),
      `Name:        faces
Namespace:   prod
Status:      ✔ Healthy
Message:     4 of 4 pods serve revision r3
Strategy:    canary, split by replicas
Current:     r3 (cnn 0.3.0)
Undo:        held at revision r3 until undo --cancel
Last end:    Promoted, revision r3, 2h ago
Pods:        4, of them 4 ready

NAME                   KIND              STATUS        AGE   INFO
faces                  ModelDeployment   ✔ Healthy     3d
└─ revision r3                                         10m   current and stable, cnn 0.3.0
   └─ faces-r3         Deployment        ✔ 1/1 ready   10m
      └─ faces-r3-x1   Pod               ✔ Running     5m    ready, on node-1`,
    );
  });

  it('of a strategy without steps is the pods of both revisions', () => {
    const deployment = rollout(
      { phase: 'Progressing', currentStepIndex: undefined, pauseConditions: undefined, canary: undefined },
      {},
    );
    const text = page({ deployment, pods: [pod('r3', 'x1'), pod('r2', 'y1')] });
    assert.match(text, /^Strategy: +rollingUpdate$/m);
    assert.doesNotMatch(text, /Step:|Weight:|undefined/);
    assert.match(text, /├─ revision r3 .*\n│ {2}└─ faces-r3-x1 +Pod /);
  });

  it('before the operator has seen it shows what there is', () => {
    const text = page({ deployment: { ...rollout(), status: undefined } as never });
    assert.match(text, /^Message: +the operator has not seen it yet$/m);
    assert.doesNotMatch(text, /undefined|ANALYSES/);
  });

  it('shows whole digests and the last measurements where more is wanted', () => {
    const deployment = rollout({ canary: { analysis: ANALYSES } });
    const text = page({ deployment }, true);
    assert.match(text, /revision r3 .* cnn 0\.3\.0 sha256:c{64}$/m);
    assert.match(
      text,
      /└─ measurement +✖ Failed +40s +\{"auc":0\.71\} +Job faces-probe-1, AUC 0\.71 is below 0\.9$/m,
    );
  });

  it('keeps what pods and metrics say on one line, without control characters', () => {
    const [run] = ANALYSES;
    const analysis = [{ ...run, message: 'a\nb\u001b]0;x\u0007' }];
    assert.match(
      page({ deployment: rollout({ canary: { analysis } }) }),
      /of revision r3, a b\ufffd\]0;x\ufffd$/m,
    );
  });
});

describe('the history', () => {
  it('has a line for each kept revision with what it serves and what it is', () => {
    assert.equal(
      renderHistory(historyOf(rollout()), DRAWING),
      `REVISION   ROLE                MODELS      DIGESTS               READY   AGE
r3         current             cnn 0.3.0   sha256:cccccccccccc   1/1     10m
r2         stable, last good   cnn 0.2.0   sha256:bbbbbbbbbbbb   3/3     2h
r1         -                   cnn 0.1.0   sha256:aaaaaaaaaaaa   0/0     25h`,
    );
  });

  it('tells a revision that failed and one that is held, and whole digests where more is wanted', () => {
    const completion = { status: 'Aborted', revision: 'r3', at: ago(60) };
    const held = rollout({ completion }, { ...canary(), rollbackTo: 'r2' });
    const text = renderHistory(historyOf(held), DRAWING, true);
    assert.match(text, /^r3 +current, failed +cnn 0\.3\.0 +sha256:c{64} /m);
    assert.match(text, /^r2 +stable, last good, held /m);
  });
});
