import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { NamedPackage } from '../models/package.ts';
import { chooseModel, type KnownMedia, unsupportedMedia } from './model-choice.ts';

function model(name: string, modality: 'image' | 'audio' | 'video', type = 'any'): NamedPackage {
  return { name, manifest: { modality, pipeline: { type } } } as unknown as NamedPackage;
}

const picture = model('picture-v1', 'image');
const other = model('other', 'image');
const voice = model('voice', 'audio');
const film = model('film', 'video');
const all = [picture, other, voice, film];

const mediaOf = (kind: 'image' | 'audio' | 'video') => ({ kind, mime: `${kind}/x` }) as unknown as KnownMedia;

describe('the model that judges', () => {
  const rows: readonly {
    readonly name: string;
    readonly kind: 'image' | 'audio' | 'video';
    readonly requested?: string;
    readonly models?: readonly NamedPackage[];
    readonly defaultModel?: string;
    readonly chosen: string;
  }[] = [
    { name: 'a picture is the first for pictures', kind: 'image', chosen: 'picture-v1' },
    {
      name: 'a picture is one for any picture before one for faces',
      kind: 'image',
      models: [model('faces', 'image', 'image-faces'), other],
      chosen: 'other',
    },
    {
      name: 'a picture is one for faces where that is the default',
      kind: 'image',
      models: [model('faces', 'image', 'image-faces'), other],
      defaultModel: 'faces',
      chosen: 'faces',
    },
    {
      name: 'a picture is one for faces where there is no other',
      kind: 'image',
      models: [model('faces', 'image', 'image-faces'), film],
      chosen: 'faces',
    },
    { name: 'a picture is the default one', kind: 'image', defaultModel: 'other', chosen: 'other' },
    { name: 'a sound is no default one for pictures', kind: 'audio', defaultModel: 'other', chosen: 'voice' },
    { name: 'a picture is the one asked for', kind: 'image', requested: 'other', chosen: 'other' },
    {
      name: 'a picture is known by another spelling',
      kind: 'image',
      requested: 'PICTURE_V1',
      chosen: 'picture-v1',
    },
    { name: 'a video is one for videos', kind: 'video', defaultModel: 'voice', chosen: 'film' },
    {
      name: 'a video is one for its sound where that is asked for',
      kind: 'video',
      requested: 'voice',
      chosen: 'voice',
    },
    {
      name: 'a video is one for its sound where there is no other',
      kind: 'video',
      models: [picture, voice],
      chosen: 'voice',
    },
  ];
  for (const { name, kind, requested, models = all, defaultModel = '', chosen } of rows) {
    test(name, () => assert.equal(chooseModel(mediaOf(kind), requested, models, defaultModel).name, chosen));
  }

  const refusals = [
    { name: 'nobody knows', kind: 'image', requested: 'nobody', models: all, code: 'unknown_model' },
    { name: 'judges something else', kind: 'image', requested: 'voice', models: all, code: 'wrong_modality' },
    {
      name: 'is not there',
      kind: 'audio',
      requested: undefined,
      models: [picture, film],
      code: 'no_model_for_media',
    },
  ] as const;
  for (const { name, kind, requested, models, code } of refusals) {
    test(`is refused where it ${name}, with those that are served`, () =>
      assert.throws(
        () => chooseModel(mediaOf(kind), requested, models, ''),
        (error: Error) => {
          assert.equal((error as Error & { code: string }).code, code);
          assert.match(error.message, /picture-v1 \(image\)/);
          return true;
        },
      ));
  }
});

test('what nobody reads is told what could be read: a model of sound reads videos too', () => {
  assert.match(unsupportedMedia('text', [voice]).message, /MP4/i);
  assert.doesNotMatch(unsupportedMedia('text', [picture]).message, /MP4/i);
});
