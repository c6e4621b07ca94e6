import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LABEL } from '../../api/names.ts';
import type { DeepfakeModel, ModelDeployment, Pod, ReplicaSet } from '../../controllers/kinds.ts';
import type { Event } from '../kinds.ts';
import { coloured, plain } from '../text.ts';
import { renderList, renderTree } from './render.ts';
import { buildTree, type Observed, phaseOf } from './tree.ts';

const NOW = Date.parse('2026-03-04T12:00:00Z');
const DRAWING = { now: NOW, paint: plain };
const before = (seconds: number) => new Date(NOW - seconds * 1000).toISOString();
const DIGEST = `sha256:${'a'.repeat(64)}`;

const conditionOf = (type: string, status: string, reason: string, message: string) => ({
  type,
  status,
  reason,
  message,
  lastTransitionTime: before(600),
});

function deployment(status: object = {}, spec: object = {}): ModelDeployment {
  return {
    metadata: { name: 'faces', namespace: 'prod', generation: 2, creationTimestamp: before(3 * 86_400) },
    spec: { models: [{ name: 'cnn' }], device: 'cpu', ...spec },
    status: {
      observedGeneration: 2,
      phase: 'Healthy',
      message: '1 of 1 pods serve revision r2',
      replicas: 1,
      updatedReplicas: 1,
      readyReplicas: 1,
      availableReplicas: 1,
      currentRevision: 'r2',
      stableRevision: 'r2',
      models: [{ name: 'cnn', version: '0.1.0', digest: DIGEST }],
      endpoint: 'http://faces.prod.svc',
      authSecret: { name: 'faces-api-key', key: 'api-key' },
      conditions: [
        conditionOf('Available', 'True', 'PodsAvailable', '1 of 1 pods are available'),
        conditionOf('Degraded', 'False', 'AsExpected', 'nothing is wrong'),
      ],
      ...status,
    },
  } as unknown as ModelDeployment;
}

function model(status: object = {}): DeepfakeModel {
  return {
    metadata: { name: 'cnn', namespace: 'prod', creationTimestamp: before(3 * 86_400) },
    spec: { source: { builtin: { name: 'cnn' } } },
    status: {
      phase: 'Ready',
      message: 'verified',
      digest: DIGEST,
      sizeBytes: 1_234_567,
      card: { name: 'cnn', version: '0.1.0', modality: 'image', status: 'demonstration' },
      ...status,
    },
  } as unknown as DeepfakeModel;
}

const labels = (revision: string, track: string) => ({
  [LABEL.modelDeployment]: 'faces',
  [LABEL.track]: track,
  [LABEL.revision]: revision,
});

function replicaSet(revision: string, wanted: number, ready: number, ageSeconds = 600, track = 'stable') {
  const name = `faces-${track}-${revision}`;
  return {
    metadata: { name, labels: labels(revision, track), creationTimestamp: before(ageSeconds) },
    spec: { replicas: wanted },
    status: { readyReplicas: ready },
  } as unknown as ReplicaSet;
}

interface PodGiven {
  readonly ready?: boolean;
  readonly container?: object;
  readonly status?: object;
  readonly deleting?: boolean;
}

function pod(
  set: ReplicaSet,
  suffix: string,
  { ready = true, container = {}, status = {}, deleting }: PodGiven = {},
) {
  const owner = {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    name: set.metadata.name,
    uid: 'u',
    controller: true,
  };
  return {
    metadata: {
      name: `${set.metadata.name}-${suffix}`,
      labels: set.metadata.labels,
      ownerReferences: [owner],
      creationTimestamp: before(300),
      ...(deleting ? { deletionTimestamp: before(5) } : {}),
    },
    spec: { nodeName: 'node-1', containers: [{ name: 'inference' }] },
    status: {
      phase: 'Running',
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
      containerStatuses: [
        { name: 'inference', ready, restartCount: 0, state: { running: {} }, ...container },
      ],
      ...status,
    },
  } as unknown as Pod;
}

function event(kind: string, name: string, seconds: number, changes: object = {}): Event {
  return {
    metadata: { name: `${name}.${seconds}` },
    involvedObject: { kind, name },
    type: 'Normal',
    reason: 'Happened',
    message: `to ${name}`,
    lastTimestamp: before(seconds),
    ...changes,
  } as unknown as Event;
}

const observed = (changes: Partial<Observed> = {}): Observed => ({
  deployment: deployment(),
  models: [model()],
  replicaSets: [],
  pods: [],
  events: [],
  ...changes,
});

