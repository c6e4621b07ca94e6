import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type DeepfakeModelSpec, deepfakeModelSpec } from '../../api/deepfake-model.ts';
import { LABEL } from '../../api/names.ts';
import { aModel, DIGEST } from '../builders.ts';
import type { DeepfakeModel, PersistentVolumeClaim } from '../kinds.ts';
import {
  accessModeOfClaim,
  bytesOf,
  claimOf,
  claimSize,
  desiredClaim,
  isClaimOf,
  type Sharer,
} from './claim-plan.ts';

const http = { source: { http: { url: 'https://h/m.tar.gz' } }, digest: DIGEST };
const pinned = (pvc: object = {}): DeepfakeModelSpec =>
  deepfakeModelSpec.parse({ ...http, storage: { pvc } });
const sharer = (name = 'm', pvc: object = {}, used = false): Sharer => ({
  model: aModel(name, { spec: { ...http, storage: { pvc } } }),
  used,
});
const claim = (metadata: object, spec: object = {}) =>
  ({ metadata: { name: 'c', ...metadata }, spec }) as PersistentVolumeClaim;
const sized = (storage: string) => claim({}, { resources: { requests: { storage } } });

describe('the claim of a model', () => {
  const rows: [string, string, DeepfakeModelSpec, string, boolean][] = [
    [
      'without a digest',
      'm',
      deepfakeModelSpec.parse({ source: { builtin: { name: 'b' } } }),
      'm-weights',
      true,
    ],
    ['with one', 'm', pinned(), 'weights-aaaaaaaaaaaaaaaa-rwo', true],
    ['of any node', 'm', pinned({ accessMode: 'ReadWriteMany' }), 'weights-aaaaaaaaaaaaaaaa-rwx', true],
    ['written once', 'm', pinned({ accessMode: 'ReadOnlyMany' }), 'weights-aaaaaaaaaaaaaaaa-rox', true],
    ['of a class', 'm', pinned({ storageClassName: 'fast' }), 'weights-aaaaaaaaaaaaaaaa-rwo-fast', true],
    ['that the user names', 'm', pinned({ existingClaim: 'mine' }), 'mine', false],
  ];
  for (const [what, model, spec, name, own] of rows) {
    it(`${what} is ${name}`, () => assert.deepEqual(claimOf(model, spec), { name, own }));
  }

  it('is named by the digest, not by the model, in at most 63 characters', () => {
    assert.deepEqual(claimOf('a', pinned()), claimOf('b', pinned()));
    for (const storageClassName of ['s'.repeat(30), 's'.repeat(31), 'a.class']) {
      const { name } = claimOf('m', pinned({ accessMode: 'ReadWriteMany', storageClassName }));
      assert.match(name, /^weights-[-a-z0-9]{1,55}$/);
    }
  });
});

describe('the size of a claim', () => {
  const rows: [string, Sharer[], PersistentVolumeClaim | undefined, string, string | undefined][] = [
    ['is 1Gi where nobody asks', [sharer()], undefined, '1Gi', undefined],
    [
      'is the largest asked',
      [sharer('a', { size: '900Mi' }), sharer('b', { size: '2G' })],
      undefined,
      '2G',
      undefined,
    ],
    ['grows with what is asked', [sharer('a', { size: '3Gi' })], sized('2Gi'), '3Gi', undefined],
    ['is written as it is there', [sharer('a', { size: '2048Mi' })], sized('2Gi'), '2Gi', undefined],
    ['never shrinks', [sharer('a', { size: '1Gi' })], sized('2Gi'), '2Gi', 'ClaimCannotShrink'],
  ];
  for (const [what, sharers, live, size, reason] of rows) {
    it(what, () => {
      const found = claimSize(sharers, live);
      assert.deepEqual([found.size, found.refused?.reason], [size, reason]);
    });
  }
});

