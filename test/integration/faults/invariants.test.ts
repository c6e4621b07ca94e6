/** Each invariant on a history that breaks it, so that a silent one is known to be able to speak. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { IN_USE_FINALIZER, LABEL } from '../../../operator/api/names.ts';
import type { KubeObject, ObjectMeta } from '../../../operator/runtime/object.ts';
import { DIGEST_A, DIGEST_B } from '../environment.ts';
import { violations } from './invariants.ts';
import type { Sighting } from './witness.ts';

const MADE = Date.parse('2026-01-01T00:00:00Z');
/** Long enough after MADE for everybody to know. */
const LATER = MADE + 60_000;

const see = (kind: string, metadata: Partial<ObjectMeta>, rest: object = {}, gone = false): Sighting => {
  const creationTimestamp = new Date(MADE).toISOString();
  const object = { metadata: { name: 'x', uid: `${kind}-1`, creationTimestamp, ...metadata }, ...rest };
  return { kind, object: object as KubeObject, gone, at: LATER };
};
const owner = see('ModelDeployment', { name: 'd', uid: 'owner' }, { spec: { models: [{ name: 'm' }] } });
const ownerReferences = [
  { apiVersion: 'v1', kind: 'ModelDeployment', name: 'd', uid: 'owner', controller: true },
];
const child = (kind: string, metadata: Partial<ObjectMeta> = {}, rest: object = {}) =>
  see(kind, { ownerReferences, ...metadata }, rest);
const model = (metadata: Partial<ObjectMeta>, rest: object = { spec: {} }, gone = false) =>
  see('DeepfakeModel', { name: 'm', ...metadata }, rest, gone);
const ready = { type: 'Ready', status: 'True' };
const verified = see(
  'Pod',
  {},
  {
    status: {
      containerStatuses: [
        { state: { terminated: { exitCode: 0, message: JSON.stringify({ digest: DIGEST_A }) } } },
      ],
    },
  },
);

const track = { [LABEL.modelDeployment]: 'd', [LABEL.track]: 'stable' };
const revision = (name: string, availableReplicas: number) =>
  child(
    'Deployment',
    { name, uid: name, labels: { [LABEL.modelDeployment]: 'd', [LABEL.revision]: name } },
    {
      spec: { template: { metadata: { labels: { [LABEL.revision]: name } } } },
      status: { availableReplicas },
    },
  );
const selecting = (name: string, labels = {}) =>
  child('Service', { labels }, { spec: { selector: { [LABEL.revision]: name } } });
const fetching = { [LABEL.model]: 'm', [LABEL.fetch]: 'id' };
const isUsed = { finalizers: [IN_USE_FINALIZER] };

const BROKEN: readonly (readonly [string, readonly Sighting[], RegExp])[] = [
  [
    'a child made again',
    [owner, child('Job'), child('Job', { uid: 'other' })],
    /^madeOnce: Job x was made 2 times$/,
  ],
  [
    'two Deployments for one track',
    [
      owner,
      child('Deployment', { labels: track }),
      child('Deployment', { name: 'y', uid: 'y', labels: track }),
    ],
    /^neverTwo: two at once: Deployment of d stable$/,
  ],
  [
    'two running Jobs of one fetch',
    [owner, child('Job', { labels: fetching }), child('Job', { name: 'y', uid: 'y', labels: fetching })],
    /^neverTwo: two at once: Job of m id$/,
  ],
  ['a child of nobody', [see('Service', {})], /^owned: Service x belongs to nobody$/],
  [
    'another key',
    [owner, child('Secret', {}, { data: { k: 'a' } }), child('Secret', {}, { data: { k: 'b' } })],
    /^keyKept: Secret x was replaced$/,
  ],
  [
    'a model let go while it is used',
    [owner, model(isUsed), model({})],
    /^held: .* m was let go while d uses it$/,
  ],
  ['a model gone while it is used', [owner, model(isUsed), model(isUsed, {}, true)], /^held: /],
  [
    'a digest shown before it was verified',
    [model({}, { spec: {}, status: { digest: DIGEST_A } }), verified],
    /^verifiedFirst: DeepfakeModel m shows sha256:a+, never verified$/,
  ],
  [
    'Ready without a digest',
    [model({}, { spec: {}, status: { conditions: [ready] } })],
    /^verifiedFirst: DeepfakeModel m is Ready without a digest$/,
  ],
  [
    'Ready with another digest than the spec has',
    [
      verified,
      model(
        { generation: 2 },
        {
          spec: { digest: DIGEST_B },
          status: { observedGeneration: 2, digest: DIGEST_A, conditions: [ready] },
        },
      ),
    ],
    /^verifiedFirst: DeepfakeModel m is Ready with sha256:a+ instead of sha256:b+$/,
  ],
  [
    'a deployment that is Ready with what was never verified',
    [
      see(
        'ModelDeployment',
        {},
        { spec: { models: [] }, status: { models: [{ digest: DIGEST_B }], conditions: [ready] } },
      ),
    ],
    /^verifiedFirst: ModelDeployment x is Ready with sha256:b+, never verified$/,
  ],
  [
    'clients sent to a revision without pods while another has some',
    [owner, revision('r1', 1), revision('r2', 0), selecting('r2')],
    /^sentToReadyPods: Service x selects r2, of which no pod is available$/,
  ],
  [
    'attempts that fall',
    [2, 1].map((attempts) => model({}, { spec: {}, status: { fetch: { id: 'id', attempts } } })),
    /^attemptsGrow: DeepfakeModel m: attempt 2, then 1$/,
  ],
];

describe('what breaks an invariant is named', () => {
  for (const [name, history, expected] of BROKEN) {
    it(name, () => {
      const found = violations(history);
      assert.equal(found.length, 1, found.join('; '));
      assert.match(found[0] ?? '', expected);
    });
  }
});

it('clients of the first revision, and the service of a canary, may wait for pods', () => {
  assert.deepEqual(violations([owner, revision('r1', 0), selecting('r1')]), []);
  const canary = selecting('r2', { [LABEL.track]: 'canary' });
  assert.deepEqual(violations([owner, revision('r1', 1), revision('r2', 0), canary]), []);
});

it('a life without faults breaks none', () => {
  const held = {
    spec: {},
    status: { digest: DIGEST_A, fetch: { id: 'id', attempts: 1 }, conditions: [ready] },
  };
  const history = [
    owner,
    child('Deployment', { labels: track }),
    child('Job', { labels: fetching }),
    verified,
    model(isUsed, held),
    { ...owner, gone: true },
    model({}, held),
    model({}, held, true),
  ];
  assert.deepEqual(violations(history), []);
});