/** Only the tree of a page. */
const treeOf = (changes: Partial<Observed>) =>
  renderTree(buildTree(observed(changes)), DRAWING).split('\n\n')[1];

describe('the page of a deployment', () => {
  it('says everything about one that serves', () => {
    const set = replicaSet('r2', 1, 1);
    const page = renderTree(
      buildTree(
        observed({
          replicaSets: [set],
          pods: [pod(set, 'x1')],
          events: [
            event('Pod', 'faces-stable-r2-x1', 60, { type: 'Warning', reason: 'Unhealthy', count: 3 }),
            event('ModelDeployment', 'faces', 300, { reason: 'RolledOut' }),
            event('ModelDeployment', 'voices', 10),
          ],
        }),
      ),
      DRAWING,
    );
    assert.equal(
      page,
      `Name:        faces
Namespace:   prod
Status:      ✔ Healthy
Message:     1 of 1 pods serve revision r2
Device:      cpu
Revision:    r2
Pods:        1, of them 1 up to date, 1 ready, 1 available
Endpoint:    http://faces.prod.svc
API key:     key api-key of Secret faces-api-key

NAME                          KIND              STATUS        AGE   INFO
faces                         ModelDeployment   ✔ Healthy     3d
├─ models
│  └─ cnn                     DeepfakeModel     ✔ Ready       3d    0.1.0, image, 1.2 MB, sha256:aaaaaaaaaaaa, demonstration
└─ track stable
   └─ revision r2             ReplicaSet        ✔ 1/1 ready   10m   current and stable, faces-stable-r2
      └─ faces-stable-r2-x1   Pod               ✔ Running     5m    ready, on node-1

CONDITIONS
Available   True    PodsAvailable   10m   1 of 1 pods are available
Degraded    False   AsExpected      10m   nothing is wrong

EVENTS
Normal    RolledOut   5m         ModelDeployment/faces    to faces
Warning   Unhealthy   60s (x3)   Pod/faces-stable-r2-x1   to faces-stable-r2-x1`,
    );
  });

  it('of a rollout shows both revisions, the newest first, and leaves history without pods out', () => {
    const [old, current, history] = [
      replicaSet('r1', 1, 1, 9_000),
      replicaSet('r2', 1, 0, 30),
      replicaSet('r0', 0, 0, 99_999),
    ];
    const deploying = deployment({ phase: 'Progressing', stableRevision: 'r1' });
    const waiting = { ready: false, container: { state: { waiting: { reason: 'ContainerCreating' } } } };
    const tree = treeOf({
      deployment: deploying,
      replicaSets: [history, old, current],
      pods: [pod(old, 'x1', { deleting: true }), pod(current, 'y1', waiting)],
    });
    assert.equal(
      tree,
      `NAME                          KIND              STATUS                AGE   INFO
faces                         ModelDeployment   ◌ Progressing         3d
├─ models
│  └─ cnn                     DeepfakeModel     ✔ Ready               3d    0.1.0, image, 1.2 MB, sha256:aaaaaaaaaaaa, demonstration
└─ track stable
   ├─ revision r2             ReplicaSet        ◌ 0/1 ready           30s   current, faces-stable-r2
   │  └─ faces-stable-r2-y1   Pod               ◌ ContainerCreating   5m    not ready, on node-1
   └─ revision r1             ReplicaSet        ✔ 1/1 ready           2h    stable, faces-stable-r1
      └─ faces-stable-r1-x1   Pod               ◌ Terminating         5m    ready, on node-1`,
    );
  });

  it('shows a further track after the stable one', () => {
    const sets = [replicaSet('r2', 1, 1, 30, 'canary'), replicaSet('r1', 1, 1)];
    const tree = buildTree(observed({ replicaSets: sets }));
    assert.deepEqual(
      tree.tracks.map(({ name }) => name),
      ['stable', 'canary'],
    );
  });

  it('shows revisions that have Deployments of their own without a track', () => {
    const { metadata, ...set } = replicaSet('r2', 1, 1);
    const { [LABEL.track]: _, ...trackless } = metadata.labels ?? {};
    const own = { ...set, metadata: { ...metadata, name: 'faces-r2-5c9', labels: trackless } } as ReplicaSet;
    const lines = treeOf({ replicaSets: [own] })?.split('\n');
    assert.match(lines?.at(-2) ?? '', /^└─ revisions$/);
    assert.match(lines?.at(-1) ?? '', /^ {3}└─ revision r2 .*current and stable, faces-r2-5c9$/);
  });

  it('says what is wrong with a pod, in the words of kubelet', () => {
    const set = replicaSet('r2', 1, 0);
    const crashed = {
      ready: false,
      container: {
        restartCount: 4,
        state: { waiting: { reason: 'CrashLoopBackOff' } },
        lastState: { terminated: { exitCode: 3, message: 'out of\nwords' } },
      },
    };
    const line = treeOf({ replicaSets: [set], pods: [pod(set, 'x1', crashed)] })
      ?.split('\n')
      .at(-1);
    assert.equal(
      line,
      '      └─ faces-stable-r2-x1   Pod               ✖ CrashLoopBackOff   5m    not ready, 4 restarts, on node-1, CrashLoopBackOff: exit code 3: out of words',
    );
  });

  it('a pod that runs without being ready is not marked as good', () => {
    const set = replicaSet('r2', 1, 0);
    const line = treeOf({ replicaSets: [set], pods: [pod(set, 'x1', { ready: false })] })
      ?.split('\n')
      .at(-1);
    assert.match(line ?? '', /Pod +◌ Running +5m +not ready, on node-1$/);
  });

  const models: readonly [string, DeepfakeModel[], RegExp][] = [
    [
      'the progress of a fetch, in the words of the model',
      [
        model({
          phase: 'Fetching',
          message: '43 % (42 KiB of 98 KiB)',
          digest: undefined,
          sizeBytes: undefined,
          card: undefined,
          fetch: { phase: 'Running', receivedBytes: 43_900, totalBytes: 100_000 },
        }),
      ],
      /cnn +DeepfakeModel +◌ Fetching +3d +pods serve sha256:a{12}, 43 % \(42 KiB of 98 KiB\)$/,
    ],
    [
      'why a fetch failed',
      [model({ phase: 'Failed', message: 'DigestMismatch: wanted a' })],
      /✖ Failed .*, DigestMismatch: wanted a$/,
    ],
    [
      'a package that pods do not serve yet',
      [model({ digest: `sha256:${'b'.repeat(64)}` })],
      /sha256:b{12}, pods serve sha256:a{12}, demonstration$/,
    ],
    [
      'a model that is not there',
      [],
      /cnn +DeepfakeModel +✖ Missing +- +pods serve \S+, there is no DeepfakeModel of this name in the namespace$/,
    ],
  ];
  for (const [name, found, expected] of models) {
    it(`shows ${name}`, () => assert.match(treeOf({ models: found })?.split('\n')[3] ?? '', expected));
  }

  it('before the operator has seen it shows what there is', () => {
    const unseen = { ...deployment(), status: undefined } as unknown as ModelDeployment;
    const page = renderTree(buildTree(observed({ deployment: unseen, models: [] })), DRAWING);
    assert.match(
      page,
      /^Status: +◌ Progressing\nMessage: +the operator has not seen it yet\nDevice: +cpu\n\nNAME/m,
    );
    assert.doesNotMatch(page, /CONDITIONS|EVENTS|undefined/);
  });

  it('shows the ten latest events', () => {
    const events = Array.from({ length: 12 }, (_, at) => event('DeepfakeModel', 'cnn', at + 1));
    const shown = buildTree(observed({ events })).events;
    assert.equal(shown.length, 10);
    assert.equal(shown.at(-1)?.at, before(1));
  });

  it('is coloured where colours are wanted', () => {
    const page = renderTree(buildTree(observed()), { now: NOW, paint: coloured });
    assert.ok(page.includes('\u001b[32m✔ Healthy\u001b[39m'));
  });
});

describe('the phase', () => {
  const cases: readonly [string, object, string][] = [
    ['is what status says', { phase: 'Degraded' }, 'Degraded'],
    [
      'is Progressing while status is about an earlier spec',
      { phase: 'Healthy', observedGeneration: 1 },
      'Progressing',
    ],
    ['is Progressing before there is one', { phase: undefined }, 'Progressing'],
  ];
  for (const [name, status, expected] of cases) {
    it(name, () => assert.equal(phaseOf(deployment(status)), expected));
  }
});

it('a list has a line for each deployment, and the namespace where there are many', () => {
  const trees = [buildTree(observed())];
  assert.equal(
    renderList(trees, false, DRAWING),
    `NAME    STATUS      READY   UP-TO-DATE   MODELS   DEVICE   AGE   MESSAGE
faces   ✔ Healthy   1/1     1            cnn      cpu      3d    1 of 1 pods serve revision r2`,
  );
  assert.match(renderList(trees, true, DRAWING), /^NAMESPACE +NAME .*\nprod +faces /);
});