describe('a claim is owned', () => {
  const going = sharer('going');
  const metadata = { ...going.model.metadata, deletionTimestamp: 'T' };
  const deleted: Sharer = { ...going, model: { ...going.model, metadata } as DeepfakeModel };
  const rows: [string, [Sharer, ...Sharer[]], string[]][] = [
    ['by its model', [sharer()], ['m']],
    ['by all models that share it', [sharer('b'), sharer('a')], ['a', 'b']],
    ['by nobody while one of them is used', [sharer('a'), sharer('b', {}, true)], []],
    ['by nobody where one of them retains it', [sharer('a'), sharer('b', { retain: true })], []],
    ['by no model that goes', [sharer('a'), deleted], ['a']],
  ];
  for (const [what, sharers, names] of rows) {
    it(what, () => {
      const { ownerReferences = [] } = desiredClaim(
        { name: 'c', own: true },
        sharers,
        '1Gi',
        undefined,
      ).metadata;
      assert.deepEqual(
        ownerReferences.map(({ name }) => name),
        names,
      );
      assert.ok(ownerReferences.every(({ controller }) => controller === undefined));
    });
  }

  it('in the order in which it is already, so that nothing has to be written', () => {
    const [a, b, c] = [sharer('a'), sharer('b'), sharer('c')];
    const owners = (sharers: [Sharer, ...Sharer[]], live?: PersistentVolumeClaim) =>
      desiredClaim({ name: 'c', own: true }, sharers, '1Gi', live).metadata.ownerReferences ?? [];
    const live = claim({ ownerReferences: owners([b]) });
    const both = owners([a, b, c], live);
    assert.deepEqual(
      both.map(({ name }) => name),
      ['b', 'a', 'c'],
    );
    assert.deepEqual(owners([c, b, a], claim({ ownerReferences: both })), both);
  });
});

it('a claim is the same whichever of its sharers asks for it', () => {
  const [a, b] = [sharer('a', { size: '1Gi' }), sharer('b', { size: '2Gi', retain: true })];
  const from = (sharers: [Sharer, ...Sharer[]]) =>
    desiredClaim({ name: 'c', own: true }, sharers, claimSize(sharers, undefined).size, undefined);
  assert.deepEqual(from([a, b]), from([b, a]));
  assert.equal(from([a, b]).metadata.labels?.[LABEL.retain], 'true');
  assert.equal(from([a]).metadata.labels?.[LABEL.retain], undefined);
});

it('a claim that nodes share unwritten asks for a first writer too', () => {
  const modes = (accessMode: string) => {
    const desired = desiredClaim({ name: 'c', own: true }, [sharer('m', { accessMode })], '1Gi', undefined);
    return (desired as PersistentVolumeClaim).spec?.accessModes;
  };
  assert.deepEqual(modes('ReadOnlyMany'), ['ReadWriteOnce', 'ReadOnlyMany']);
  assert.deepEqual(modes('ReadWriteMany'), ['ReadWriteMany']);
});

describe('a claim of that name is ours', () => {
  const ours = desiredClaim({ name: 'c', own: true }, [sharer()], '1Gi', undefined).metadata;
  const rows: [string, object, boolean][] = [
    ['with our labels', { labels: ours.labels }, true],
    ['with our owner, its labels lost', { ownerReferences: ours.ownerReferences }, true],
    ['with neither', { labels: { app: 'other' } }, false],
    ['with the digest of another package', { labels: { ...ours.labels, [LABEL.digest]: 'b' } }, false],
  ];
  for (const [what, metadata, expected] of rows) {
    it(`${what}: ${expected}`, () => assert.equal(isClaimOf(claim(metadata), [sharer()]), expected));
  }
});

describe('pods may mount a claim of modes', () => {
  for (const [modes, expected] of [
    [['ReadWriteOnce'], 'ReadWriteOnce'],
    [['ReadWriteOnce', 'ReadOnlyMany'], 'ReadOnlyMany'],
    [['ReadWriteOnce', 'ReadWriteMany'], 'ReadWriteMany'],
    [['ReadWriteOncePod'], undefined],
  ] as const) {
    it(`${modes.join()}: ${expected}`, () => {
      assert.equal(accessModeOfClaim(claim({}, { accessModes: modes })), expected);
    });
  }
});

describe('bytes of a quantity', () => {
  for (const [quantity, bytes] of [
    ['1', 1],
    ['1Ki', 1024],
    ['100Mi', 104_857_600],
    ['1.5Gi', 1_610_612_736],
    ['2G', 2e9],
    ['3k', 3000],
    ['1e3', 1000],
    ['1500m', 1],
    ['2E3', 2_000],
    ['1e+3', 1_000],
  ] as const) {
    it(quantity, () => assert.equal(bytesOf(quantity), bytes));
  }
});
