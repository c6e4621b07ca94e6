import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ServiceError } from '../../errors.ts';
import type { NamedPackage } from '../../models/package.ts';
import type { KnownMedia } from '../model-choice.ts';
import { type Ensemble, groupDigest } from './ensemble.ts';
import { type Served, select, type Wanted } from './selection.ts';

function model(name: string, modality: string, low = 0.3, high = 0.7): NamedPackage {
  const manifest = { modality, pipeline: { type: 'any' }, thresholds: { low, high } };
  return { name, digest: `sha256:${name}`, precision: 'fp32', manifest } as unknown as NamedPackage;
}

const thresholds = { low: 0.3, high: 0.7 };
const av: Ensemble = {
  name: 'av',
  models: ['Frames', 'voice', 'gone'],
  combination: {
    method: 'weighted',
    weights: new Map([
      ['Frames', 2],
      ['voice', 1],
      ['gone', 1],
    ]),
  },
  thresholds,
  minModels: 1,
  onDisagreement: 'warn',
};
const served: Served = {
  models: [
    model('picture', 'image', 0.1, 0.6),
    model('second', 'image', 0.2, 0.9),
    model('frames', 'video'),
    model('voice', 'audio'),
  ],
  ensembles: [av],
  defaultModel: 'picture',
};
const media = (kind: 'image' | 'audio' | 'video') => ({ kind, mime: `${kind}/x` }) as KnownMedia;

describe('the models that judge a file', () => {
  const rows: readonly {
    name: string;
    kind: 'image' | 'audio' | 'video';
    wanted: Wanted;
    members: readonly string[];
    absent?: readonly string[];
    isOne?: boolean;
  }[] = [
    {
      name: 'one that is asked for',
      kind: 'image',
      wanted: { model: 'SECOND' },
      members: ['second'],
      isOne: true,
    },
    { name: 'the default one', kind: 'image', wanted: {}, members: ['picture'], isOne: true },
    { name: 'all of a picture', kind: 'image', wanted: { models: 'all' }, members: ['picture', 'second'] },
    { name: 'all of a video', kind: 'video', wanted: { models: 'all' }, members: ['frames', 'voice'] },
    {
      name: 'all of a sound, which are one',
      kind: 'audio',
      wanted: { models: 'all' },
      members: ['voice'],
      isOne: true,
    },
    { name: 'a list', kind: 'video', wanted: { models: ['voice', 'frames'] }, members: ['voice', 'frames'] },
    {
      name: 'a list, some of which fit',
      kind: 'image',
      wanted: { models: ['voice', 'picture'] },
      members: ['picture'],
      absent: ['voice: wrong_modality'],
    },
    {
      name: 'an ensemble',
      kind: 'video',
      wanted: { model: 'AV' },
      members: ['frames', 'voice'],
      absent: ['gone: not_active'],
    },
    {
      name: 'an ensemble, one of which fits',
      kind: 'audio',
      wanted: { models: ['av'] },
      members: ['voice'],
      absent: ['frames: wrong_modality', 'gone: not_active'],
    },
  ];
  for (const { name, kind, wanted, members, absent = [], isOne = false } of rows) {
    test(`are ${name}`, () => {
      const found = select(media(kind), wanted, served);
      assert.equal(found.type === 'one', isOne);
      const chosen = found.type === 'one' ? [found.model] : found.members;
      assert.deepEqual(
        chosen.map((one) => one.name),
        members,
      );
      const absentees = found.type === 'one' ? [] : found.absentees;
      assert.deepEqual(
        absentees.map((one) => `${one.model}: ${one.reason}`),
        absent,
      );
    });
  }

  test('have the thresholds of the strictest where the request puts them together', () => {
    const found = select(media('image'), { models: 'all' }, served);
    assert.ok(found.type === 'several');
    assert.deepEqual(found.group.thresholds, { low: 0.1, high: 0.9 });
  });

  test('are refused where none can judge, or none is meant', () => {
    const refused = [
      { kind: 'image', wanted: { model: 'av' }, code: 'wrong_modality' },
      { kind: 'image', wanted: { models: ['frames', 'voice'] }, code: 'wrong_modality' },
      { kind: 'image', wanted: { models: ['picture', 'nobody'] }, code: 'unknown_model' },
      { kind: 'image', wanted: { model: 'nobody' }, code: 'unknown_model' },
      { kind: 'video', wanted: { models: ['av', 'frames'] }, code: 'invalid_request' },
    ] as const;
    for (const { kind, wanted, code } of refused)
      assert.throws(
        () => select(media(kind), wanted, served),
        (error: ServiceError) =>
          error.code === code && (code !== 'unknown_model' || /av \(ensemble/.test(error.message)),
      );
  });
});

describe('all models of a file', () => {
  const rows = [
    { name: 'are as many as an ensemble may have', count: 16, refused: false },
    { name: 'are refused where there are more, in favour of names', count: 17, refused: true },
  ];
  for (const { name, count, refused } of rows) {
    test(name, () => {
      const models = Array.from({ length: count }, (_, index) => model(`picture${index}`, 'image'));
      const chosen = () =>
        select(
          media('image'),
          { models: 'all' },
          { ...served, models: [...models, model('voice', 'audio')] },
        );
      if (refused) assert.throws(chosen, { code: 'invalid_request', message: /17 models .* 16: name those/ });
      else {
        const found = chosen();
        assert.equal(found.type === 'several' && found.members.length, count);
      }
    });
  }
});

test('the digest of an ensemble changes with everything that its verdict depends on', () => {
  const members = served.models.slice(2);
  const reordered = { ...av, models: [...av.models].reverse() };
  assert.equal(groupDigest(av, members), groupDigest(reordered, [...members].reverse()));
  const others: readonly [Ensemble, readonly NamedPackage[]][] = [
    [{ ...av, thresholds: { low: 0.3, high: 0.8 } }, members],
    [{ ...av, minModels: 2 }, members],
    [{ ...av, onDisagreement: 'abstain' }, members],
    [{ ...av, combination: { method: 'mean' } }, members],
    [{ ...av, combination: { method: 'weighted', weights: new Map([['Frames', 3]]) } }, members],
    [av, members.slice(1)],
    [av, members.map((one) => ({ ...one, digest: 'sha256:other' }))],
  ];
  const digests = new Set(others.map(([group, packages]) => groupDigest(group, packages)));
  assert.equal(digests.size, others.length);
  assert.equal(digests.has(groupDigest(av, members)), false);
});
