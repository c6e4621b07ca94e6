import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { aModelDeployment, aPod, DIGEST, served } from '../builders.ts';
import type { Deployment, Pod } from '../kinds.ts';
import { MODELS_ANNOTATION, modelsAnnotation, packagesIn } from './revision.ts';
import { keptRevisions, observeRevision, podsOf, revisionsStatus } from './revisions.ts';

const owner = aModelDeployment();
const NOW = Date.parse('2026-01-01T01:00:00Z');

const deployment = (
  name: string,
  revision: string,
  changes: { replicas?: number; status?: object; metadata?: object; owner?: string } = {},
): Deployment =>
  ({
    metadata: {
      name,
      generation: 2,
      creationTimestamp: '2026-01-01T00:00:00Z',
      ownerReferences: [{ uid: changes.owner ?? 'uid-d', controller: true }],
      ...changes.metadata,
    },
    spec: {
      replicas: changes.replicas ?? 1,
      progressDeadlineSeconds: 600,
      template: { metadata: { labels: { 'deepfake-operator.io/revision': revision } } },
    },
    status: changes.status ?? {},
  }) as unknown as Deployment;

describe('the Deployment of a revision', () => {
  const rows: [what: string, deployments: Deployment[], serving: string | undefined, surplus: string[]][] = [
    ['is its own', [deployment('d-r1', 'r1')], 'd-r1', []],
    ['is that of a rolling update which left it', [deployment('d-stable', 'r1')], 'd-stable', []],
    [
      'is its own where both have pods',
      [deployment('d-stable', 'r1'), deployment('d-r1', 'r1')],
      'd-r1',
      ['d-stable'],
    ],
    [
      'is the one that has pods',
      [deployment('d-r1', 'r1', { replicas: 0 }), deployment('d-stable', 'r1')],
      'd-stable',
      ['d-r1'],
    ],
    ['is not that of somebody else', [deployment('d-r1', 'r1', { owner: 'other' })], undefined, []],
    [
      'is not one that goes',
      [deployment('d-r1', 'r1', { metadata: { deletionTimestamp: 'now' } })],
      undefined,
      [],
    ],
  ];
  for (const [what, deployments, serving, surplus] of rows) {
    it(what, () => {
      const kept = keptRevisions(owner, deployments);
      assert.equal(kept.byRevision.get('r1')?.metadata.name, serving);
      assert.deepEqual(
        kept.surplus.map(({ metadata }) => metadata.name),
        surplus,
      );
    });
  }
});

describe('a revision is observed', () => {
  const problem = { reason: 'CrashLoopBackOff', message: 'm' };
  const unready = (since: string) =>
    aPod({}, { conditions: [{ type: 'Ready', status: 'False', lastTransitionTime: since }] });
  const stuck = {
    conditions: [{ type: 'Progressing', status: 'False', reason: 'ProgressDeadlineExceeded' }],
  };
  const observe = (live: Deployment, pods: readonly Pod[] = [], told?: typeof problem) =>
    observeRevision('r1', live, pods, NOW, told);

  it('by the counts of its Deployment, once these are about what is asked for', () => {
    const counts = { replicas: 3, readyReplicas: 2, availableReplicas: 1 };
    const seen = observe(
      deployment('d-r1', 'r1', { replicas: 4, status: { observedGeneration: 2, ...counts } }),
    );
    assert.deepEqual(
      [seen.desired, seen.replicas, seen.ready, seen.available, seen.observed],
      [4, 3, 2, 1, true],
    );
    assert.equal(observe(deployment('d-r1', 'r1', { status: { observedGeneration: 1 } })).observed, false);
  });

  const rows: [
    what: string,
    status: object,
    pods: Pod[],
    told: boolean,
    exceeded: boolean,
    inMs: number | undefined,
  ][] = [
    ['at peace', {}, [unready('2026-01-01T00:00:00Z')], false, false, undefined],
    ['as its Deployment says that the deadline is over', stuck, [], false, true, undefined],
    ['in trouble for less than the deadline', {}, [unready('2026-01-01T00:59:00Z')], true, false, 540_000],
    ['in trouble for the deadline', {}, [unready('2026-01-01T00:50:00Z')], true, true, undefined],
    [
      'by the pod that has waited for longest',
      {},
      [unready('2026-01-01T00:59:00Z'), unready('2026-01-01T00:49:00Z')],
      true,
      true,
      undefined,
    ],
  ];
  for (const [what, status, pods, told, exceeded, inMs] of rows) {
    it(what, () => {
      const seen = observe(deployment('d-r1', 'r1', { status }), pods, told ? problem : undefined);
      assert.deepEqual([seen.deadlineExceeded, seen.deadlineInMs], [exceeded, inMs]);
    });
  }

  it('with what its ReplicaSet could not make', () => {
    const status = {
      conditions: [
        { type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message: 'exceeded quota: q' },
      ],
    };
    assert.equal(observe(deployment('d-r1', 'r1', { status })).problem?.reason, 'QuotaExceeded');
  });
});

it('pods are of the revision that they are labelled with', () => {
  const pod = (revision: string) =>
    ({
      metadata: { name: revision, labels: { 'deepfake-operator.io/revision': revision } },
    }) as unknown as Pod;
  assert.deepEqual(podsOf('b', [pod('a'), pod('b')]), [pod('b')]);
});

describe('the packages of a revision', () => {
  const annotated = (text: string) =>
    deployment('d-r1', 'r1', { metadata: { annotations: { [MODELS_ANNOTATION]: text } } });
  it('are read as they were written', () => {
    const { [MODELS_ANNOTATION]: text } = modelsAnnotation([served('a'), served('b')]);
    assert.deepEqual(packagesIn(annotated(text)), [
      { name: 'a', version: '0.1.0', digest: DIGEST },
      { name: 'b', version: '0.1.0', digest: DIGEST },
    ]);
  });
  for (const text of ['', 'no json', '{}', '[{"name":1}]']) {
    it(`are not known from ${text || 'nothing'}`, () => assert.equal(packagesIn(annotated(text)), undefined));
  }
});

it('status lists the revisions that are kept, the newest first', () => {
  const at = (creationTimestamp: string) => ({
    metadata: { creationTimestamp, ownerReferences: [{ uid: 'uid-d', controller: true }] },
  });
  const kept = keptRevisions(owner, [
    deployment('d-r1', 'r1', { ...at('2026-01-01T00:00:00Z'), replicas: 0 }),
    deployment('d-r2', 'r2', { ...at('2026-01-02T00:00:00Z'), status: { replicas: 3, readyReplicas: 2 } }),
  ]);
  // The builder's names are those of objects alone.
  assert.deepEqual(
    revisionsStatus(kept, undefined, 'r2', 0).map(({ revision, replicas, ready, promotedAt }) => [
      revision,
      replicas,
      ready,
      promotedAt,
    ]),
    [
      ['r2', 3, 2, '1970-01-01T00:00:00Z'],
      ['r1', 0, 0, undefined],
    ],
  );
});
