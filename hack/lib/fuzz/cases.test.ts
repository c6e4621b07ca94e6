import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { box, latin1, riffChunk } from '../../../test/hostile/bytes.ts';
import { caseOf, KINDS, kindOfCase, MIX, type SeedFile } from './cases.ts';

const seeds: SeedFile[] = [
  { kind: 'image', name: 'webp', container: 'riff', bytes: riffChunk('RIFF', latin1('WEBPVP8 ')) },
  { kind: 'audio', name: 'wav', container: 'riff', bytes: riffChunk('RIFF', latin1('WAVEfmt ')) },
  { kind: 'video', name: 'mp4', container: 'iso', bytes: box('ftyp', latin1('isom')) },
];
const count = 2000;
const cases = Array.from({ length: count }, (_, index) => caseOf(seeds, 7, index));

describe('cases', () => {
  test('are told by the seed and the number alone', () => {
    assert.deepEqual(caseOf(seeds, 7, 1234), cases[1234]);
    assert.notDeepEqual(caseOf(seeds, 8, 1234), cases[1234]);
  });

  test('have the kinds of the mix, known without the files', () => {
    for (const kind of KINDS) {
      const share = (100 * cases.filter((found) => found.kind === kind).length) / count;
      assert.ok(Math.abs(share - MIX[kind]) < 3, `${share} % ${kind}`);
    }
    assert.deepEqual(
      cases.map(({ index }) => kindOfCase(7, index)),
      cases.map(({ kind }) => kind),
    );
  });

  test('have one to eight mutations of a file of their kind', () => {
    const counts = new Set(cases.map(({ mutations }) => mutations.length));
    assert.deepEqual([...counts].sort(), [1, 2, 3, 4, 5, 6, 7, 8]);
    const pairs = new Set(cases.map(({ kind, seedFile }) => `${kind} ${seedFile}`));
    assert.deepEqual([...pairs].sort(), ['audio wav', 'image webp', 'video mp4']);
  });

  test('ask every model that judges their kind, some for a heat map and some twice', () => {
    const pairs = new Set(cases.map(({ kind, model }) => `${kind} ${model}`));
    assert.deepEqual([...pairs].sort(), [
      'audio spectra',
      'audio speech',
      'audio voice',
      'image classifier',
      'image portraits',
      'image residual',
      'video blinks',
      'video colours',
      'video faces',
      'video frames',
      'video joint',
      'video sequence',
      'video voice',
    ]);
    assert.ok(cases.some(({ visualization }) => visualization) && cases.some(({ twice }) => twice));
  });
});
